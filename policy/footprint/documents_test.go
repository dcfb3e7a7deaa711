package footprint

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/bundles"
)

// documents are those of a specimen's entry point.
func (s *specimen) documents() []Document {
	return Documents(s.compiler, ast.MustParseRef("data.test.allow"), s.constant)
}

// TestFootprintsOfDocuments: testdata/documents are like testdata/policies, with what is
// expected of each document beside the modules.
func TestFootprintsOfDocuments(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "documents", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			h := readHandWritten(t, path)
			s, _ := h.specimen(t)
			var b strings.Builder
			for _, d := range s.documents() {
				fmt.Fprintf(&b, "%s  %s\n%s", d.Ref, position(d.At), text(&Footprint{Paths: d.Paths, Nondeterministic: d.Nondeterministic}))
			}
			fmt.Fprintf(&b, "the entry point\n%s", text(s.footprint))
			if *update {
				h.rewrite(t, "documents", b.String())
				return
			}
			if diff := cmp.Diff(h.part("documents"), b.String()); diff != "" {
				t.Errorf("the footprints differ (-want +got):\n%s\n%s", diff, source(h.sources))
			}
			covers(t, s.footprint, s.documents())
		})
	}
}

// TestAnEntryPointReadsWhatItsDocumentsRead, no less; and what it reads is read by one of
// them.
func TestAnEntryPointReadsWhatItsDocumentsRead(t *testing.T) {
	eachHandWritten(t, func(t *testing.T, h handWritten) {
		t.Helper()
		s, _ := h.specimen(t)
		covers(t, s.footprint, s.documents())
	})
	t.Run("library", func(t *testing.T) {
		modules, err := bundles.CoreModules()
		if err != nil {
			t.Fatal(err)
		}
		c := ast.NewCompiler()
		c.Compile(modules)
		if c.Failed() {
			t.Fatal(c.Errors)
		}
		entrypoint := ast.MustParseRef("data.rolegate.decision")
		documents := Documents(c, entrypoint, nil)
		if len(documents) < 50 {
			t.Errorf("got %d documents, want the library's", len(documents))
		}
		covers(t, Analyze(c, entrypoint, nil), documents)
	})
}

// covers holds an entry point against its documents.
func covers(t *testing.T, f *Footprint, documents []Document) {
	t.Helper()
	calls := map[string]bool{}
	for _, c := range f.Nondeterministic {
		calls[c.Name] = false
	}
	for _, d := range documents {
		for _, p := range d.Paths {
			if !within(p, f.Paths) {
				t.Errorf("%s reads %s of %s, which the entry point does not\n%s", d.Ref, levelName(p.Level), p.Ref, text(f))
			}
		}
		for _, c := range d.Nondeterministic {
			if _, ok := calls[c.Name]; !ok {
				t.Errorf("%s calls %s, which the entry point does not\n%s", d.Ref, c.Name, text(f))
			}
			calls[c.Name] = true
		}
	}
	if len(documents) == 0 {
		return // the entry point is data, or the input
	}
	for name, called := range calls {
		if !called {
			t.Errorf("the entry point calls %s, and none of its documents does", name)
		}
	}
	for _, p := range f.Paths {
		found := false
		for _, d := range documents {
			found = found || within(p, d.Paths)
		}
		if !found {
			t.Errorf("the entry point reads %s of %s, and none of its documents does\n%s", levelName(p.Level), p.Ref, text(f))
		}
	}
}

// within says whether a path is read, at its level or as a part of what is read whole.
func within(p Path, of []Path) bool {
	for _, q := range of {
		if q.Level == Full && p.Ref.HasPrefix(q.Ref) || q.Level >= p.Level && p.Ref.Equal(q.Ref) {
			return true
		}
	}
	return false
}
