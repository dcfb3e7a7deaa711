package footprint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	opa "github.com/open-policy-agent/opa/v1/ast"
)

// The builtins that were read by somebody who looked for what they depend on beside
// their operands. A new one is not known to the file, so that the test fails: read it,
// then add a line.
const reviewedBuiltins = "testdata/builtins.txt"

func TestEveryBuiltinWasReviewed(t *testing.T) {
	raw, err := os.ReadFile(reviewedBuiltins)
	if err != nil {
		t.Fatal(err)
	}
	reviewed := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		name, found, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" && name != "#" {
			reviewed[name] = found
		}
	}
	a := &analysis{builtins: map[string]*opa.Builtin{}}
	for _, b := range opa.Builtins {
		a.builtins[b.Name] = b
	}
	for _, name := range slices.Sorted(maps.Keys(a.builtins)) {
		found, ok := reviewed[name]
		delete(reviewed, name)
		switch nondeterministic := a.nondeterministic(name); {
		case !ok:
			t.Errorf("%s is new: does it depend on anything but its operands? OPA says nondeterministic: %t", name, a.builtins[name].Nondeterministic)
		case nondeterministic != (found != ""):
			t.Errorf("%s: the analysis takes it for nondeterministic: %t; the review found %q", name, nondeterministic, found)
		}
	}
	for name := range reviewed {
		t.Errorf("%s is gone", name)
	}
}

// TestWhatBuiltinsTakeFromOutside lists the functions of OPA's evaluator that mention the
// clock, a source of randomness, the environment, files or the network. One that is not
// in the file may make a builtin nondeterministic that was none.
func TestWhatBuiltinsTakeFromOutside(t *testing.T) {
	golden := filepath.Join("testdata", "outside.txt")
	got := strings.Join(outside(t), "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("what the evaluator takes from outside changed (-reviewed +now); read it, then run with -update:\n%s", diff)
	}
}

// outside answers lines `file function: what it mentions`.
func outside(t *testing.T) []string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa/v1/topdown").Output()
	if err != nil {
		t.Fatalf("find the sources of OPA: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of OPA: %v", err)
	}
	var lines []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if mentioned := mentions(f.Body); len(mentioned) > 0 {
				lines = append(lines, fmt.Sprintf("%s %s: %s", filepath.Base(file), f.Name.Name, strings.Join(mentioned, " ")))
			}
		}
	}
	return lines
}

// mentions lists the selectors that lead outside.
func mentions(body ast.Node) []string {
	found := map[string]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if !ok {
			return true
		}
		name := x.Name + "." + s.Sel.Name
		switch {
		case strings.HasSuffix(x.Name, "ctx") && slices.Contains([]string{"Time", "Seed", "Runtime"}, s.Sel.Name),
			slices.Contains([]string{"os", "rand", "exec", "syscall"}, x.Name),
			x.Name == "net" && (strings.HasPrefix(s.Sel.Name, "Dial") || strings.HasPrefix(s.Sel.Name, "Interface")),
			strings.HasPrefix(s.Sel.Name, "LookupIP") || strings.HasPrefix(s.Sel.Name, "LookupHost"),
			slices.Contains([]string{"time.Now", "time.Since", "time.Until", "time.Local", "x509.SystemCertPool"}, name),
			s.Sel.Name == "Verify" || s.Sel.Name == "Rand":
			found[name] = true
		}
		return true
	})
	return slices.Sorted(maps.Keys(found))
}
