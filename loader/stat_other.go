//go:build !linux && !darwin

package loader

import (
	"io/fs"
	"time"
)

// inode is the identity of a file, and when anything of it last changed. This
// system does not tell the identity: the real path and the times stand for it.
type inode struct {
	device, number uint64
	changed        time.Time
}

func inodeOf(info fs.FileInfo) inode { return inode{changed: info.ModTime()} }
