package bundles

import (
	"fmt"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/profiler"
	"github.com/open-policy-agent/opa/v1/rego"
)

// world is role data of a root and a tenant with members, who hold five grants
// each, and whose session makes two implicit rules true. With every source, a base
// role, a connection's role and a conditional role come on top.
type world struct {
	members, roles, permissions int
	everySource                 bool
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
	root := map[string]any{"policy": map[string]any{"idp_default_roles": []any{"role-1"}}}
	implicit := map[string]any{
		"email:acme.com":      []any{map[string]any{"role": "role-2"}},
		"group:okta|eng":      []any{map[string]any{"role": "role-3", "all": []any{"email:acme.com"}}},
		"group:okta|nobody":   []any{map[string]any{"role": "role-4"}},
		"claim:department=hr": []any{map[string]any{"role": "role-6"}},
	}
	acme := map[string]any{"implicit": implicit}
	if w.everySource {
		root["base_roles"] = []any{"role-0"}
		implicit["conn:okta"] = []any{map[string]any{"role": "role-5"}}
		acme["conditional_roles"] = map[string]any{"role-7": map[string]any{"op": "eq", "p": "/organization", "v": "sales"}}
	}
	return map[string]any{
		"catalog": catalog,
		"issuers": map[string]any{"https://idp.example": map[string]any{"authority": "bundle", "tenant": "acme"}},
		"aliases": map[string]any{},
		"roles":   roles,
		"tenants": map[string]any{"@root": root, "acme": acme},
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
		rego.Store(store(data)),
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
	before := cpuTime(b)
	for b.Loop() {
		results, err := query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTime(now))
		if err != nil || len(results) != 1 {
			b.Fatalf("got %v, %v, want one result", results, err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used: on a machine shared with others, elapsed
// time measures the others too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkDecision(b *testing.B) {
	for _, w := range []world{
		{100, 50, 30, false},
		{1000, 50, 30, false},
		{100_000, 50, 30, false},
		{1_000_000, 50, 30, false},
		{1000, 10, 30, false},
		{1000, 10_000, 30, false},
		{1000, 50, 10, false},
		{1000, 50, 1000, false},
		{1000, 50, 30, true},
	} {
		b.Run(fmt.Sprintf("members=%d/roles=%d/permissions=%d/every-source=%t", w.members, w.roles, w.permissions, w.everySource), func(b *testing.B) {
			evaluate(b, prepare(b, "data.rolegate.decision", w.data()), ast.MustInterfaceToValue(w.request()))
		})
	}
}

func BenchmarkReport(b *testing.B) {
	for _, w := range []world{{100, 50, 30, false}, {100, 50, 150, false}, {100, 50, 600, false}} {
		b.Run(fmt.Sprintf("permissions=%d", w.permissions), func(b *testing.B) {
			evaluate(b, prepare(b, "data.rolegate.report", w.data()), ast.MustInterfaceToValue(w.request()))
		})
	}
}

// BenchmarkProfile says where a decision's time goes, in percent by package of the
// library. The sentences of each: place N1, N2, N7, N8; caller N5, N9 to N11 and N14's
// facts; token N6, N34; gate N4 and the order of the gates; roles N3, N12 to N19;
// standing N20 to N23; question N24, N25, N35; verdict N26 to N31; decision N33.
func BenchmarkProfile(b *testing.B) {
	w := world{1000, 50, 30, true}
	query, input := prepare(b, "data.rolegate.decision", w.data()), ast.MustInterfaceToValue(w.request())
	ctx, now := b.Context(), time.UnixMilli(1767225600000)
	spent, total := map[string]int64{}, int64(0)
	for b.Loop() {
		p := profiler.New()
		if _, err := query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTime(now), rego.EvalQueryTracer(p)); err != nil {
			b.Fatal(err)
		}
		for file, report := range p.ReportByFile().Files {
			name := strings.TrimSuffix(path.Base(file), ".rego")
			for _, expr := range report.Result {
				spent[name] += expr.ExprTimeNs
				total += expr.ExprTimeNs
			}
		}
	}
	for name, ns := range spent {
		b.ReportMetric(100*float64(ns)/float64(total), name+"-%")
	}
}
