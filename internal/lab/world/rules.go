package world

import (
	"encoding/json"
	"slices"
)

// facts are keys of implicit rules. The parts around | and = are chosen so that different facts of
// different sessions spell the same text; domains in upper case never match.
func facts() []string {
	return []string{
		"email:acme.com", "email:acme.com", "email:acme.com", "email:eu.acme.com", "email:ACME.com", "email:", "email:nobody", "email:\u00fcn\u00ef.eu",
		"conn:okta", "conn:okta", "conn:okta", "conn:saml-1", "conn:a|b", "conn:",
		"group:okta|eng", "group:okta|eng", "group:a|b|c", "group:okta|", "group:saml-1|eng",
		"extrole:admin", "extrole:admin", "extrole:okta|admin", "extrole:a|b|admin",
		"claim:dep=sec", "claim:dep=a=b", "claim:a=b=c", "claim:dep=", "unknown:fact", "",
	}
}

// growRules gives tenants their base, implicit and conditional roles and their policies.
func (w *World) growRules(d dice) {
	registered, _ := w.rbac["tenants"].(map[string]any)
	for _, node := range w.tenants {
		tenant, ok := registered[node].(map[string]any)
		if !ok {
			continue
		}
		if d.chance(30) {
			tenant["base_roles"] = w.named(d, node, 2)
		}
		if d.chance(60) || node == root {
			tenant["policy"] = w.policy(d, node)
		}
		if d.chance(55) {
			tenant["implicit"] = w.implicit(d, node)
		}
		if d.chance(50) {
			tenant["conditional_roles"] = w.conditional(d, node)
		}
	}
}

// ruleRole is a role for a rule at a node: mostly one that the node may name.
func (w *World) ruleRole(d dice, node string) string {
	if d.chance(5) {
		return pick(d, "nobody", "", pick(d, w.roleIDs...))
	}
	var lawful []string
	for _, id := range w.roleIDs {
		if owner := w.roleField(id, "owner"); owner == root || owner == node {
			lawful = append(lawful, id)
		}
	}
	if len(lawful) == 0 {
		return pick(d, w.roleIDs...)
	}
	return pick(d, lawful...)
}

func (w *World) roleField(id, name string) any {
	roles, _ := w.rbac["roles"].(map[string]any)
	role, _ := roles[id].(map[string]any)
	return role[name]
}

