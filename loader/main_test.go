package loader_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the last part of the cases in testdata")
	goleak.VerifyTestMain(m)
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// deadline is for what must happen; the machine may be slow.
const deadline = time.Minute

// files are the parts of a txtar by name.
type files map[string]string

func parts(t *testing.T, path string) (files, *txtar.Archive) {
	t.Helper()
	ar, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fs := files{}
	for _, f := range ar.Files {
		fs[f.Name] = string(f.Data)
	}
	return fs, ar
}

func good(t *testing.T) files {
	t.Helper()
	fs, _ := parts(t, "testdata/good.txtar")
	return fs
}

// write puts the files below dir. Those below a name that ends with .tar.gz are
// packed together.
func (fs files) write(t *testing.T, dir string) {
	t.Helper()
	archives := map[string]files{}
	for name, text := range fs {
		if packed, inside, ok := strings.Cut(name, ".tar.gz/"); ok {
			if archives[packed] == nil {
				archives[packed] = files{}
			}
			archives[packed][inside] = text
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, inside := range archives {
		replace(t, filepath.Join(dir, name+".tar.gz"), inside.pack(t))
	}
}

// arrive puts bundles below dir, each as a whole: none of them is ever seen half there.
func (fs files) arrive(t *testing.T, dir string) {
	t.Helper()
	outside := t.TempDir()
	fs.write(t, outside)
	entries, err := os.ReadDir(outside)
	must(t, err)
	for _, e := range entries {
		must(t, os.Rename(filepath.Join(outside, e.Name()), filepath.Join(dir, e.Name())))
	}
}

// leave takes a file or a folder away, as a whole.
func leave(t *testing.T, path string) {
	t.Helper()
	must(t, os.Rename(path, filepath.Join(t.TempDir(), "gone")))
}

// renew replaces files that are there: none of them is ever seen half written.
func (fs files) renew(t *testing.T, dir string) {
	t.Helper()
	for name, text := range fs {
		replace(t, filepath.Join(dir, name), []byte(text))
	}
}

// replace writes beside and renames, as well-behaved writers do.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	beside := filepath.Join(filepath.Dir(path), ".next-"+filepath.Base(path))
	if err := os.WriteFile(beside, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
}

func (fs files) pack(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, name := range slices.Sorted(maps.Keys(fs)) {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(fs[name])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, fs[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// running is a loader at work, and what it says.
type running struct {
	*loader.Loader
	events    chan loader.Event
	installed chan *policy.Snapshot
	logs      *observer.ObservedLogs
}

// run starts a loader that ends with the test.
func run(t *testing.T, cfg loader.Config) *running {
	t.Helper()
	return runWith(t, cfg, func(*loader.Loader) {})
}

// runWith starts a loader that was changed before.
func runWith(t *testing.T, cfg loader.Config, change func(*loader.Loader)) *running {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	r := &running{events: make(chan loader.Event, 1000), installed: make(chan *policy.Snapshot, 1000), logs: logs}
	cfg.Observe = func(e loader.Event) { r.events <- e }
	if cfg.Resync == 0 {
		cfg.Resync = 200 * time.Millisecond
	}
	var generation uint64
	r.Loader = loader.New(cfg, func(s *policy.Snapshot) uint64 {
		generation++
		r.installed <- s
		return generation
	}, zap.New(core))
	change(r.Loader)
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context()) }()
	t.Cleanup(func() { // after the context of the test has ended
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// event waits for one that is wanted, and passes the others over.
func (r *running) event(t *testing.T, what string, wanted func(loader.Event) bool) loader.Event {
	t.Helper()
	timeout := time.After(deadline)
	var passed []loader.Event
	for {
		select {
		case e := <-r.events:
			if wanted(e) {
				return e
			}
			passed = append(passed, e)
		case <-timeout:
			t.Fatalf("no event: want %s; there were %+v; the status is %+v", what, passed, r.Status())
		}
	}
}

func installed(e loader.Event) bool { return e.Installed }

func refused(e loader.Event) bool { return !e.Installed && (len(e.Problems) > 0 || e.Err != nil) }

// until waits for the status to be as wanted.
func (r *running) until(t *testing.T, what string, ok func(loader.Status) bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok(r.Status()) {
			return
		}
	}
	t.Fatalf("the status is %+v, want %s", r.Status(), what)
}
