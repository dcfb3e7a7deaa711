package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/rolegate/rolegate/proxy/identity/keys"
)

// settled is how old a file's time of change must be before an unchanged stat is
// taken to mean unchanged content: file systems count time in steps of up to 2 s.
const settled = 2 * time.Second

// format is what a key file holds.
type format uint8

const (
	formatJWKS format = iota
	formatPEM
	formatSecret
)

func (f format) parse(doc []byte) (*keys.Set, error) {
	switch f {
	case formatPEM:
		return keys.ParsePEM(doc)
	case formatSecret:
		return keys.ParseSecret(doc)
	default:
		return keys.ParseJWKS(doc)
	}
}

// keyFile is one file of keys. inUse may be called concurrently with the rest,
// which belongs to one goroutine at a time.
type keyFile struct {
	path   string
	format format
	set    atomic.Pointer[keys.Set] // the last good one; nil before there was one

	seen   fs.FileInfo       // at the last reading; nil: read at the next look
	digest [sha256.Size]byte // of the content that set was made of; zero before there was one
	err    error             // of the last look
}

// inUse is the keys in use, nil before there were any.
func (f *keyFile) inUse() *keys.Set { return f.set.Load() }

// look reads the file if it may have changed since the last look, and takes its
// keys into use if they did. On an error the last good keys stay in use.
func (f *keyFile) look(now time.Time) (changed bool, err error) {
	info, _ := os.Stat(f.path) // what is wrong is told by opening it
	if same(f.seen, info) {
		return false, f.err
	}
	f.seen = nil
	changed, err = f.reread(info, now)
	f.err = withoutPath(err)
	return changed, f.err
}

func (f *keyFile) reread(info fs.FileInfo, now time.Time) (changed bool, err error) {
	doc, err := f.read(info, now)
	if err != nil {
		return false, err
	}
	digest := sha256.Sum256(doc)
	if digest == f.digest {
		return false, nil
	}
	set, err := f.format.parse(doc)
	if err != nil {
		return false, err
	}
	f.digest = digest
	f.set.Store(set)
	return true, nil
}

func (f *keyFile) read(info fs.FileInfo, now time.Time) ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	doc, err := io.ReadAll(io.LimitReader(file, keys.MaxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(doc) > keys.MaxDocument {
		return nil, fmt.Errorf("is larger than %d bytes", keys.MaxDocument)
	}
	after, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// A file that changed under our eyes, or a moment ago, is read again next time.
	if same(info, after) && now.Sub(after.ModTime()) > settled {
		f.seen = after
	}
	return doc, nil
}

// same says whether two stats are of one state of one file; nil is of none.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// withoutPath is the cause alone: the path stands beside it.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
