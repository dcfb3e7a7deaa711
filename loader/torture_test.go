package loader_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// updates is how many versions one torture writes: each way of writing several times.
const updates = 2 * 15

// quiet is the default of Config.Settle: a folder whose writer pauses longer, on a busy
// machine, is taken for one that is there.
const quiet = 50 * time.Millisecond

// A world of four bundles, each written in other ways. Every version of a bundle
// has its number in two files, far apart.
type world struct {
	dir     string // watched
	outside string // where links lead
	version int
}

// bundle is one version of a bundle: files that agree on the number.
func (w *world) bundle(name string) files {
	padding := strings.Repeat(" ", 64<<10)
	return files{
		".manifest":                     fmt.Sprintf(`{"revision": "%d", "roots": ["mark/%s"], "rego_version": 1}`, w.version, name),
		"mark/" + name + "/a/data.json": fmt.Sprintf(`{"version": %d}%s`, w.version, padding),
		"mark/" + name + "/z/data.json": fmt.Sprintf(`%s{"version": %d}`, padding, w.version),
	}
}

// way is one way in which a version comes to the disk.
type way struct {
	name   string
	bundle string
	write  func(t *testing.T, w *world)
}

func ways() []way {
	return []way{
		{"an archive renamed into place", "packed", func(t *testing.T, w *world) {
			t.Helper()
			replace(t, filepath.Join(w.dir, "packed.tar.gz"), w.bundle("packed").pack(t))
		}},
		{"an archive written in place, slowly", "packed", func(t *testing.T, w *world) {
			t.Helper()
			data := w.bundle("packed").pack(t)
			inPieces(t, filepath.Join(w.dir, "packed.tar.gz"), data[:len(data)/2], data[len(data)/2:])
		}},
		{"an archive that is torn for a while", "packed", func(t *testing.T, w *world) {
			t.Helper()
			data := w.bundle("packed").pack(t)
			write(t, filepath.Join(w.dir, "packed.tar.gz"), data[:len(data)-5])
			pause(120 * time.Millisecond)
			write(t, filepath.Join(w.dir, "packed.tar.gz"), data)
		}},
		{"an archive removed and written anew", "packed", func(t *testing.T, w *world) {
			t.Helper()
			path := filepath.Join(w.dir, "packed.tar.gz")
			must(t, os.Remove(path))
			pause(30 * time.Millisecond)
			write(t, path, w.bundle("packed").pack(t))
		}},
		{"an archive with its old times", "packed", func(t *testing.T, w *world) {
			t.Helper()
			path := filepath.Join(w.dir, "packed.tar.gz")
			info, err := os.Stat(path)
			must(t, err)
			write(t, path, w.bundle("packed").pack(t))
			must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
		}},
		{"a folder's files written in place", "plain", func(t *testing.T, w *world) {
			t.Helper()
			for name, text := range w.bundle("plain") {
				inPieces(t, filepath.Join(w.dir, "plain", name), []byte(text[:len(text)/2]), []byte(text[len(text)/2:]))
			}
		}},
		{"a folder's files renamed into place", "plain", func(t *testing.T, w *world) {
			t.Helper()
			for name, text := range w.bundle("plain") {
				replace(t, filepath.Join(w.dir, "plain", name), []byte(text))
			}
		}},
		{"a folder replaced", "plain", func(t *testing.T, w *world) {
			t.Helper()
			fresh := filepath.Join(w.outside, fmt.Sprintf("plain-%d", w.version))
			w.bundle("plain").write(t, fresh)
			must(t, os.Rename(filepath.Join(w.dir, "plain"), fresh+"-old"))
			must(t, os.Rename(fresh, filepath.Join(w.dir, "plain")))
		}},
		{"a folder removed and unpacked anew", "plain", func(t *testing.T, w *world) {
			t.Helper()
			must(t, os.RemoveAll(filepath.Join(w.dir, "plain")))
			w.bundle("plain").write(t, filepath.Join(w.dir, "plain"))
		}},
		{"a ConfigMap", "map", func(t *testing.T, w *world) { t.Helper(); w.swapData(t, filepath.Join(w.dir, "map")) }},
		{"the target of a link, renamed into place", "link", func(t *testing.T, w *world) {
			t.Helper()
			replace(t, filepath.Join(w.outside, "current", "link.tar.gz"), w.bundle("link").pack(t))
		}},
		{"the target of a link, written in place", "link", func(t *testing.T, w *world) {
			t.Helper()
			data := w.bundle("link").pack(t)
			inPieces(t, filepath.Join(w.outside, "current", "link.tar.gz"), data[:99], data[99:])
		}},
		{"a link on the way to the target", "link", func(t *testing.T, w *world) {
			t.Helper()
			release := fmt.Sprintf("release-%d", w.version)
			must(t, os.Mkdir(filepath.Join(w.outside, release), 0o755))
			write(t, filepath.Join(w.outside, release, "link.tar.gz"), w.bundle("link").pack(t))
			swapLink(t, release, filepath.Join(w.outside, "current"))
		}},
		{"another link", "link", func(t *testing.T, w *world) {
			t.Helper()
			target := filepath.Join(w.outside, fmt.Sprintf("other-%d.tar.gz", w.version))
			write(t, target, w.bundle("link").pack(t))
			swapLink(t, target, filepath.Join(w.dir, "link.tar.gz"))
		}},
		{"the link as it was, to a newer target", "link", func(t *testing.T, w *world) {
			t.Helper()
			path := filepath.Join(w.outside, "current", "link.tar.gz")
			replace(t, path, w.bundle("link").pack(t))
			swapLink(t, path, filepath.Join(w.dir, "link.tar.gz"))
		}},
	}
}

