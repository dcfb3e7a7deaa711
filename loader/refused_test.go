package loader_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// Each case is laid over the good set. It is refused in the same words by Open and
// by a running loader, which goes on deciding with what it has, and recovers. The folder
// is a link to either of the two: nobody sees the case half there.
func TestRefused(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/refused/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			overlay, ar := parts(t, path)
			last := &ar.Files[len(ar.Files)-1]
			delete(overlay, last.Name)

			sound, spoilt, dir := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "bundles")
			good(t).write(t, sound)
			good(t).write(t, spoilt)
			overlay.write(t, spoilt)
			must(t, os.Symlink(sound, dir))
			r := run(t, loader.Config{Dir: dir})
			if e := r.event(t, "a first set", installed); e.Generation != 1 {
				t.Fatalf("got %+v, want generation 1", e)
			}
			swapLink(t, spoilt, dir)
			_, err := loader.Open(t.Context(), loader.Config{Dir: dir})
			problems, ok := errors.AsType[policy.Problems](err)
			if !ok {
				t.Fatalf("Open: got %v, want problems", err)
			}
			got := problems.Error() + "\n"
			r.refuses(t, problems)
			if s := r.Status(); s.Generation != 1 || !s.Degraded || len(r.installed) != 1 {
				t.Errorf("after what was refused the status is %+v, want generation 1, degraded", s)
			}
			swapLink(t, sound, dir)
			r.until(t, "not degraded any more", func(s loader.Status) bool { return !s.Degraded && s.Ready })
			if updating() {
				last.Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(last.Data), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}

// refuses waits until the running loader has told all these problems, and no other.
func (r *running) refuses(t *testing.T, want policy.Problems) {
	t.Helper()
	known, missing := map[string]bool{}, map[string]bool{}
	for _, p := range want {
		known[p.String()], missing[p.String()] = true, true
	}
	for len(missing) > 0 {
		e := r.event(t, "all the problems that Open names", refused)
		for _, p := range e.Problems {
			if !known[p.String()] {
				t.Fatalf("the loader says %q; Open says\n%s", p, want.Error())
			}
			delete(missing, p.String())
		}
		if e.Err != nil || e.Generation != 1 {
			t.Fatalf("got %+v, want problems under generation 1", e)
		}
	}
}
