package bundles

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// sources reads the Rego of the library and of its tests, by file name.
func sources(t *testing.T) map[string]string {
	t.Helper()
	bundle, err := Core()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	err = fs.WalkDir(bundle, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".rego" {
			return err
		}
		text, err := fs.ReadFile(bundle, name)
		texts[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// allModules parses the library and its tests.
func allModules(t *testing.T) map[string]*ast.Module {
	t.Helper()
	bundle, err := Core()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := modules(bundle, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestRegoIsFormatted runs alone: OPA's formatter writes into terms that all modules share.
func TestRegoIsFormatted(t *testing.T) {
	for name, text := range sources(t) {
		formatted, err := format.SourceWithOpts(name, []byte(text), format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Errorf("format %s: %v", name, err)
		} else if !bytes.Equal(formatted, []byte(text)) {
			t.Errorf("%s: got other than opa fmt writes", name)
		}
		for i, line := range strings.Split(text, "\n") {
			if n := len([]rune(line)); n > 120 {
				t.Errorf("%s:%d: got a line of %d characters, want at most 120", name, i+1, n)
			}
		}
	}
}

func TestRegoIsStrict(t *testing.T) {
	t.Parallel()
	compiler := ast.NewCompiler().WithStrict(true)
	compiler.Compile(allModules(t))
	if compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
}

func TestRegoSaysWhatItIs(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for name, module := range allModules(t) {
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		packageName := module.Package.Path.String()
		described[packageName] = described[packageName] || slices.ContainsFunc(module.Annotations, func(a *ast.Annotations) bool {
			return a.Scope == "package" && a.Title != ""
		})
	}
	for packageName, ok := range described {
		if !ok {
			t.Errorf("%s: got no METADATA of the package, want a title", packageName)
		}
	}
}

// TestClockIsReadOnce holds the promise that remembered rules rest on.
func TestClockIsReadOnce(t *testing.T) {
	t.Parallel()
	var readers []string
	for name, text := range sources(t) {
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		for range strings.Count(text, "time.now_ns()") {
			readers = append(readers, name)
		}
	}
	if want := []string{"rolegate/now.rego"}; !slices.Equal(readers, want) {
		t.Errorf("clock is read in %v, want %v", readers, want)
	}
}

// runRego runs the tests of some modules, those whose name matches, and returns
// those that fail. An error is what kept them from running.
func runRego(t *testing.T, parsed map[string]*ast.Module, filter string, tracer topdown.QueryTracer) (ran int, failed []string, err error) {
	t.Helper()
	store := inmem.New()
	ctx := t.Context()
	err = storage.Txn(ctx, store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		results, err := tester.NewRunner().
			SetStore(store).
			SetModules(parsed).
			SetTimeout(time.Minute).
			SetCoverageQueryTracer(tracer).
			RaiseBuiltinErrors(true).
			Filter(filter).
			RunTests(ctx, txn)
		if err != nil {
			return err
		}
		for result := range results {
			ran++
			if !result.Pass() {
				failed = append(failed, fmt.Sprintf("%s.%s: %v", result.Package, result.Name, result.Error))
			}
		}
		return nil
	})
	return ran, failed, err
}

func TestRego(t *testing.T) {
	t.Parallel()
	ran, failed, err := runRego(t, allModules(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if ran == 0 || len(failed) > 0 {
		t.Errorf("of %d Rego tests got failures %v, want none", ran, failed)
	}
}

// minCoverage is what is left when the answers that cannot be reached, kept so
// that a mistake denies, are not.
const minCoverage = 98.0

func TestRegoCoverage(t *testing.T) {
	if testing.Short() {
		t.Skip("tracing takes its time")
	}
	t.Parallel()
	parsed := allModules(t)
	tracer := cover.New()
	if _, _, err := runRego(t, parsed, "", tracer); err != nil {
		t.Fatal(err)
	}
	library := regexp.MustCompile(`_test\.rego$`)
	for name := range parsed {
		if library.MatchString(name) {
			delete(parsed, name)
		}
	}
	report := tracer.Report(parsed)
	t.Logf("coverage of the library by its Rego tests: %.1f %%", report.Coverage)
	if report.Coverage < minCoverage {
		for name, file := range report.Files {
			for _, gap := range file.NotCovered {
				t.Logf("%s:%d-%d is not covered", name, gap.Start.Row, gap.End.Row)
			}
		}
		t.Errorf("coverage: got %.1f %%, want at least %.1f %%", report.Coverage, minCoverage)
	}
}

// TestWhatIsRememberedReadsNeitherClockNorQuestion holds what makes the roles of a
// subject in a place worth remembering: they are the same for every question, at
// any time.
func TestWhatIsRememberedReadsNeitherClockNorQuestion(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	forbidden := []string{
		"data.rolegate.now", "input.route.resource", "input.route.action", "input.route.owner", "input.route.roles_any",
		"input.subject.claims.exp", "input.subject.claims.nbf", "input.subject.claims.jti", "data.authz", "data.rbac.revoked",
	}
	for _, name := range []string{"settled", "known", "named"} {
		roots := compiler.GetRules(ast.MustParseRef("data.rolegate.roles." + name))
		if len(roots) == 0 {
			t.Fatalf("got no rule roles.%s", name)
		}
		seen := map[*ast.Rule]bool{}
		for len(roots) > 0 {
			rule := roots[0]
			roots = roots[1:]
			if seen[rule] {
				continue
			}
			seen[rule] = true
			ast.WalkRefs(rule, func(ref ast.Ref) bool {
				for _, prefix := range forbidden {
					if strings.HasPrefix(ref.String(), prefix) {
						t.Errorf("roles.%s reads %v by the rule at %v, want neither the clock nor the question", name, ref, rule.Location)
					}
				}
				return false
			})
			for dependency := range compiler.Graph.Dependencies(rule) {
				if next, ok := dependency.(*ast.Rule); ok {
					roots = append(roots, next)
				}
			}
		}
		if len(seen) < 10 {
			t.Errorf("roles.%s rests on %d rules, want many more", name, len(seen))
		}
	}
}
