package bundles

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"
)

// show renders what a law failed on, so that it can be put into a case.
func show(values ...any) string {
	text, _ := json.Marshal(values)
	return string(text)
}

// answer is what the library says of a drawn question at the instant 1000.
func answer(t *rapid.T, compiler *ast.Compiler, entrypoint string, data, input map[string]any) map[string]any {
	value, err := ask(t.Context(), compiler, entrypoint, data, input, 1000)
	if err != nil {
		t.Fatalf("%s: got error %v, want an answer to %s", entrypoint, err, show(data, input))
	}
	result, ok := value.(map[string]any)
	if !ok {
		t.Fatalf("%s: got %v, want an object for %s", entrypoint, value, show(data, input))
	}
	return result
}

// TestAnswersToAnything holds that no data and no input is an error, that every
// answer has its parts, and that the report is the decision and more.
func TestAnswersToAnything(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	for _, hostile := range []int{0, 3, 15} {
		rapid.Check(t, func(t *rapid.T) {
			d := draw(t, hostile)
			data, input := d.rbac(), d.request()
			decision := answer(t, compiler, "data.rolegate.decision", data, input)
			report := answer(t, compiler, "data.rolegate.report", data, input)
			if decision["allow"] != (decision["reason"] == "allowed" || decision["reason"] == "public") {
				t.Errorf("got allow %v with reason %v for %s", decision["allow"], decision["reason"], show(data, input))
			}
			if decision["reason"] == "policy_error" {
				t.Errorf("got policy_error for %s", show(data, input))
			}
			keys := []string{"allow", "granting_roles", "reason", "roles", "valid_until"}
			if _, ok := decision["tenant"]; ok {
				keys = append(keys, "tenant")
				slices.Sort(keys)
			}
			if diff := cmp.Diff(keys, slices.Sorted(maps.Keys(decision))); diff != "" {
				t.Errorf("keys of the decision (-want +got):\n%s\nfor %s", diff, show(data, input))
			}
			delete(report, "permissions")
			if diff := cmp.Diff(decision, report); diff != "" {
				t.Errorf("report other than the decision (-decision +report):\n%s\nfor %s", diff, show(data, input))
			}
		})
	}
}

// TestAdministrationAnswersToAnything holds the same for the other entry points.
func TestAdministrationAnswersToAnything(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	for _, hostile := range []int{0, 5, 20} {
		rapid.Check(t, func(t *rapid.T) {
			d := draw(t, hostile)
			data, old := d.rbac(), d.rbac()
			request := map[string]any{}
			d.maybe(request, 95, "op", func() any { return d.of("assign", "unassign") })
			d.maybe(request, 95, "plane", func() any { return d.of("management", "self_service") })
			d.maybe(request, 95, "actor", func() any { return map[string]any{"principal": d.of("u", "v"), "claims": d.claims()} })
			d.maybe(request, 95, "target", func() any { return d.of("u", "v", "w") })
			d.maybe(request, 95, "role", func() any { return d.of(d.role()) })
			d.maybe(request, 95, "node", func() any { return d.of(d.node()) })
			d.maybe(request, 95, "tenant", func() any { return d.of(d.node()) })
			d.maybe(request, 50, "first", func() any { return d.of(true) })
			request["old"] = old
			for _, entrypoint := range []string{
				"assignment", "signup", "search", "validation", "member_validation", "change_validation",
			} {
				value, err := ask(t.Context(), compiler, "data.rolegate.admin."+entrypoint, data, request, 1000)
				if err != nil || value == nil {
					t.Errorf("%s: got %v, %v, want an answer to %s", entrypoint, value, err, show(data, request))
				}
			}
		})
	}
}

// TestShortCutsChangeNothing holds that what is answered in short where data is
// simple would be answered the same in full.
func TestShortCutsChangeNothing(t *testing.T) {
	t.Parallel()
	quick := library(t)
	parsed, err := CoreModules()
	if err != nil {
		t.Fatal(err)
	}
	for name, cut := range map[string]string{
		"rolegate/roles/roles.rego":         "\tcount(held) == count(candidates)\n",
		"rolegate/condition/condition.rego": "\tcondition.op == \"eq\"\n",
		"rolegate/token/token.rego":         "\tvalue < 1000000000000000000\n",
	} {
		text := sources(t)[name]
		if !strings.Contains(text, cut) {
			t.Fatalf("%s: got no %q, want the short cut", name, cut)
		}
		parsed[name] = ast.MustParseModule(strings.Replace(text, cut, "\tfalse\n", 1))
	}
	full := ast.NewCompiler()
	full.Compile(parsed)
	if full.Failed() {
		t.Fatal(full.Errors)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, 2)
		data, input := d.rbac(), d.request()
		want := answer(t, full, "data.rolegate.report", data, input)
		got := answer(t, quick, "data.rolegate.report", data, input)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in short other than in full (-full +short):\n%s\nfor %s", diff, show(data, input))
		}
	})
}

