package bundles

import (
	"maps"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// removal takes a sentence of the model out of the library: one text in one file
// becomes another. Some test named after the sentence must notice.
type removal struct {
	sentence string
	file     string
	from, to string
}

func removals() []removal {
	return []removal{
		{"n1", "place/place.rego", `	not contains(path, "..")` + "\n", ""},
		{"n1", "place/place.rego", `	regex.match(`, `	not regex.match(`},
		{"n2", "place/place.rego", "\ttenant := data.rbac.aliases[name]\n", "\ttenant := data.rbac.aliases[name]\n\tfalse\n"},
		{"n3", "roles/roles.rego", `} else := concat(".", [node, key])`, `} else := key`},
		{"n4", "gate/gate.rego", "} else := \"unauthenticated\" if {\n\tnot identified\n", ""},
		{"n4", "gate/gate.rego", "\tis_string(principal)\n\tprincipal != \"\"\n", "\t_ = principal\n"},
		{"n4", "gate/gate.rego", "\tnot faulty\n", ""},
		{"n4", "gate/gate.rego", "\tnot input.route.public == true\n", ""},
		{"n5", "caller/caller.rego", `} else := "bundle" if not issued`, `} else := "bundle"`},
		{"n5", "caller/caller.rego", `	word in {"bundle", "token_roles", "token_permissions"}` + "\n", ""},
		{"n6", "token/token.rego", "\texp <= data.rolegate.now\n", "\tfalse\n"},
		{"n6", "token/token.rego", "\tnot instant(exp)\n", "\tfalse\n"},
		{"n6", "token/token.rego", "\tnbf > data.rolegate.now\n", "\tfalse\n"},
		{"n6", "token/token.rego", "\tnot instant(nbf)\n", "\tfalse\n"},
		{"n7", "place/place.rego", "\t_ = tenants[tenant]\n", ""},
		{"n8", "place/place.rego", "\tasked in covering\n", ""},
		{"n8", "place/place.rego", "some i, node in covering; _ = tenants[node]", "some i, node in covering; node == asked; _ = tenants[node]"},
		{"n9", "caller/caller.rego", "\tcount(depths) == count(tenants)\n", ""},
		{"n9", "caller/caller.rego", "\tsort(depths) == depths\n", ""},
		{"n10", "gate/gate.rego", "\t_ = caller.binding\n", ""},
		{"n11", "caller/caller.rego", `object.get(records[0][1], "kind", "user")`, `object.get(records[0][1], "kind", "external")`},
		{"n11", "caller/caller.rego", "array.concat(claimed, [depth | some [depth, _] in records])", "[depth | some [depth, _] in records]"},
		{"n12", "roles/roles.rego", `if role.include[seat] == true`, `if role.include`},
		{"n12", "roles/roles.rego", "\trole.owner == owner\n", ""},
		{"n12", "roles/roles.rego", "\t\trole.visibility == \"ALL\"\n", ""},
		{"n13", "roles/roles.rego", "in caller.records\n", "in array.slice(caller.records, 0, 1)\n"},
		{"n14", "roles/roles.rego", "\tnot rule.enabled == false\n", ""},
		{"n14", "roles/roles.rego", "\t[other | some other in others; not other in caller.facts] == []\n", ""},
		{"n14", "caller/caller.rego", "\t\t[word | word := input.subject.claims.email_verified; word != null; word != true] == []\n", ""},
		{"n14", "caller/caller.rego", "lower(domain)", "domain"},
		{"n15", "roles/roles.rego", "\tcaller.kind in {\"user\", \"external\"}\n\tnodes := place.nodes\n\ttenants := data.rbac.tenants\n\tdepth := caller.binding\n", "\tnodes := place.nodes\n\ttenants := data.rbac.tenants\n\tdepth := caller.binding\n"},
		{"n16", "roles/roles.rego", "\tcaller.kind == \"user\"\n", ""},
		{"n16", "condition/condition.rego", "lower(value) == lower(wanted) if {", "value == wanted if {"},
		{"n16", "condition/condition.rego", "\ttype_name(value) == type_name(wanted)\n", ""},
		{"n17", "roles/roles.rego", "\tgranted == []\n", ""},
		{"n17", "roles/roles.rego", "\timplied == []\n", ""},
		{"n17", "roles/roles.rego", "\tconditional == []\n", ""},
		{"n17", "roles/roles.rego", "\tcaller.connections[0]\n", ""},
		{"n18", "roles/roles.rego", "tenants[node].policy.override == true", "_ = tenants[node].policy"},
		{"n18", "admin/signup.rego", "\troles.shown(held, tenant, tenant)\n", ""},
		{"n19", "roles/roles.rego", "implied := [[id, node, nodes[min([depth, caller.binding])], []]", "implied := [[id, node, nodes[depth], []]"},
		{"n19", "roles/roles.rego", "base := [[id, node, nodes[depth], []]", "base := [[id, node, node, []]"},
		{"n20", "standing/standing.rego", "\topen(candidate[4])\n", ""},
		{"n20", "standing/standing.rego", "\topen(candidate[5])\n", ""},
		{"n21", "standing/standing.rego", "data.rolegate.now < end", "data.rolegate.now <= end"},
		{"n21", "standing/standing.rego", "start <= data.rolegate.now", "start < data.rolegate.now"},
		{"n22", "roles/roles.rego", "\t\trole.owner == node\n", ""},
		{"n22", "roles/roles.rego", "\t\trole.owner in rungs\n", ""},
		{"n22", "standing/standing.rego", `"deny": array.concat(bundled, carried)`, `"deny": carried`},
		{"n22", "standing/standing.rego", "believed := bundled if {\n\tcaller.authority == \"bundle\"\n} else := carried", "believed := bundled"},
		{"n23", "verdict/verdict.rego", "\tcaller.authority != \"token_permissions\"\n", ""},
		{"n23", "standing/standing.rego", `"deny": array.concat(bundled, carried)`, `"deny": bundled`},
		{"n24", "question/question.rego", `array.concat(["."], place.covering)`, `["."]`},
		{"n24", "question/question.rego", "\tinput.route.owner == input.subject.id\n", "\tplace.covering\n"},
		{"n25", "question/question.rego", "\tpermission[2] != null\n", "\tpermission\n"},
		{"n26", "verdict/verdict.rego", `outcome := [false, "explicit_deny", set()] if {`, `outcome := [false, "explicit_deny", set()] if {` + "\n\tfalse"},
		{"n27", "verdict/verdict.rego", "\tstanding.sides.allow == []\n", "\tfalse\n"},
		{"n28", "verdict/verdict.rego", `speaks(role) if not role.type == "predefined"`, `speaks(_)`},
		{"n28", "verdict/verdict.rego", "permission[2].managed == true", "permission[2]"},
		{"n29", "verdict/verdict.rego", "\t\tnot withheld(role)\n", ""},
		{"n30", "verdict/verdict.rego", "matching := named | givers if {", "matching := named if {"},
		{"n30", "verdict/verdict.rego", "\tobject.get(role, \"type\", \"custom\") == \"custom\"\n", ""},
		{"n31", "verdict/verdict.rego", "\tsatisfying == set()\n", "\tfalse\n"},
		{"n31", "verdict/verdict.rego", "some name in [id, role.key]", "some name in [id]"},
		{"n32", "permissions/permissions.rego", "in (allowed - denied)", "in allowed"},
		{"n32", "permissions/permissions.rego", "\tnot struck(resource, action)\n", ""},
		{"n33", "decision.rego", "array.concat(expiry, standing.sides.turns)", "expiry"},
		{"n33", "decision.rego", "array.concat(expiry, turns_within)", "turns_within"},
		{"n33", "decision.rego", "instant > now", "instant >= now"},
		{"n34", "gate/gate.rego", "\tnot token.revocations\n", ""},
		{"n34", "standing/standing.rego", "; not pair[0] in struck", ""},
		{"n34", "standing/standing.rego", "[until | some [_, until] in revoked],", "[],"},
		{"n34", "decision.rego", "turns_within := token.revocations if {", "turns_within := [] if {"},
		{"n35", "gate/gate.rego", "\tnot question.complete\n", "\tfalse\n"},
		{"n35", "verdict/verdict.rego", `} else := [true, "allowed", satisfying]`, `} else := [false, "no_permission", set()]`},
		{"a1", "admin/assignment.rego", "\tnot role\n", "\tfalse\n"},
		{"a2", "admin/assignment.rego", "\tnot roles.shown(role, node, node)\n", "\tfalse\n"},
		{"a3", "admin/assignment.rego", "\tnot recorded\n", "\tfalse\n"},
		{"a4", "admin/assignment.rego", "\tinput.plane == \"management\"\n", "\tfalse\n"},
		{"a5", "admin/assignment.rego", "\tnot strongest\n", "\tfalse\n"},
		{"a5", "admin/assignment.rego", "\tlevel(role) < strongest\n", "\tfalse\n"},
		{"a6", "admin/assignment.rego", "\tnot weaker_or_equal(target_strongest)\n", "\tfalse\n"},
		{"s1", "admin/search.rego", `object.get(record, "sso", null)`, "null"},
		{"s1", "admin/search.rego", "\troles.shown(held, owner, seat)\n", ""},
		{"extension_deny", "verdict/verdict.rego", "\tdenial := extension.denial\n", "\tdenial := extension.denial\n\tfalse\n"},
		{"extension_allow", "verdict/verdict.rego", "\t_ = question.permission\n\textension.allows\n", "\tfalse\n"},
		{"extension_candidates", "extension/extension.rego", "\tnode in place.nodes\n", "\t_ = place.nodes\n"},
		{"extension_valid_until", "decision.rego", "[bound | some bound in extension.bounds]", "[]"},
		{"missing_root", "validation/tenants.rego", "\tnot registered[\"@root\"]\n", "\tfalse\n"},
		{"change", "validation/change.rego", "\tnot data.rbac.roles[id] == role\n", "\tfalse\n"},
		{"change", "validation/change.rego", "\tnot input.old.roles[id].type == \"predefined\"\n", "\tfalse\n"},
	}
}

// TestNothingCanBeRemoved shows that every sentence has a test that can fail.
func TestNothingCanBeRemoved(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the library for every sentence")
	}
	t.Parallel()
	texts, parsed := sources(t), allModules(t)
	for _, r := range removals() {
		t.Run(r.sentence, func(t *testing.T) {
			t.Parallel()
			name := "rolegate/" + r.file
			if strings.Count(texts[name], r.from) == 0 {
				t.Fatalf("%s: got no %q, want what is to be removed", name, r.from)
			}
			mutant, err := ast.ParseModuleWithOpts(name, strings.ReplaceAll(texts[name], r.from, r.to), ast.ParserOptions{})
			if err != nil {
				t.Fatalf("%s without %q: %v", name, r.from, err)
			}
			mutated := maps.Clone(parsed)
			mutated[name] = mutant
			ran, failed, err := runRego(t, mutated, `test_`+r.sentence+`(_|$)`, nil)
			if err != nil {
				t.Fatalf("%s without %q: %v", name, r.from, err)
			}
			if len(failed) == 0 {
				t.Errorf("%s with %q in place of %q: got %d tests of %s that pass, want one that fails", name, r.to, r.from, ran, r.sentence)
			}
		})
	}
}

// TestEveryProblemIsMissed removes each rule that reports a problem, by itself.
func TestEveryProblemIsMissed(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the library for every problem")
	}
	t.Parallel()
	parsed := allModules(t)
	for name, module := range parsed {
		if !strings.HasPrefix(name, "rolegate/validation/") || strings.HasSuffix(name, "_test.rego") {
			continue
		}
		for i, rule := range module.Rules {
			if !strings.HasSuffix(string(rule.Head.Name), "problems") && !strings.HasSuffix(rule.Head.Ref().String(), "problems") {
				continue
			}
			t.Run(rule.Location.String(), func(t *testing.T) {
				t.Parallel()
				mutant := module.Copy()
				mutant.Rules = append(mutant.Rules[:i:i], mutant.Rules[i+1:]...)
				mutated := maps.Clone(parsed)
				mutated[name] = mutant
				_, failed, err := runRego(t, mutated, `validation_test\.`, nil)
				if err != nil {
					t.Fatal(err)
				}
				if len(failed) == 0 {
					t.Errorf("without the rule at %v every test passes, want one that fails", rule.Location)
				}
			})
		}
	}
}
