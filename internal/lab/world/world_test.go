package world_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/reference"
	"github.com/rolegate/rolegate/internal/lab/world"
)

// questionsEach is how many questions are asked of one world before the next is made.
const questionsEach = 50

// ask draws questions of successive worlds.
func ask(questions int, f func(w *world.World, question map[string]any)) {
	for seed := range uint64(questions / questionsEach) {
		w := world.New(seed)
		g := world.NewGenerator(seed)
		for range questionsEach {
			f(w, w.Question(g))
		}
	}
}

// TestDistribution holds the generator to its purpose: every reason is reached, often, and enough
// questions are allowed.
func TestDistribution(t *testing.T) {
	t.Parallel()
	const questions = 20_000
	reasons, allowed := map[string]int{}, 0
	ask(questions, func(w *world.World, question map[string]any) {
		report := reference.Decide(w.For(question), question)
		reasons[report.Reason]++
		if report.Allow {
			allowed++
		}
	})
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("%6d %s", reasons[reason], reason)
	}
	t.Logf("%6d allowed of %d", allowed, questions)
	for reason, least := range map[string]int{
		"no_route": 30, "route_incomplete": 30, "public": 100, "bad_credential": 100, "unauthenticated": 100,
		"untrusted_issuer": 200, "token_expired": 200, "token_not_yet_valid": 100, "unknown_tenant": 200,
		"path_outside_tenant": 200, "revoked": 100, "tenant_mismatch": 200, "not_member": 200,
		"unknown_permission": 200, "incomplete_question": 200, "explicit_deny": 500, "no_roles": 500,
		"missing_role": 200, "no_permission": 500, "allowed": 3000, "custom": 20, "after_hours": 20,
	} {
		if reasons[reason] < least {
			t.Errorf("reason %s: got %d of %d questions, want at least %d", reason, reasons[reason], questions, least)
		}
	}
	if allowed*100 < questions*15 {
		t.Errorf("got %d allowed of %d questions, want at least 15 %%", allowed, questions)
	}
}

func TestSameSeedSameWorld(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		a, b := world.New(seed), world.New(seed)
		if diff := cmp.Diff(a.Data, b.Data); diff != "" {
			t.Fatalf("world %d differs from itself:\n%s", seed, diff)
		}
		ga, gb := world.NewGenerator(seed), world.NewGenerator(seed)
		for range 50 {
			if diff := cmp.Diff(a.Question(ga), b.Question(gb)); diff != "" {
				t.Fatalf("world %d asks differently:\n%s", seed, diff)
			}
		}
	}
}

// TestFeatures counts what matters inside a decision and shows in no reason: each feature must be
// decisive for some question, which is measured by taking it out of the data.
func TestFeatures(t *testing.T) {
	t.Parallel()
	const questions = 6_000
	decisive := map[string]int{}
	ask(questions, func(w *world.World, question map[string]any) {
		data := w.For(question)
		want := reference.Decide(data, question)
		for _, feature := range features() {
			changed := reference.Data{RBAC: feature.without(data.RBAC), Authz: data.Authz}
			if !cmp.Equal(want, reference.Decide(changed, question)) {
				decisive[feature.name]++
			}
		}
	})
	for _, feature := range features() {
		t.Logf("%6d %s", decisive[feature.name], feature.name)
		if decisive[feature.name] < 10 {
			t.Errorf("%s changed %d of %d answers, want at least 10", feature.name, decisive[feature.name], questions)
		}
	}
}

// feature is a part of the model, by what a document is without it.
type feature struct {
	name    string
	without func(map[string]any) map[string]any
}

func features() []feature {
	var all []feature
	for _, name := range []string{"aliases", "catalog", "revoked", "members", "issuers"} {
		all = append(all, feature{name, func(rbac map[string]any) map[string]any { return without(rbac, name).(map[string]any) }})
	}
	for _, path := range []string{
		"tenants/*/base_roles", "tenants/*/implicit", "tenants/*/conditional_roles", "tenants/*/policy",
		"tenants/*/policy/override", "tenants/*/policy/idp_default_roles", "tenants/*/implicit/*/*/all",
		"tenants/*/implicit/*/*/enabled",
		"members/*/*/kind", "members/*/*/email", "members/*/*/attrs", "members/*/*/grants",
		"roles/*/deny", "roles/*/windows", "roles/*/visibility", "roles/*/include", "roles/*/type",
		"catalog/*/*/class", "catalog/*/*/managed", "issuers/*/tenant", "issuers/*/authority",
		"revoked/tokens", "revoked/principals", "revoked/grants",
	} {
		all = append(all, feature{path, func(rbac map[string]any) map[string]any {
			return without(rbac, strings.Split(path, "/")...).(map[string]any)
		}})
	}
	return all
}

// without is a copy of v that lacks what the path leads to; * leads into every member or element.
func without(v any, path ...string) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for name, member := range v {
			switch {
			case path[0] != "*" && path[0] != name:
			case len(path) == 1:
				delete(out, name)
			default:
				out[name] = without(member, path[1:]...)
			}
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, element := range v {
			if path[0] == "*" && len(path) > 1 {
				out[i] = without(element, path[1:]...)
			}
		}
		return out
	default:
		return v
	}
}

// TestAdministration holds the generator of administrative questions to its purpose.
func TestAdministration(t *testing.T) {
	t.Parallel()
	answers := map[string]int{}
	for seed := range uint64(400) {
		w, g := world.New(seed), world.NewGenerator(seed)
		data := reference.Data{RBAC: w.RBAC()}
		for range 20 {
			answers[reference.Assignment(data, w.Assignment(g))]++
			for _, sources := range reference.Search(data, w.Search(g)) {
				for _, source := range sources {
					answers["search "+source]++
				}
			}
			answers[fmt.Sprintf("signup %t", len(reference.Signup(data, w.Signup(g))) > 0)]++
		}
	}
	for _, answer := range []string{
		"ok", "unknown_tenant", "unknown_role", "role_not_visible", "not_explicit", "actor_has_no_role",
		"role_stronger_than_actor", "target_stronger_than_actor",
		"search grant", "search implicit", "search conditional", "search base", "signup true", "signup false",
	} {
		t.Logf("%6d %s", answers[answer], answer)
		if answers[answer] < 40 {
			t.Errorf("got %d answers %q, want at least 40", answers[answer], answer)
		}
	}
}

// TestJSON: a world is what JSON can carry, so that a shrunk case can be written to a file.
func TestJSON(t *testing.T) {
	t.Parallel()
	ask(100, func(w *world.World, question map[string]any) {
		text, err := json.Marshal(map[string]any{"data": w.Data, "question": question})
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.UseNumber()
		var back map[string]any
		if err := decoder.Decode(&back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(question, back["question"]); diff != "" {
			t.Fatalf("question (-made +read):\n%s", diff)
		}
	})
}

func BenchmarkQuestion(b *testing.B) {
	b.ReportAllocs()
	w, g := world.New(1), world.NewGenerator(1)
	asked := 0
	for b.Loop() {
		asked++
		if asked%questionsEach == 0 {
			w = world.New(uint64(asked))
		}
		question := w.Question(g)
		reference.Decide(w.For(question), question)
	}
}
