package world_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/internal/lab/reference"
	"github.com/rolegate/rolegate/internal/lab/world"
)

// drawn is a question of a random world, its data and the answer of the sentences.
type drawn struct {
	world    *world.World
	question map[string]any
	data     reference.Data
	report   reference.Report
}

func draw(t *rapid.T) drawn {
	w := world.New(rapid.Uint64().Draw(t, "world"))
	question := w.Question(world.NewGenerator(rapid.Uint64().Draw(t, "question")))
	data := w.For(question)
	return drawn{w, question, data, reference.Decide(data, question)}
}

// with is the same data with another value at a path of members; the data itself stays as it is.
func with(v, value any, path ...string) map[string]any {
	object, _ := v.(map[string]any)
	out := maps.Clone(object)
	if out == nil {
		out = map[string]any{}
	}
	if len(path) == 1 {
		out[path[0]] = value
	} else {
		out[path[0]] = with(out[path[0]], value, path[1:]...)
	}
	return out
}

func (d drawn) decideWith(value any, path ...string) reference.Report {
	return reference.Decide(reference.Data{RBAC: with(d.data.RBAC, value, path...), Authz: d.data.Authz}, d.question)
}

func (d drawn) someRole(t *rapid.T) string {
	roles, _ := d.data.RBAC["roles"].(map[string]any)
	return rapid.SampledFrom(slices.Sorted(maps.Keys(roles))).Draw(t, "role")
}

func (d drawn) statement(t *rapid.T) []string {
	return []string{
		rapid.SampledFrom([]string{"*", "doc", "-", "img"}).Draw(t, "resource"),
		rapid.SampledFrom([]string{"*", "read", "write", "shred"}).Draw(t, "action"),
		rapid.SampledFrom([]string{".", "$self", "@root", "a"}).Draw(t, "target"),
	}
}

// N26: adding a deny statement never turns a deny into an allow.
func TestMoreDeniesAllowNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		path := append([]string{"roles", d.someRole(t), "deny"}, d.statement(t)...)
		if after := d.decideWith(true, path...); after.Allow && !d.report.Allow {
			t.Fatalf("adding %v made an allow of %+v\nquestion: %v", path, d.report, d.question)
		}
	})
}

// N27: adding an allow statement never turns an allow into a deny.
func TestMoreAllowsDenyNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		path := append([]string{"roles", d.someRole(t), "allow"}, d.statement(t)...)
		if after := d.decideWith(true, path...); !after.Allow && d.report.Allow {
			t.Fatalf("adding %v made %+v of an allow\nquestion: %v", path, after, d.question)
		}
	})
}

// N34: revoking anything never turns a deny into an allow.
func TestRevokingAllowsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		principal, _ := d.question["principal"].(string)
		path := rapid.SampledFrom([][]string{
			{"revoked", "grants", "@root", principal, d.someRole(t)},
			{"revoked", "principals", "@root", principal},
			{"revoked", "tokens", "j-1"},
		}).Draw(t, "entry")
		if after := d.decideWith(json.Number("0"), path...); after.Allow && !d.report.Allow {
			t.Fatalf("adding %v made an allow of %+v\nquestion: %v", path, d.report, d.question)
		}
	})
}

// N33: until valid_until, nothing that a report says changes.
func TestNothingTurnsBeforeValidUntil(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		now := instant(d.question["time"])
		until := now + 100_000
		if bound, bounded := d.report.ValidUntil.(json.Number); bounded {
			if until = min(until, instant(bound)); until <= now {
				return
			}
		}
		later := rapid.OneOf(rapid.Just(until-1), rapid.Int64Range(now, until-1)).Draw(t, "later")
		question := with(d.question, json.Number(strconv.FormatInt(later, 10)), "time")
		if diff := cmp.Diff(d.report, reference.Decide(d.data, question)); diff != "" {
			t.Fatalf("at %d, before %v (-then +later):\n%s\nquestion: %v", later, d.report.ValidUntil, diff, d.question)
		}
	})
}

func instant(v any) int64 {
	text, _ := v.(json.Number)
	n, err := text.Int64()
	if err != nil {
		return 1 << 62 // later than anything a world has
	}
	return n
}

// N32: what is reported as a permission is allowed when asked for, and what is declared and not
// reported is not; granting roles are roles.
func TestPermissionsAreAnswers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		for _, id := range d.report.GrantingRoles {
			if !slices.Contains(d.report.Roles, id) {
				t.Fatalf("granting role %q is no role: %+v", id, d.report)
			}
		}
		catalog, exists := d.data.RBAC["catalog"].(map[string]any)
		if !exists || len(d.report.Roles) == 0 {
			return
		}
		question := maps.Clone(d.question)
		delete(question, "roles_any")
		data := reference.Data{RBAC: d.data.RBAC} // an extension grants and denies whole requests
		for resource, actions := range catalog {
			for action := range actions.(map[string]any) {
				question["resource"], question["action"] = resource, action
				name := resource + ":" + action
				if resource == "-" {
					name = action
				}
				report := reference.Decide(data, question)
				if listed := slices.Contains(report.Permissions, name); listed != report.Allow {
					t.Fatalf("%q listed: %t, answer: %+v\nquestion: %v", name, listed, report, question)
				}
			}
		}
	})
}

// N2: a tenant's alias asks what its name asks, unless the name is itself an alias.
func TestAliasesAreNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		tenant, isText := d.question["tenant"].(string)
		aliases, _ := d.data.RBAC["aliases"].(map[string]any)
		if _, taken := aliases[tenant]; taken || !isText {
			return
		}
		question := with(d.question, "uuid-new", "tenant")
		data := reference.Data{RBAC: with(d.data.RBAC, tenant, "aliases", "uuid-new"), Authz: d.data.Authz}
		if diff := cmp.Diff(d.report, reference.Decide(data, question)); diff != "" {
			t.Fatalf("(-name +alias):\n%s\nquestion: %v", diff, d.question)
		}
	})
}
