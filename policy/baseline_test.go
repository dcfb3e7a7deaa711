package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/policy"
)

// office is role data of a tenant with a thousand members who hold five grants each,
// and whose session makes two implicit rules true.
func office() map[string]any {
	roles, members := map[string]any{}, map[string]any{}
	for i := range 50 {
		id := fmt.Sprintf("role-%d", i)
		allow := map[string]any{}
		for k := range 4 {
			allow[fmt.Sprintf("resource-%d", (i+k)%10)] = map[string]any{"read": map[string]any{".": true}}
		}
		roles[id] = map[string]any{"owner": "@root", "key": id, "visibility": "ALL", "type": "custom", "allow": allow}
	}
	for i := range 1000 {
		grants := map[string]any{}
		for k := range 5 {
			grants[fmt.Sprintf("role-%d", (i+k)%50)] = []any{}
		}
		members[fmt.Sprintf("u-%d", i)] = map[string]any{"kind": "user", "email": fmt.Sprintf("u-%d@acme.com", i), "grants": grants}
	}
	return map[string]any{"rbac": map[string]any{
		"issuers": map[string]any{"https://idp.example": map[string]any{"tenant": "acme"}},
		"tenants": map[string]any{"@root": map[string]any{}, "acme": map[string]any{"implicit": map[string]any{
			"email:acme.com": []any{map[string]any{"role": "role-2"}},
			"group:okta|eng": []any{map[string]any{"role": "role-3"}},
		}}},
		"roles": roles, "members": map[string]any{"acme": members},
	}}
}

// colleague is a question of the office's i-th member; every fifth is about something
// that no role of the member allows.
func colleague(i int) map[string]any {
	resource := fmt.Sprintf("resource-%d", i%10)
	if i%5 == 0 {
		resource = "nothing"
	}
	return map[string]any{
		"subject": map[string]any{
			"id": fmt.Sprintf("u-%d", i), "type": "user",
			"claims": map[string]any{
				"iss": "https://idp.example", "exp": 1767229200000, "email": fmt.Sprintf("u-%d@acme.com", i),
				"sso": map[string]any{"okta": map[string]any{"groups": []any{"eng"}}},
			},
		},
		"route": map[string]any{"tenant": "acme", "path": "acme.documents", "resource": resource, "action": "read"},
	}
}

const officeTime = 1767225600000

// baseline is the frozen library on OPA's generic path.
func baseline(tb testing.TB) rego.PreparedEvalQuery {
	tb.Helper()
	options := []func(*rego.Rego){
		rego.Query("data.rolegate.decision"), rego.Store(inmem.NewFromObject(office())), rego.StrictBuiltinErrors(true),
	}
	err := filepath.WalkDir("testdata/baseline", func(name string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".rego" {
			return err
		}
		text, err := os.ReadFile(name)
		options = append(options, rego.Module(strings.TrimPrefix(name, "testdata/"), string(text)))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	q, err := rego.New(options...).PrepareForEval(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// current is today's library on an engine that remembers nothing.
func current(tb testing.TB) policy.View {
	tb.Helper()
	modules, err := bundles.CoreModules()
	if err != nil {
		tb.Fatal(err)
	}
	s, err := policy.Compile(tb.Context(), policy.Source{Modules: modules, Data: office()})
	if err != nil {
		tb.Fatal(err)
	}
	e, err := policy.NewEngine(policy.Config{Entries: -1, AuditEvery: -1, Timeout: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	e.Install(s)
	return e.View()
}

func whole(tb testing.TB, input map[string]any) policy.Whole {
	tb.Helper()
	v, err := ast.InterfaceToValue(input)
	if err != nil {
		tb.Fatal(err)
	}
	return policy.Whole{Value: v}
}

func TestTheBaselineAndTodayDecideTheSame(t *testing.T) {
	then, now := baseline(t), current(t)
	allowed := 0
	for i := range 100 {
		input := colleague(i)
		results, err := then.Eval(t.Context(), rego.EvalInput(input), rego.EvalTime(time.UnixMilli(officeTime)))
		if err != nil || len(results) != 1 {
			t.Fatalf("baseline: got %v, %v", results, err)
		}
		want := results[0].Expressions[0].Value.(map[string]any)
		got, err := now.Decide(t.Context(), policy.DefaultEntrypoint, whole(t, input), time.UnixMilli(officeTime))
		if err != nil || got.Reason != want["reason"] || (got.Effect == policy.Allow) != want["allow"] {
			t.Errorf("question %d: got %s %s, %v, want %v", i, got.Effect, got.Reason, err, want)
		}
		if got.Effect == policy.Allow {
			allowed++
		}
	}
	if allowed == 0 || allowed == 100 {
		t.Errorf("got %d of 100 allowed, want some of each", allowed)
	}
}

// BenchmarkUncached is a decision that is evaluated: the bar is today's CPU at most
// 0.4 of the baseline's.
func BenchmarkUncached(b *testing.B) {
	b.Run("library=baseline", func(b *testing.B) {
		q := baseline(b)
		measure(b, func(i int) error {
			_, err := q.Eval(b.Context(), rego.EvalInput(colleague(i%1000)), rego.EvalTime(time.UnixMilli(officeTime)))
			return err
		})
	})
	b.Run("library=current", func(b *testing.B) {
		view := current(b)
		inputs := make([]policy.Whole, 1000)
		for i := range inputs {
			inputs[i] = whole(b, colleague(i))
		}
		measure(b, func(i int) error {
			_, err := view.Decide(b.Context(), policy.DefaultEntrypoint, inputs[i%1000], time.UnixMilli(officeTime))
			return err
		})
	})
}

// measure reports CPU time beside elapsed time: others may use the machine too.
func measure(b *testing.B, f func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	before, i := cpu(b), 0
	for b.Loop() {
		if err := f(i); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
