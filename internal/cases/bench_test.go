package cases_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/internal/cases"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
)

// BenchmarkVerifier is what a hundred tests and a hundred cases over the role library
// cost a bundle that changes: in its Rego, and in its data alone.
func BenchmarkVerifier(b *testing.B) {
	var tests strings.Builder
	tests.WriteString("package authz_test\n\n")
	list := make([]string, 100)
	for i := range list {
		fmt.Fprintf(&tests, "test_%d if not data.rolegate.decision.allow with input as {\"subject\": {\"id\": \"u%d\", \"type\": \"user\"}}\n\n", i, i)
		list[i] = fmt.Sprintf(`{"name": "u%d", "op": "decide", "request": {"principal": "u%d", "tenant": "acme", "resource": "documents", "action": "read"}, "expect": {"allow": false}}`, i, i)
	}
	modules, err := bundles.CoreModules()
	if err != nil {
		b.Fatal(err)
	}
	s := policytest.Snapshot(b, "")
	trial := loader.Trial{
		Snapshot: s, Modules: modules, Chosen: func(string) bool { return true },
		Cases: []loader.CaseText{{Name: "cases.json", Text: []byte("[" + strings.Join(list, ",\n") + "]")}},
	}
	library := func(context.Context) (*policy.Snapshot, error) { return s, nil }
	run := func(b *testing.B, verify loader.Verifier, rego int, m *ast.Module) {
		b.Helper()
		trial.Rego, trial.Tests = fmt.Sprint(rego), map[string]*ast.Module{"authz_test.rego": m}
		if found, err := verify(b.Context(), trial); err != nil || len(found) > 0 {
			b.Fatal(found, err)
		}
	}
	parsed := func() *ast.Module {
		return ast.MustParseModuleWithOpts(tests.String(), ast.ParserOptions{RegoVersion: ast.RegoV1})
	}
	b.Run("rego", func(b *testing.B) {
		verify := cases.Verifier(library, time.Now)
		for n := 0; b.Loop(); n++ {
			run(b, verify, n, parsed())
		}
	})
	b.Run("data", func(b *testing.B) {
		verify, m := cases.Verifier(library, time.Now), parsed()
		run(b, verify, 0, m)
		for b.Loop() {
			run(b, verify, 0, m)
		}
	})
}
