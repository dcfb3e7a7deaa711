package world

import (
	"encoding/json"
	"maps"
	"slices"
)

// Broken is a document like the world's with a few faults that validation names, or with none.
func (w *World) Broken(g *Generator) map[string]any {
	d := g.dice
	rbac, _ := clone(w.rbac).(map[string]any)
	for range d.IntN(4) {
		w.breakOne(d, rbac)
	}
	return rbac
}

// Changed is a later version of the world's document in which some roles changed, left or came.
func (w *World) Changed(g *Generator) map[string]any {
	d := g.dice
	rbac, _ := clone(w.rbac).(map[string]any)
	roles := inside(rbac, "roles")
	for range d.IntN(4) {
		id := pick(d, w.roleIDs...)
		role := inside(roles, id)
		switch d.IntN(6) {
		case 0:
			delete(roles, id)
		case 1:
			role["type"] = pick(d, "predefined", "custom")
		case 2:
			delete(role, "type")
		case 3:
			role["level"] = pick(d, json.Number("0"), json.Number("1"), json.Number("1.0"), json.Number("9"))
		case 4:
			roles["new"] = map[string]any{"owner": root, "key": "new", "type": pick(d, "predefined", "custom")}
		default:
			inside(inside(role, "deny"), "doc")["dig"] = map[string]any{".": true}
		}
	}
	return rbac
}

// clone is a deep copy of decoded JSON.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = clone(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = clone(element)
		}
		return out
	default:
		return v
	}
}

// breakOne makes one fault.
func (w *World) breakOne(d dice, rbac map[string]any) {
	switch d.IntN(4) {
	case 0:
		w.breakTree(d, rbac)
	case 1:
		w.breakRole(d, rbac)
	case 2:
		w.breakRules(d, rbac)
	default:
		w.breakMembers(d, rbac)
	}
}

func (w *World) breakTree(d dice, rbac map[string]any) {
	tenants := inside(rbac, "tenants")
	switch d.IntN(5) {
	case 0:
		delete(tenants, root)
	case 1:
		tenants[pick(d, "a..b", ".a", "a.", "@", "a.@root", "@root.a", "x@y", "a@.b")] = map[string]any{}
	case 2:
		tenants[pick(d, "new.child", "a.gone.b", "eu.gone.eu")] = map[string]any{}
	default:
		delete(tenants, pick(d, w.tenants...))
	}
}

func (w *World) breakRole(d dice, rbac map[string]any) {
	roles := inside(rbac, "roles")
	id := pick(d, slices.Sorted(maps.Keys(roles))...)
	role := inside(roles, id)
	switch d.IntN(12) {
	case 0:
		role["owner"] = pick(d, "gone", root, pick(d, w.tenants...))
	case 1:
		role["key"] = pick(d, "other", "", "a.b")
	case 2:
		role["visibility"] = pick(d, "ALL", "NONE", "INCLUDE", "OWNER", "all", "")
	case 3:
		role["include"] = map[string]any{pick(d, "gone", pick(d, w.tenants...)): true}
	case 4:
		role["type"] = pick(d, "predefined", "PREDEFINED", "")
	case 5:
		role["level"] = pick[any](d, number(-1), json.Number("1.5"), json.Number("2.0"), "1", number(0))
	case 6:
		role["windows"] = []any{oddWindow(d)}
	default:
		w.breakStatement(d, role)
	}
}

// oddWindow is no window, or an odd one.
func oddWindow(d dice) any {
	return pick[any](d,
		[]any{number(2), number(1)}, []any{number(1)}, []any{}, []any{number(1), number(2), number(3)},
		[]any{"1", number(2)}, []any{number(1), json.Number("2.5")}, []any{number(1), json.Number("2.0")}, "always",
		map[string]any{"0": number(1), "1": number(2)}, number(1), []any{nil, number(1)},
	)
}

func (w *World) breakStatement(d dice, role map[string]any) {
	p := pick(d, w.permissions...)
	if d.chance(25) {
		p.resource = pick(d, "do*", "*", "**", "undeclared")
	}
	if d.chance(25) {
		p.action = pick(d, "*d", "*", "**", "undeclared")
	}
	side := inside(role, pick(d, "allow", "deny"))
	inside(inside(side, p.resource), p.action)[w.target(d)] = true
}

func (w *World) breakRules(d dice, rbac map[string]any) {
	node := pick(d, w.tenants...)
	tenant := inside(inside(rbac, "tenants"), node)
	id := pick(d, "gone", "", pick(d, w.roleIDs...))
	switch d.IntN(5) {
	case 0:
		tenant["base_roles"] = []any{id}
	case 1:
		tenant["implicit"] = map[string]any{"conn:okta": []any{map[string]any{"role": id, "enabled": d.chance(50)}}}
	case 2:
		inside(tenant, "conditional_roles")[id] = leaf(d)
	case 3:
		inside(tenant, "conditional_roles")[id] = condition(d, 3)
	default:
		inside(tenant, "policy")[pick(d, "signup_roles", "first_user_roles", "idp_default_roles")] = []any{id}
	}
}

func (w *World) breakMembers(d dice, rbac map[string]any) {
	members := inside(rbac, "members")
	node := pick(d, "gone", pick(d, w.tenants...), pick(d, w.tenants...), pick(d, w.tenants...))
	record := inside(inside(members, node), pick(d, principals()...))
	switch d.IntN(4) {
	case 0:
		record["kind"] = pick(d, "robot", "", "USER", "m2m")
	case 1:
		inside(record, "grants")[pick(d, w.roleIDs...)] = []any{oddWindow(d)}
	default:
		inside(record, "grants")[pick(d, "gone", "", pick(d, w.roleIDs...))] = []any{}
	}
}
