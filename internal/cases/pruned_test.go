package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/footprint"
	"github.com/rolegate/rolegate/policy/policytest"
)

const guarded = `package authz

default allow := false

allow if {
	input.user == "ann"
	not input.user in data.blocked
}

deny contains "frozen" if input.route.tenant == "frozen"

reads if input.method in {"GET", "HEAD"}`

// Ways in which authors give a test its input. Each of the tests passes.
const giving = `package authz_test

import data.authz

test_literal if authz.allow with input as {"user": "ann", "noise": 1}

test_variable if {
	some user in ["ann"]
	authz.allow with input as {"user": user}
}

test_not if not authz.allow with input as {"user": "ann"} with data.blocked as ["ann"]

test_denied if "frozen" in authz.deny with input as {"route": {"tenant": "frozen", "path": "x"}}

test_part if "frozen" in authz.deny with input.route.tenant as "frozen"

test_two_parts if {
	authz.allow with input.user as "ann" with input.method as "PUT"
	authz.reads with input as {"user": "bob"} with input.method as "GET"
}

answer(user, method) := {"allow": allow, "denied": denied} if {
	request := {"user": user, "method": method, "route": {"tenant": "frozen"}}
	allow := authz.allow with input as request
	denied := count(authz.deny) with input as request
}

test_helper if answer("ann", "GET") == {"allow": true, "denied": 1}

test_every if {
	every m in ["GET", "HEAD"] {
		authz.reads with input as {"method": m}
	}
}

test_gathered if {
	got := {m | some m in ["GET", "PUT"]; authz.reads with input as {"method": m}}
	got == {"GET"}
}

test_kinds[m] if {
	some m in ["GET", "HEAD"]
	authz.reads with input as {"method": m}
}

test_whole if {
	data.echo.all == {"a": 1, "b": 2} with input as {"a": 1, "b": 2}
}`

func given(t *testing.T) RegoTests {
	t.Helper()
	parse := func(text string) *ast.Module {
		return ast.MustParseModuleWithOpts(text, ast.ParserOptions{RegoVersion: ast.RegoV1})
	}
	return RegoTests{
		Modules: map[string]*ast.Module{"authz.rego": parse(guarded), "echo.rego": parse("package echo\n\nall := input")},
		Tests:   map[string]*ast.Module{"authz_test.rego": parse(giving)},
		Store:   inmem.NewFromObject(map[string]any{"blocked": []any{}}),
	}
}

func outcomes(t *testing.T, tests RegoTests, p *pruner) (lines []string) {
	t.Helper()
	err := tests.compare(t.Context(), p, func(r Result) error {
		lines = append(lines, fmt.Sprintf("%s passed=%t pruned=%t", strings.TrimPrefix(r.Name, "data.authz_test."), r.Passed, errors.Is(r.Err, errPruned)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// TestPrunedTests: what passes on the whole input passes on what its footprint holds, in
// whatever way the test gives it.
func TestPrunedTests(t *testing.T) {
	tests := given(t)
	for _, line := range outcomes(t, tests, newPruner(tests.Tests, newPlans())) {
		if !strings.HasSuffix(line, "passed=true pruned=false") {
			t.Error(line)
		}
	}
}

// TestPrunedTestsNoticeABlindAnalysis: with an analysis that finds nothing, each test that
// needs its input fails, and says who is to blame.
func TestPrunedTestsNoticeABlindAnalysis(t *testing.T) {
	tests := given(t)
	p := newPruner(tests.Tests, newPlans())
	p.analyze = func(*ast.Compiler, ast.Ref, func(ast.Ref) ast.Value) *footprint.Footprint {
		return &footprint.Footprint{}
	}
	var want []string
	for _, name := range []string{"denied", "every", "gathered", "helper", "kinds", "literal", "not", "part", "two_parts", "variable", "whole"} {
		noticed := name != "not" // it passes on nothing at all, too
		want = append(want, fmt.Sprintf("test_%s passed=%t pruned=%t", name, !noticed, noticed))
	}
	if diff := cmp.Diff(want, outcomes(t, tests, p)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPrunedCases: a case is run on the whole input and on what the footprint holds of
// it, and so is what requests are asked.
func TestPrunedCases(t *testing.T) {
	s := policytest.Snapshot(t, `
-- data.json --
{"rbac": {"tenants": {"@root": {}, "acme": {}}, "roles": {"reader": {"owner": "@root", "key": "reader", "allow": {"documents": {"read": {".": true}}}}},
 "members": {"acme": {"ann": {"grants": {"reader": []}}}}}}
`)
	c := Case{
		Name: "reads", Op: "decide", Expect: map[string]any{"allow": true},
		Request: map[string]any{"principal": "ann", "tenant": "acme", "resource": "documents", "action": "read"},
	}
	for _, blind := range []string{"", "rolegate/report", policy.DefaultEntrypoint} {
		r, err := NewRunner(s, s, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		asked := map[string]bool{}
		r.pruned = func(v policy.View, ctx context.Context, entrypoint string, in policy.Input, at time.Time) (ast.Value, error) {
			asked[entrypoint] = true
			if entrypoint == blind {
				in = policy.Whole{}
			}
			return v.EvalPruned(ctx, entrypoint, in, at)
		}
		got := r.Run(t.Context(), c)
		if got.Passed != (blind == "") || errors.Is(got.Err, errPruned) != (blind != "") {
			t.Errorf("blind for %q: passed %t, %v", blind, got.Passed, got.Err)
		}
		if blind == "" && (!asked["rolegate/report"] || !asked[policy.DefaultEntrypoint]) {
			t.Errorf("asked on the footprint: %v, want the report and the decision", asked)
		}
	}
}
