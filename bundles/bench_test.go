package bundles

import (
	"fmt"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// world is role data of one root and some tenants with members, who hold five
// grants each, beside implicit rules, a base role and a conditional role.
type world struct {
	members, roles, permissions int
}

func (w world) data() map[string]any {
	catalog := map[string]any{}
	for i := range w.permissions {
		resource := fmt.Sprintf("resource-%d", i/5)
		actions, ok := catalog[resource].(map[string]any)
		if !ok {
			actions = map[string]any{}
			catalog[resource] = actions
		}
		actions[fmt.Sprintf("action-%d", i%5)] = map[string]any{}
	}
	roles := map[string]any{}
	for i := range w.roles {
		allow := map[string]any{}
		for k := range 4 {
			allow[fmt.Sprintf("resource-%d", (i+k)%max(w.permissions/5, 1))] = map[string]any{
				"action-0": map[string]any{".": true}, "action-1": map[string]any{".": true},
			}
		}
		roles[fmt.Sprintf("role-%d", i)] = map[string]any{
			"owner": "@root", "key": fmt.Sprintf("role-%d", i), "type": "custom", "level": 1, "visibility": "ALL",
			"allow": allow, "deny": map[string]any{},
		}
	}
	tenant := map[string]any{}
	for i := range w.members {
		grants := map[string]any{}
		for k := range 5 {
			grants[fmt.Sprintf("role-%d", (i+k)%w.roles)] = []any{}
		}
		tenant[fmt.Sprintf("u-%d", i)] = map[string]any{
			"kind": "user", "email": fmt.Sprintf("u-%d@acme.com", i), "attrs": map[string]any{"organization": "sales"}, "grants": grants,
		}
	}
	return map[string]any{
		"catalog": catalog,
		"issuers": map[string]any{"https://idp.example": map[string]any{"authority": "bundle", "tenant": "acme"}},
		"aliases": map[string]any{},
		"roles":   roles,
		"tenants": map[string]any{
			"@root": map[string]any{"base_roles": []any{"role-0"}, "policy": map[string]any{"idp_default_roles": []any{"role-1"}}},
			"acme": map[string]any{
				"implicit": map[string]any{
					"email:acme.com":      []any{map[string]any{"role": "role-2"}},
					"group:okta|eng":      []any{map[string]any{"role": "role-3", "all": []any{"email:acme.com"}}},
					"group:okta|nobody":   []any{map[string]any{"role": "role-4"}},
					"conn:okta":           []any{map[string]any{"role": "role-5"}},
					"claim:department=hr": []any{map[string]any{"role": "role-6"}},
				},
				"conditional_roles": map[string]any{
					"role-7": map[string]any{"op": "eq", "p": "/organization", "v": "sales"},
				},
			},
		},
		"members": map[string]any{"@root": map[string]any{}, "acme": tenant},
	}
}

// request is the input of a member with a session.
func (w world) request() map[string]any {
	return question(map[string]any{
		"principal": "u-1", "kind": "user", "tenant": "acme", "path": "acme.documents", "resource": "resource-1", "action": "action-1",
		"claims": map[string]any{
			"iss": "https://idp.example", "exp": 1767229200000, "jti": "t-1", "tenant": "acme", "email": "u-1@acme.com", "email_verified": true,
			"sso": map[string]any{"okta": map[string]any{"groups": []any{"eng", "all"}, "roles": []any{}}},
		},
	})
}

func prepare(b *testing.B, entrypoint string, data map[string]any) rego.PreparedEvalQuery {
	b.Helper()
	query, err := rego.New(
		rego.Query(entrypoint),
		rego.Compiler(library(b)),
		rego.Store(inmem.NewFromObjectWithOpts(map[string]any{"rbac": data}, inmem.OptReturnASTValuesOnRead(true))),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return query
}

func evaluate(b *testing.B, query rego.PreparedEvalQuery, input ast.Value) {
	b.Helper()
	ctx, now := b.Context(), time.UnixMilli(1767225600000)
	b.ReportAllocs()
	for b.Loop() {
		results, err := query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTime(now))
		if err != nil || len(results) != 1 {
			b.Fatalf("got %v, %v, want one result", results, err)
		}
	}
}

func BenchmarkDecision(b *testing.B) {
	for _, w := range []world{{1000, 50, 30}, {10000, 50, 30}, {1000, 2000, 30}} {
		b.Run(fmt.Sprintf("members=%d/roles=%d", w.members, w.roles), func(b *testing.B) {
			evaluate(b, prepare(b, "data.rolegate.decision", w.data()), ast.MustInterfaceToValue(w.request()))
		})
	}
}

func BenchmarkReport(b *testing.B) {
	for _, w := range []world{{100, 50, 30}, {100, 50, 150}, {100, 50, 600}} {
		b.Run(fmt.Sprintf("permissions=%d", w.permissions), func(b *testing.B) {
			evaluate(b, prepare(b, "data.rolegate.report", w.data()), ast.MustInterfaceToValue(w.request()))
		})
	}
}