// swapData writes a version as the kubelet does: a folder with a new name, and a
// link ..data that is renamed to lead there. The visible names are links through it.
func (w *world) swapData(t *testing.T, dir string) {
	t.Helper()
	stamp := fmt.Sprintf("..2026_%d", w.version)
	w.bundle("map").write(t, filepath.Join(dir, stamp))
	swapLink(t, stamp, filepath.Join(dir, "..data"))
	for _, name := range []string{".manifest", "mark"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
		}
	}
	if before := filepath.Join(dir, fmt.Sprintf("..2026_%d", w.version-1)); w.version%2 == 0 {
		must(t, os.RemoveAll(before))
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), outside: t.TempDir()}
	replace(t, filepath.Join(w.dir, "packed.tar.gz"), w.bundle("packed").pack(t))
	w.bundle("plain").write(t, filepath.Join(w.dir, "plain"))
	w.swapData(t, filepath.Join(w.dir, "map"))
	must(t, os.Mkdir(filepath.Join(w.outside, "release-0"), 0o755))
	write(t, filepath.Join(w.outside, "release-0", "link.tar.gz"), w.bundle("link").pack(t))
	must(t, os.Symlink("release-0", filepath.Join(w.outside, "current")))
	must(t, os.Symlink(filepath.Join(w.outside, "current", "link.tar.gz"), filepath.Join(w.dir, "link.tar.gz")))
	return w
}

// Whatever way a version comes, it is decided on soon after its last byte, and no
// mixture of two versions ever is.
func TestTorture(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		cfg    loader.Config
		change func(*loader.Loader)
	}{
		{"events alone", loader.Config{Resync: time.Hour}, func(*loader.Loader) {}},
		{"looking alone", loader.Config{Resync: 50 * time.Millisecond}, loader.WithoutWatcher},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.cfg.Dir = w.dir
			r := runWith(t, c.cfg, c.change)
			r.decides(t, "packed", 0, "")
			if got, want := r.Status().Watching, c.cfg.Resync == time.Hour; got != want {
				t.Errorf("watching is %v, want %v", got, want)
			}
			all := ways()
			slowest := map[string]time.Duration{}
			for i := range updates {
				how := all[i%len(all)]
				w.version++
				began := time.Now()
				how.write(t, w)
				excused := ""
				if how.bundle == "plain" && time.Since(began) > quiet { // nobody can tell that it is half there
					excused = how.bundle
				}
				began = time.Now()
				if !r.decides(t, how.bundle, w.version, excused) {
					t.Fatalf("version %d never decided: %s; the status is %+v", w.version, how.name, r.Status())
				}
				slowest[how.name] = max(slowest[how.name], time.Since(began))
			}
			for name, took := range slowest {
				t.Logf("%-45s %v", name, took.Round(time.Millisecond))
			}
			r.until(t, "nothing amiss", func(s loader.Status) bool { return !s.Degraded })
		})
	}
}

// decides waits until a version of a bundle decides, holding every snapshot on the
// way against tearing, but for a bundle that is excused.
func (r *running) decides(t *testing.T, bundle string, version int, excused string) bool {
	t.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case s := <-r.installed:
			if got := whole(t, s, excused)[bundle]; got == fmt.Sprint(version) {
				return true
			}
		case <-timeout:
			return false
		}
	}
}

// whole answers the version of each bundle in a snapshot, whose files must agree unless it
// is excused: then it has none where they do not.
func whole(t *testing.T, s *policy.Snapshot, excused string) map[string]string {
	t.Helper()
	versions := map[string]string{}
	if excused != "" {
		versions[excused] = "none"
	}
	marks, _ := s.Data()["mark"].(map[string]any)
	for name, mark := range marks {
		parts, _ := mark.(map[string]any)
		a, _ := parts["a"].(map[string]any)
		z, _ := parts["z"].(map[string]any)
		version, other := fmt.Sprint(a["version"]), fmt.Sprint(z["version"])
		manifest := version
		for file, revision := range s.Revisions() {
			if strings.TrimSuffix(file, ".tar.gz") == name {
				manifest = revision
			}
		}
		torn := version != other || version != manifest
		if torn && name == excused {
			continue
		}
		versions[name] = version
		if torn {
			t.Errorf("torn: %s has %s and %s, and the manifest of %s", name, version, other, manifest)
		}
	}
	if len(versions) != 4 {
		t.Errorf("the set has %d bundles, want 4: %v", len(versions), versions)
	}
	return versions
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o644))
}

// inPieces truncates a file and fills it again, with pauses such as a copy has.
func inPieces(t *testing.T, path string, pieces ...[]byte) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	for _, piece := range pieces {
		pause(3 * time.Millisecond)
		_, err := f.Write(piece)
		must(t, err)
	}
	must(t, f.Close())
}

func swapLink(t *testing.T, target, path string) {
	t.Helper()
	must(t, os.Symlink(target, path+"-next"))
	must(t, os.Rename(path+"-next", path))
}

// pause is part of how a writer writes, not of how the test waits.
func pause(d time.Duration) { time.Sleep(d) }
