package footprint

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/internal/lab/policies"
)

// analysisTime is far more than any analysis may take, on a machine that does other things.
const analysisTime = 30 * time.Second

// analyzed is the footprint of data.test.allow, if the analysis ends.
func analyzed(t *testing.T, source string) *Footprint {
	t.Helper()
	c := ast.NewCompiler()
	c.Compile(map[string]*ast.Module{"test.rego": ast.MustParseModuleWithOpts(source, ast.ParserOptions{RegoVersion: ast.RegoV1})})
	if c.Failed() {
		t.Fatal(c.Errors)
	}
	done := make(chan *Footprint, 1)
	go func() { done <- Analyze(c, ast.MustParseRef("data.test.allow"), nil) }()
	select {
	case f := <-done:
		return f
	case <-time.After(analysisTime):
		t.Fatalf("the analysis does not end within %s", analysisTime)
		return nil
	}
}

// written joins n texts that f makes.
func written(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(i) + "\n")
	}
	return b.String()
}

// TestLargePoliciesAreAnalyzed is about shapes whose cost could grow with a power of
// their size.
func TestLargePoliciesAreAnalyzed(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		want   string // on one line
	}{
		"documents of documents": {
			"d0 := input.r\n" + written(400, func(i int) string { return fmt.Sprintf("d%d := d%d", i+1, i) }) + "allow if d400.m == 1",
			"defined input.r, full input.r.m",
		},
		"functions of functions": {
			"f0(x) := x.m\n" + written(400, func(i int) string { return fmt.Sprintf("f%d(x) := f%d(x)", i+1, i) }) + "allow if f400(input.r) == 1",
			"defined input.r, full input.r.m",
		},
		"functions that go down": {
			"f0(x) := x\n" + written(200, func(i int) string { return fmt.Sprintf("f%d(x) := f%d(x).m", i+1, i) }) + "allow if f200(input.r) == 1",
			"",
		},
		"names of names": {
			"allow if {\n v0 := input.r\n" + written(400, func(i int) string { return fmt.Sprintf("v%d := v%d", i+1, i) }) + "v400.m == 1\n}",
			"defined input.r, full input.r.m",
		},
		"a function of its own result, in many ways": {
			written(20, func(i int) string { return fmt.Sprintf("f%d(x) := x.k%d", i, i) }) +
				"allow if {\n v0 := input\n" + written(100, func(i int) string { return fmt.Sprintf("v%d := f%d(v%d)", i+1, i*7%20, i) }) + "v100 == 1\n}",
			"",
		},
		"many definitions": {
			written(1000, func(i int) string { return fmt.Sprintf("allow if input.r%d.m == %d", i, i) }),
			"",
		},
		"many alternatives": {
			"allow := 1 if input.a\n" + written(300, func(i int) string { return fmt.Sprintf("else := %d if input.r.m == %d", i, i) }),
			"full input.a, full input.r.m",
		},
		"every argument with every other": {
			"f(x, y) := x.m if y.n\n" + "allow if {\n" +
				written(300, func(i int) string { return fmt.Sprintf("f(input.a%d, input.b%d)", i%40, i*7%40) }) + "}",
			"",
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			f := analyzed(t, "package test\n\n"+c.source)
			t.Logf("%d rules, %d places, %s", len(f.Rules), len(f.Paths), time.Since(start))
			if got := brief(f); c.want != "" && got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			bounded(t, f)
		})
	}
}

// bounded holds what widening promises.
func bounded(t rapid.TB, f *Footprint) {
	t.Helper()
	for _, p := range f.Paths {
		if len(p.Ref)-1 > maxDepth {
			t.Errorf("%s is %d deep, want at most %d", p.Ref, len(p.Ref)-1, maxDepth)
		}
	}
}

// randomCompiled compiles a random policy of the lab; nil if it does not compile.
func randomCompiled(t *rapid.T) (*ast.Compiler, policies.Policy) {
	t.Helper()
	p := policies.Random(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "policy"), 0)))
	modules, err := parse(p.Modules, ast.RegoV1)
	if err != nil {
		return nil, p
	}
	c := ast.NewCompiler()
	c.Compile(modules)
	if c.Failed() {
		return nil, p
	}
	return c, p
}

func TestTwoAnalysesOfOnePolicySayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := randomCompiled(t)
		if c == nil {
			t.Skip("it does not compile")
		}
		entrypoint := ast.MustParseRef(p.Entrypoint)
		first := Analyze(c, entrypoint, nil)
		bounded(t, first)
		again, p2 := randomCompiled2(p)
		if diff := cmp.Diff(text(first), text(Analyze(again, entrypoint, nil))); diff != "" {
			t.Fatalf("two analyses differ (-first +second):\n%s%s", diff, source(p2.Modules))
		}
	})
}

// randomCompiled2 compiles a policy once more, from its text.
func randomCompiled2(p policies.Policy) (*ast.Compiler, policies.Policy) {
	modules, err := parse(p.Modules, ast.RegoV1)
	c := ast.NewCompiler()
	if err == nil {
		c.Compile(modules)
	}
	return c, p
}

// FuzzAnalyze holds that the analysis of whatever compiles ends without a panic, and
// that its plan makes an input that has the same key.
func FuzzAnalyze(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "policies", "*", "*.txtar"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(archive.Files[0].Data))
	}
	docs := []ast.Value{
		nil, ast.NullValue, ast.NewObject(), ast.NewArray(ast.StringTerm("a")),
		ast.MustParseTerm(`{"req": {"method": "GET", "headers": {"user": "ann"}}, "list": ["a", {"m": 1}], "user": "ann"}`).Value,
	}
	f.Fuzz(func(t *testing.T, source string) {
		m, err := ast.ParseModuleWithOpts("test.rego", source, ast.ParserOptions{RegoVersion: ast.RegoV1, AllFutureKeywords: strings.Contains(source, "rego.v2")})
		if err != nil || m == nil {
			return
		}
		c := ast.NewCompiler()
		if !compiles(c, m) {
			return
		}
		for _, entrypoint := range []ast.Ref{m.Package.Path, m.Package.Path.Append(ast.StringTerm("allow")), {ast.DefaultRootDocument}} {
			fp := Analyze(c, entrypoint, nil)
			bounded(t, fp)
			plan := fp.Plan()
			for _, doc := range docs {
				values := plan.Read(document{doc})
				pruned := plan.Build(values)
				if key, again := plan.AppendKey(nil, values), plan.AppendKey(nil, plan.Read(document{pruned})); !bytes.Equal(key, again) {
					t.Errorf("the key of %v is not that of the pruned %v; footprint %s\n%s", doc, pruned, brief(fp), source)
				}
			}
		}
	})
}

// compiles says whether OPA compiles a module; its own panics are not ours.
func compiles(c *ast.Compiler, m *ast.Module) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	c.Compile(map[string]*ast.Module{"test.rego": m})
	return !c.Failed()
}

func BenchmarkAnalyze(b *testing.B) {
	small, err := parse(map[string]string{"test.rego": "package test\n\n" + written(7, func(i int) string {
		return fmt.Sprintf("d%d := input.attributes.request.http if input.kind == %d\nf%d(http) := http.headers.user if http.method == \"GET\"", i, i, i)
	}) + "allow if {\n" + written(7, func(i int) string { return fmt.Sprintf("f%d(d%d) == input.user", i, i) }) + "}"}, ast.RegoV1)
	if err != nil {
		b.Fatal(err)
	}
	library, err := bundles.CoreModules()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, entrypoint string
		modules          map[string]*ast.Module
	}{{"policy=15-rules", "data.test.allow", small}, {"policy=library", "data.rolegate.decision", library}} {
		b.Run(c.name, func(b *testing.B) {
			compiler := ast.NewCompiler()
			compiler.Compile(c.modules)
			if compiler.Failed() {
				b.Fatal(compiler.Errors)
			}
			entrypoint := ast.MustParseRef(c.entrypoint)
			b.ReportAllocs()
			var f *Footprint
			for b.Loop() {
				f = Analyze(compiler, entrypoint, nil)
			}
			b.ReportMetric(float64(len(f.Rules)), "rules")
		})
		b.Run(c.name+"/of=documents", func(b *testing.B) {
			compiler := ast.NewCompiler()
			compiler.Compile(c.modules)
			if compiler.Failed() {
				b.Fatal(compiler.Errors)
			}
			b.ReportAllocs()
			var list []Document
			for b.Loop() {
				list = Documents(compiler, ast.MustParseRef(c.entrypoint), nil)
			}
			b.ReportMetric(float64(len(list)), "documents")
		})
	}
}