func (w *World) named(d dice, node string, most int) []any {
	var ids []string
	for range d.IntN(most + 1) {
		if id := w.ruleRole(d, node); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return list(ids)
}

func (w *World) policy(d dice, node string) map[string]any {
	policy := map[string]any{}
	switch d.IntN(5) {
	case 0, 1, 2:
		policy["override"] = true
	case 3:
		policy["override"] = false
	}
	for _, name := range []string{"signup_roles", "first_user_roles", "idp_default_roles"} {
		if d.chance(75) {
			policy[name] = w.named(d, node, 3)
		}
	}
	return policy
}

func (w *World) implicit(d dice, node string) map[string]any {
	rules := map[string]any{}
	for range 1 + d.IntN(4) {
		var entries []any
		for range 1 + d.IntN(2) {
			entry := map[string]any{"role": w.ruleRole(d, node)}
			if d.chance(25) {
				entry["all"] = list(some(d, 2, facts()))
			}
			switch d.IntN(8) {
			case 0:
				entry["enabled"] = false
			case 1:
				entry["enabled"] = true
			}
			entries = append(entries, entry)
		}
		rules[pick(d, facts()...)] = entries
	}
	return rules
}

func (w *World) conditional(d dice, node string) map[string]any {
	conditions := map[string]any{}
	for range 1 + d.IntN(3) {
		conditions[w.ruleRole(d, node)] = condition(d, max(0, d.IntN(8)-3))
	}
	if d.chance(10) {
		conditions[w.ruleRole(d, node)] = negations(d, 4+d.IntN(9))
	}
	return conditions
}

// pointers lead to attributes, and past them.
func pointers() []string {
	return []string{
		"/org", "/org", "/n", "/flag", "/nested/a~1b", "/nested/m~0n", "/nested", "/many", "/many/0", "/missing",
		"/nested/none/x", "/", "/odd~01",
	}
}

// operands are the values of comparisons.
func operands() []any {
	return []any{
		"sales", "SALES", "sale", "", "straße", number(7), number(8), number(0), true, false, "7", "true",
	}
}

// condition is a random tree of conditions, at most so deep.
func condition(d dice, depth int) map[string]any {
	if d.rare(15) {
		return malformed(d)
	}
	if depth == 0 || d.chance(40) {
		return leaf(d)
	}
	switch d.IntN(5) {
	case 0, 1:
		return map[string]any{"op": "and", "of": conditions(d, depth-1)}
	case 2, 3:
		return map[string]any{"op": "or", "of": conditions(d, depth-1)}
	default:
		return map[string]any{"op": "not", "of": condition(d, depth-1)}
	}
}

func conditions(d dice, depth int) []any {
	parts := []any{}
	for range d.IntN(4) {
		parts = append(parts, condition(d, depth))
	}
	return parts
}

// leaf compares mostly what has the type of the attribute: other types only ever disagree.
func leaf(d dice) map[string]any {
	switch d.IntN(12) {
	case 0:
		return map[string]any{"op": "pr", "p": pick(d, pointers()...)}
	case 1:
		return map[string]any{"op": pick(d, "true", "false")}
	case 2, 3:
		return comparison(d, pick(d, pointers()...), operands())
	case 4, 5, 6:
		return comparison(d, "/n", numbers())
	case 7:
		return comparison(d, "/flag", []any{true, false})
	default:
		return comparison(d, pick(d, "/org", "/org", "/many", "/nested/a~1b", "/nested/m~0n"), words())
	}
}

func comparison(d dice, path string, operands []any) map[string]any {
	return map[string]any{
		"op": pick(d, "eq", "eq", "co", "sw", "lt", "le", "gt", "ge"), "p": path, "v": pick(d, operands...),
	}
}

// words and numbers are few, so that order, equality and parts are each met often.
func words() []any {
	return []any{"sales", "SALES", "sale", "Sal", "les", "", "straße", "support"}
}

func numbers() []any {
	return []any{number(6), number(7), number(8), json.Number("7.0"), json.Number("7.5"), number(0), number(-7)}
}

// malformed is a condition with an unknown op or a missing part.
func malformed(d dice) map[string]any {
	return pick(d,
		map[string]any{"op": "ne", "p": "/org", "v": "sales"},
		map[string]any{"op": "eq", "v": "sales"},
		map[string]any{"op": "eq", "p": "/org"},
		map[string]any{"op": "eq", "p": "org", "v": "sales"},
		map[string]any{"op": "pr"},
		map[string]any{"op": "pr", "p": ""},
		map[string]any{"op": "and"},
		map[string]any{"op": "or"},
		map[string]any{"op": "not"},
		map[string]any{"op": "not", "of": []any{map[string]any{"op": "false"}}},
		map[string]any{"op": "and", "of": map[string]any{"op": "true"}},
		map[string]any{"op": "or", "of": []any{"true"}},
		map[string]any{"op": "eq", "p": "/org", "v": []any{"sales"}},
		map[string]any{"op": "eq", "p": "/org", "v": nil},
		map[string]any{"op": "eq", "p": "/org~2", "v": "sales"},
		map[string]any{"op": "sw", "p": "/~", "v": ""},
		map[string]any{"op": "co", "p": []any{"/org"}, "v": "sales"},
		map[string]any{"op": nil, "p": "/org", "v": "sales"},
		map[string]any{"p": "/org", "v": "sales"},
		map[string]any{},
	)
}

// negations is a chain of nots above a leaf.
func negations(d dice, depth int) map[string]any {
	c := leaf(d)
	for range depth {
		c = map[string]any{"op": "not", "of": c}
	}
	return c
}
