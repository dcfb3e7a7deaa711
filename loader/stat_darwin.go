package loader

import (
	"io/fs"
	"syscall"
	"time"
)

// inode is the identity of a file, and when anything of it last changed.
type inode struct {
	device, number uint64
	changed        time.Time
}

func inodeOf(info fs.FileInfo) inode {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{changed: info.ModTime()}
	}
	return inode{device: uint64(st.Dev), number: st.Ino, changed: time.Unix(st.Ctimespec.Unix())}
}