// TestMoreDenialsNeverAllow holds that giving a role a deny statement never turns
// a denial into an allow.
func TestMoreDenialsNeverAllow(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, 0)
		data, input := d.rbac(), d.request()
		before := answer(t, compiler, "data.rolegate.decision", data, input)
		roles, _ := data["roles"].(map[string]any)
		id := d.role()
		role, ok := roles[id].(map[string]any)
		if !ok {
			return
		}
		denying := maps.Clone(role)
		denying["deny"] = d.statements()
		if _, ok := role["deny"]; ok {
			return
		}
		changed := maps.Clone(data)
		changed["roles"] = maps.Clone(roles)
		changed["roles"].(map[string]any)[id] = denying
		after := answer(t, compiler, "data.rolegate.decision", changed, input)
		if before["allow"] == false && after["allow"] == true {
			t.Errorf("got an allow from a deny of %s: %s", id, show(changed, input))
		}
	})
}

// TestHoldsUntilItSays holds N33: just before valid_until a fresh answer is the same.
func TestHoldsUntilItSays(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, 2)
		data, input := d.rbac(), d.request()
		first := answer(t, compiler, "data.rolegate.decision", data, input)
		until := int64(1 << 40)
		if bound, ok := first["valid_until"].(json.Number); ok {
			at, err := bound.Float64()
			if err != nil || at <= 1000 {
				t.Fatalf("got valid_until %v, want an instant after 1000 or null for %s", bound, show(data, input))
			}
			until = int64(at)
		}
		later, err := ask(t.Context(), compiler, "data.rolegate.decision", data, input, until-1)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(first), later); diff != "" {
			t.Errorf("at %d (-at 1000 +later):\n%s\nfor %s", until-1, diff, show(data, input))
		}
	})
}

// TestReportAgreesWithDecisions holds that a declared permission is reported
// exactly if asking for it, here and now, is allowed.
func TestReportAgreesWithDecisions(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, 0)
		data, input := d.rbac(), d.request()
		catalog, ok := data["catalog"].(map[string]any)
		if !ok {
			return
		}
		route := maps.Clone(input["route"].(map[string]any))
		delete(route, "roles_any")
		for resource, actions := range catalog {
			for action := range actions.(map[string]any) {
				route["resource"], route["action"] = resource, action
				asked := map[string]any{"subject": input["subject"], "route": route}
				report := answer(t, compiler, "data.rolegate.report", data, asked)
				text := resource + ":" + action
				if resource == "-" {
					text = action
				}
				reported := slices.Contains(report["permissions"].([]any), any(text))
				if allowed := report["reason"] == "allowed"; allowed != reported {
					t.Errorf("%s: got allowed %v, reported %v, want them equal for %s", text, allowed, reported, show(data, asked))
				}
			}
		}
	})
}

// TestNumbersAreNoKeys holds that a number in a request never finds what the data
// has under its digits, though a store would look there.
func TestNumbersAreNoKeys(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	var data map[string]any
	if err := json.Unmarshal([]byte(`{
		"issuers": {"5": {}}, "aliases": {"5": "acme"},
		"roles": {"5": {"owner": "@root", "key": "5", "allow": {"*": {"*": {".": true}}}}},
		"tenants": {"@root": {}, "acme": {}, "5": {}},
		"members": {"acme": {"5": {"grants": {"5": []}}, "ann": {"grants": {"5": []}}}}}`), &data); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ entrypoint, input, want string }{
		{"decision", `{"subject":{"id":"ann","claims":{"iss":5}},"route":{"tenant":"acme","action":"a"}}`, "untrusted_issuer"},
		{"decision", `{"subject":{"id":"ann"},"route":{"tenant":5,"action":"a"}}`, "unknown_tenant"},
		{"decision", `{"subject":{"id":5},"route":{"tenant":"acme","action":"a"}}`, "unauthenticated"},
		{"decision", `{"subject":{"id":"ann","claims":{"tenant":5}},"route":{"tenant":"acme","action":"a"}}`, "tenant_mismatch"},
		{"admin.assignment", `{"op":"assign","plane":"management","target":"ann","role":5,"node":"acme"}`, "unknown_role"},
		{"admin.assignment", `{"op":"unassign","plane":"management","target":"ann","role":5,"node":"acme"}`, "not_explicit"},
		{"admin.assignment", `{"op":"assign","plane":"management","target":"ann","role":"5","node":5}`, "unknown_tenant"},
	} {
		var input map[string]any
		if err := json.Unmarshal([]byte(c.input), &input); err != nil {
			t.Fatal(err)
		}
		got, err := ask(t.Context(), compiler, "data.rolegate."+c.entrypoint, data, input, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if whole, ok := got.(map[string]any); ok {
			got = whole["reason"]
		}
		if got != c.want {
			t.Errorf("%s: got %v, want %s for %s", c.entrypoint, got, c.want, c.input)
		}
	}
}
