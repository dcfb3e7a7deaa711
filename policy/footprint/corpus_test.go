package footprint

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/test/cases"

	"github.com/rolegate/rolegate/internal/lab/policies"
)

// corpus reads OPA's own cases of the language from the module that is compiled in.
func corpus(t *testing.T, version string) []cases.TestCase {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatalf("find the sources of OPA: %v", err)
	}
	set, err := cases.Load(filepath.Join(strings.TrimSpace(string(dir)), "v1", "test", "cases", "testdata", version))
	if err != nil {
		t.Fatal(err)
	}
	return set.Sorted().Cases
}

// TestLanguageCasesDecideByTheirKeysAlone takes every case of OPA for a policy: its query
// is the entry point. Those that reach nondeterministic builtins are passed over: they
// would call the network.
func TestLanguageCasesDecideByTheirKeysAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("3,000 policies")
	}
	var compiled, nondeterministic, reads, live, pairs int
	for version, rego := range map[string]ast.RegoVersion{"v0": ast.RegoV0, "v1": ast.RegoV1} {
		for _, c := range corpus(t, version) {
			for k, v := range c.Env {
				t.Setenv(k, v)
			}
			s, words, err := languageCase(t, c, rego)
			if err != nil {
				continue // the case is of a fault, or is no policy
			}
			compiled++
			if len(s.footprint.Nondeterministic) > 0 {
				nondeterministic++
				continue
			}
			n := 1
			if len(s.footprint.Paths) > 0 {
				reads++
				n = 12
			}
			r := rand.New(rand.NewPCG(1, uint64(compiled)))
			questions := s.ask(t.Context(), append(inputs(r, words, s.plan, seed(c), n, 2, 2), term(c)...), lenient, strict)
			v := s.compare(t.Context(), s.plan, questions, lenient, strict)
			if v.fault != "" {
				t.Errorf("%s/%s: %s\nfootprint %s\nquery %s\n%s", version, c.Note, v.fault, brief(s.footprint), c.Query, strings.Join(c.Modules, "\n"))
			}
			pairs += v.pairs
			if varied(questions, lenient) {
				live++
			}
		}
	}
	t.Logf("%d cases are policies, %d of them nondeterministic; %d read the input, %d answer it in several ways; %d pairs with one key",
		compiled, nondeterministic, reads, live, pairs)
	if compiled < 2000 || reads < 200 {
		t.Errorf("%d cases were compiled and %d read the input: the corpus was not found", compiled, reads)
	}
	if live < 200 || pairs < 10_000 {
		t.Errorf("%d cases answer in several ways, %d pairs have one key: too few to say something", live, pairs)
	}
}

// seed is the input of a case. A seed has many neighbors.
func seed(c cases.TestCase) []any {
	if c.Input == nil || c.InputTerm != nil {
		return nil
	}
	return []any{*c.Input}
}

// term is the input of a case that is no JSON.
func term(c cases.TestCase) []ast.Value {
	if c.InputTerm == nil {
		return nil
	}
	t, err := ast.ParseTerm(*c.InputTerm)
	if err != nil {
		return nil
	}
	return []ast.Value{t.Value}
}

// languageCase compiles a case with its query as a set of what the query binds.
func languageCase(t *testing.T, c cases.TestCase, version ast.RegoVersion) (*specimen, policies.Vocabulary, error) {
	t.Helper()
	options := ast.ParserOptions{RegoVersion: version}
	if c.ExperimentalKeywords {
		options.Capabilities = ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(true))
	}
	modules := map[string]*ast.Module{}
	for i, source := range c.Modules {
		name := fmt.Sprintf("%d.rego", i)
		m, err := ast.ParseModuleWithOpts(name, source, options)
		if err != nil {
			return nil, policies.Vocabulary{}, err
		}
		modules[name] = m
	}
	query, err := ast.ParseBodyWithOpts(c.Query, options)
	if err != nil {
		return nil, policies.Vocabulary{}, err
	}
	data := map[string]any{}
	if c.Data != nil {
		data = *c.Data
	}
	words := vocabulary(modules, nil)
	modules["query.rego"] = asModule(query)
	s, err := newSpecimen(t.Context(), modules, data, "data.query_of_the_case.bindings")
	return s, words, err
}

// asModule makes a rule that holds what a query binds.
func asModule(query ast.Body) *ast.Module {
	visitor := ast.NewVarVisitor().WithParams(ast.VarVisitorParams{SkipClosures: true, SkipRefHead: true, SkipRefCallHead: true, SkipWithTarget: true})
	visitor.Walk(query)
	var bindings [][2]*ast.Term
	for v := range visitor.Vars() {
		if !v.IsWildcard() && !v.IsGenerated() && v != "data" && v != "input" {
			bindings = append(bindings, [2]*ast.Term{ast.StringTerm(string(v)), ast.NewTerm(v)})
		}
	}
	slices.SortFunc(bindings, func(a, b [2]*ast.Term) int { return a[0].Value.Compare(b[0].Value) })
	m := &ast.Module{Package: &ast.Package{Path: ast.MustParseRef("data.query_of_the_case")}}
	m.SetRegoVersionSpan(ast.RegoVersionSpanOf(ast.RegoV1))
	m.Rules = []*ast.Rule{{
		Head: &ast.Head{Name: "bindings", Reference: ast.Ref{ast.VarTerm("bindings")}, Key: ast.ObjectTerm(bindings...)},
		Body: query, Module: m,
	}}
	return m
}
