package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rolegate/rolegate/proxy/identity/keys"
)

// TestKeyFileLooks: a file is read again when its stat is another one, and as long as it
// changed too short a time ago for the stat to tell.
func TestKeyFileLooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	first, second := testDocument(t), testDocument(t) // of one length
	changed := time.Now().Add(-time.Hour).Truncate(time.Second)
	write := func(doc []byte, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, doc, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	replace := func(doc []byte, at time.Time) {
		t.Helper()
		if err := os.Rename(path, path+".old"); err != nil { // so that it is another file
			t.Fatal(err)
		}
		write(doc, at)
	}
	f := &keyFile{path: path}
	look := func(when string, now time.Time, want bool) {
		t.Helper()
		if got, err := f.look(now); got != want || err != nil {
			t.Errorf("%s: got changed %v, error %v, want %v", when, got, err, want)
		}
	}
	write(first, changed)
	look("at first", changed.Add(settled), true)
	look("the same", changed.Add(settled), false)
	write(second, changed)
	look("changed within the time that a stat cannot tell", changed.Add(settled), true)
	write(first, changed)
	look("changed again", changed.Add(settled+1), true)
	write(second, changed)
	look("nothing but the content changed, long after", changed.Add(time.Minute), false)
	write(second, changed.Add(time.Second))
	look("another time", changed.Add(time.Minute), true)
	write(append(first, '\n'), changed.Add(time.Second))
	look("another size", changed.Add(time.Minute), true)
	replace(append(second, '\n'), changed.Add(time.Second))
	look("another file", changed.Add(time.Minute), true)
	look("settled", changed.Add(time.Minute), false)

	// A stat that was seen before means nothing once another was.
	write(first, changed.Add(time.Minute))
	look("changed a moment ago", changed.Add(time.Minute), true)
	write(append(second, '\n', '\n')[:len(second)+1], changed.Add(time.Second))
	look("its stat is the old one", changed.Add(time.Minute), true)
}

// TestKeyFileChangesWhileRead: what was read of a file that changed since its stat is read
// again at the next look.
func TestKeyFileChangesWhileRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	old := time.Now().Add(-time.Hour)
	f := &keyFile{path: path}
	if err := errors.Join(os.WriteFile(path, testDocument(t), 0o600), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, []byte("{}"), 0o600), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read(info, time.Now()); err != nil || f.seen != nil {
		t.Errorf("got error %v, seen %v, want it to be read again", err, f.seen)
	}
}

func TestKeyFileIsOfNoUse(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, doc []byte) *keyFile {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		return &keyFile{path: path}
	}
	filled := func(size int) []byte {
		doc := testDocument(t)
		return append(doc, bytes.Repeat([]byte(" "), size-len(doc))...)
	}
	if changed, err := file("longest", filled(keys.MaxDocument)).look(time.Now()); !changed || err != nil {
		t.Errorf("a document of %d bytes: got changed %v, error %v, want it in use", keys.MaxDocument, changed, err)
	}
	f := file("too long", filled(keys.MaxDocument+1))
	if changed, err := f.look(time.Now()); changed || err == nil || !strings.Contains(err.Error(), "larger") || f.inUse() != nil {
		t.Errorf("a document of %d bytes: got changed %v, error %v", keys.MaxDocument+1, changed, err)
	}
	for name, want := range map[string]error{dir: syscall.EISDIR, filepath.Join(dir, "nowhere"): syscall.ENOENT} {
		f := &keyFile{path: name}
		if changed, err := f.look(time.Now()); changed || !errors.Is(err, want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got changed %v, error %v, want %v without the path", name, changed, err, want)
		}
	}
}
