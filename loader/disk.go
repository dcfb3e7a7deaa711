package loader

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rolegate/rolegate/loader/archive"
	"github.com/rolegate/rolegate/policy"
)

const archiveSuffix = ".tar.gz"

// errChanged means that a bundle changed while it was read.
var errChanged = errors.New("it changed while it was read")

// location is where a bundle lies.
type location struct {
	name   string // of the file or the folder
	prefix string // of the names of its files in messages
	path   string
	packed bool
}

// locations lists the bundles of a directory, by name.
func locations(dir string) ([]location, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []location{{name: filepath.Base(abs), path: dir, packed: true}}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []location
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() && decides(name) {
			return []location{{name: filepath.Base(abs), path: dir}}, nil
		}
		at := filepath.Join(dir, name)
		packed := strings.HasSuffix(name, archiveSuffix)
		if strings.HasPrefix(name, ".") || name == "lost+found" || !packed && !leadsToFolder(at, e) {
			continue
		}
		found = append(found, location{name: name, prefix: name + "/", path: at, packed: packed})
	}
	return found, nil
}

// leadsToFolder follows links. One that leads nowhere counts: it may be a bundle
// whose target is just being replaced, and to pass it over would lose its denies.
func leadsToFolder(at string, e fs.DirEntry) bool {
	if e.IsDir() {
		return true
	}
	if e.Type()&fs.ModeSymlink == 0 {
		return false
	}
	info, err := os.Stat(at)
	return err != nil || info.IsDir()
}

// fingerprint is what stat says of a bundle: equal ones are of equal content,
// unless the content was changed within the clock tick of the second.
type fingerprint [sha256.Size]byte

// tree is a bundle as it lies on the disk, not read yet.
type tree struct {
	location
	stat    fingerprint
	files   treeFiles
	folders []string  // real folders to watch
	changed time.Time // when the youngest of the files last changed
	node    inode     // of an archive, without its time
}

type treeFiles []treeFile

type treeFile struct {
	name string // in the bundle
	path string // to open
	size int64
}

// walker makes a tree. Links are followed: a ConfigMap consists of nothing else.
type walker struct {
	tree
	err    func() error // of the context: stops the walk
	limits archive.Limits
	seen   map[inode]bool // folders on the way down, against links in a circle
	size   int64
	hash   io.Writer
	count  int
}

// scan looks at a bundle without reading it. The problem is one of the bundle.
func scan(ctx context.Context, l location, limits archive.Limits) (tree, error) {
	h := sha256.New()
	w := &walker{tree: tree{location: l}, err: ctx.Err, limits: limits.WithDefaults(), seen: map[inode]bool{}, hash: h}
	err := w.top()
	if err != nil {
		fmt.Fprintf(h, "%v", err)
	}
	w.stat = fingerprint(h.Sum(nil))
	return w.tree, err
}

func (w *walker) top() error {
	target, folders, err := resolve(w.path)
	w.folders = append(w.folders, folders...)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	switch {
	case err != nil:
		return err
	case w.packed:
		return w.file("", target, info)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", w.path)
	}
	return w.folder("", target, info)
}

func (w *walker) folder(name, target string, info fs.FileInfo) error {
	if err := w.err(); err != nil {
		return err
	}
	id := inodeOf(info)
	id.changed = time.Time{}
	if id.number != 0 && w.seen[id] {
		return fmt.Errorf("%s leads back into itself", path.Join(w.prefix, name))
	}
	w.seen[id] = true
	defer delete(w.seen, id)
	w.folders = append(w.folders, target)
	entries, err := os.ReadDir(target)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.entry(path.Join(name, e.Name()), target, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(name, folder string, e fs.DirEntry) error {
	hidden := strings.HasPrefix(e.Name(), ".")
	if hidden && !wanted(name) {
		return nil
	}
	w.count++
	if w.count > w.limits.Entries {
		return fmt.Errorf("more than %d entries", w.limits.Entries)
	}
	target := filepath.Join(folder, e.Name())
	if e.Type()&fs.ModeSymlink != 0 {
		end, folders, err := resolve(target)
		w.folders = append(w.folders, folders...)
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(w.prefix, name), err)
		}
		target = end
	} else if !e.IsDir() && !wanted(name) {
		return nil
	}
	info, err := os.Stat(target)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return w.folder(name, target, info)
	case !wanted(name):
		return nil
	}
	return w.file(name, target, info)
}

func (w *walker) file(name, target string, info fs.FileInfo) error {
	shown := path.Join(w.prefix, name)
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", shown)
	}
	if strings.Contains(name, "\\") || !utf8.ValidString(name) {
		return fmt.Errorf("%q is not a name that every system reads alike", shown)
	}
	if w.size += info.Size(); w.size > w.limits.Bytes {
		return fmt.Errorf("it is larger than %d bytes (at %s)", w.limits.Bytes, shown)
	}
	id := inodeOf(info)
	if id.changed.After(w.changed) {
		w.changed = id.changed
	}
	w.node = inode{device: id.device, number: id.number}
	fmt.Fprintf(w.hash, "%q %q %d %d %d %d %d\n", name, target, id.device, id.number, info.Size(),
		info.ModTime().UnixNano(), id.changed.UnixNano())
	w.files = append(w.files, treeFile{name: name, path: target, size: info.Size()})
	return nil
}

// read reads every file whole, once. errChanged: one was longer or shorter than
// the scan had seen, or gone.
func (ts treeFiles) read() ([]archive.File, error) {
	files := make([]archive.File, 0, len(ts))
	for _, f := range ts {
		data, err := readFile(f)
		if err != nil {
			return nil, err
		}
		files = append(files, archive.File{Name: f.name, Data: data})
	}
	return files, nil
}

func readFile(f treeFile) ([]byte, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errChanged
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, f.size)
	if _, err := io.ReadFull(file, data); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errChanged
		}
		return nil, err
	}
	if n, _ := file.Read(make([]byte, 1)); n > 0 {
		return nil, errChanged
	}
	return data, nil
}

// unchanged looks again: errChanged when the scan differs from this one.
func (t tree) unchanged(ctx context.Context, limits archive.Limits) error {
	again, err := scan(ctx, t.location, limits)
	if err != nil || again.stat != t.stat {
		return errChanged
	}
	return nil
}

func (l location) unreadable(err error) policy.Problems {
	return policy.Problems{{Code: codeUnreadable, Subject: l.name, File: l.shown(), Message: err.Error()}}
}

// shown is the bundle's name in messages that speak of no file in it.
func (l location) shown() string {
	if l.prefix == "" {
		return l.name
	}
	return strings.TrimSuffix(l.prefix, "/")
}

// source reads one file of the bundle again.
func (l location) source(limits archive.Limits) source {
	if !l.packed {
		return func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(l.path, filepath.FromSlash(name))) }
	}
	return func(name string) ([]byte, error) {
		packed, err := os.ReadFile(l.path)
		if err != nil {
			return nil, err
		}
		files, err := archive.Read(packed, limits, func(n string) bool { return n == name })
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("read %s again: %w", name, errChanged)
		}
		return files[0].Data, nil
	}
}
