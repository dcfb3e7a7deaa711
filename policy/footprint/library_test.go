package footprint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/bundles"
)

// TestWhatTheLibraryReads holds the footprint of the role library: a line more is a key
// that is longer, and may be one that never hits.
func TestWhatTheLibraryReads(t *testing.T) {
	modules, err := bundles.CoreModules()
	if err != nil {
		t.Fatal(err)
	}
	c := ast.NewCompiler()
	c.Compile(modules)
	if c.Failed() {
		t.Fatal(c.Errors)
	}
	f := Analyze(c, ast.MustParseRef("data.rolegate.decision"), nil)
	var b strings.Builder
	for _, p := range f.Paths {
		fmt.Fprintf(&b, "%-7s %s\n", levelName(p.Level), p.Ref)
	}
	for _, c := range f.Nondeterministic {
		fmt.Fprintf(&b, "nondeterministic %s\n", c.Name)
	}
	golden := filepath.Join("testdata", "library.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the library's footprint changed (-want +got), full places are\n%s\n%s", fullPlaces(f), diff)
	}
}

// fullPlaces says what forced each place that is read in full.
func fullPlaces(f *Footprint) string {
	var b strings.Builder
	for _, p := range f.Paths {
		if p.Level == Full {
			fmt.Fprintf(&b, "   %s  %s\n", p.Ref, position(p.At))
		}
	}
	return b.String()
}
