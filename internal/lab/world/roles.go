package world

import "slices"

// resources and actions are the names of permissions; some look like what has a meaning elsewhere.
func resources() []string {
	return []string{"doc", "doc", "img", "-", "-", "stytch.self", "$self", "ünï", ".", "", "do:c"}
}

func actions() []string {
	return []string{"read", "read", "write", "shred", "fe.users.read", "a:b", "$self", "@root", ""}
}

// roleKeys are the keys of roles, at every owner, so that keys shadow each other and full ids meet keys
// with dots.
func roleKeys() []string {
	return []string{
		"reader", "reader", "writer", "admin", "admin", "a.reader", "acme.reader", "a.b", "eu.admin",
		"*", "$self", "@root", "", "ünï",
	}
}

// growCatalog declares permissions; a third of the worlds have no catalog.
func (w *World) growCatalog(d dice) {
	for range 6 {
		w.permissions = append(w.permissions, permission{pick(d, resources()...), pick(d, actions()...)})
	}
	if d.chance(33) {
		return
	}
	catalog := map[string]any{}
	if !d.rare(40) {
		for _, p := range w.permissions {
			actions, _ := catalog[p.resource].(map[string]any)
			if actions == nil {
				actions = map[string]any{}
				catalog[p.resource] = actions
			}
			actions[p.action] = declaration(d)
			w.declared = append(w.declared, p)
		}
	}
	w.rbac["catalog"] = catalog
	for range 2 { // some names are undeclared
		w.permissions = append(w.permissions, permission{pick(d, resources()...), pick(d, actions()...)})
	}
}

func declaration(d dice) map[string]any {
	declared := map[string]any{}
	switch d.IntN(6) {
	case 0:
		declared["class"] = "never"
	case 1:
		declared["class"] = "always"
	case 2:
		declared["class"] = "assignable"
	}
	switch d.IntN(5) {
	case 0, 1:
		declared["managed"] = true
	case 2:
		declared["managed"] = false
	}
	return declared
}

// growRoles makes root roles and tenants' roles.
func (w *World) growRoles(d dice) {
	roles := map[string]any{}
	for range 7 + d.IntN(8) {
		owner := root
		if d.chance(55) {
			owner = pick(d, w.tenants...)
		}
		key := pick(d, roleKeys()...)
		id := below(owner, key)
		if _, taken := roles[id]; taken {
			continue
		}
		roles[id] = w.role(d, owner, key)
		w.roleIDs = append(w.roleIDs, id)
		if !slices.Contains(w.roleKeys, key) {
			w.roleKeys = append(w.roleKeys, key)
		}
	}
	w.rbac["roles"] = roles
}

func (w *World) role(d dice, owner, key string) map[string]any {
	role := map[string]any{"owner": owner, "key": key}
	switch {
	case owner == root && d.chance(25) || d.rare(15):
		role["type"] = "predefined"
	case d.chance(50):
		role["type"] = "custom"
	}
	if d.chance(70) {
		role["level"] = number(int64(d.IntN(4)))
	}
	w.roleVisibility(d, role, owner)
	if windows := d.windows(20); len(windows) > 0 || d.chance(20) {
		role["windows"] = windows
	}
	if d.chance(92) {
		role["allow"] = w.statements(d, 4)
	}
	if d.chance(28) {
		role["deny"] = w.statements(d, 2)
	}
	return role
}

func (w *World) roleVisibility(d dice, role map[string]any, owner string) {
	if owner != root {
		if d.chance(60) {
			role["visibility"] = "OWNER"
		}
		if d.rare(10) {
			role["visibility"] = "ALL"
		}
		return
	}
	switch n := d.IntN(10); {
	case n < 5:
		role["visibility"] = "ALL"
	case n < 6:
		role["visibility"] = "NONE"
	case n < 8:
		role["visibility"] = "INCLUDE"
		include := map[string]any{}
		for _, node := range some(d, 4, w.tenants) {
			include[node] = true
		}
		role["include"] = include
	}
	if d.rare(30) {
		role["include"] = map[string]any{pick(d, w.tenants...): true}
	}
}

// statements is one side of a role: resource × action × target.
func (w *World) statements(d dice, most int) map[string]any {
	side := map[string]any{}
	for range 1 + d.IntN(most) {
		p := pick(d, w.permissions...)
		switch d.IntN(8) {
		case 0:
			p.resource = "*"
		case 1:
			p.action = "*"
		case 2:
			p = permission{"*", "*"}
		}
		actions, _ := side[p.resource].(map[string]any)
		if actions == nil {
			actions = map[string]any{}
			side[p.resource] = actions
		}
		targets, _ := actions[p.action].(map[string]any)
		if targets == nil {
			targets = map[string]any{}
			actions[p.action] = targets
		}
		for range 1 + d.IntN(2) {
			targets[w.target(d)] = true
		}
	}
	return side
}

func (w *World) target(d dice) string {
	switch n := d.IntN(20); {
	case n < 9:
		return "."
	case n < 11:
		return "$self"
	case n < 12:
		return root
	case n < 19:
		return pick(d, w.places...)
	default:
		return pick(d, "", "*", "a..b", "a.", "@", "$SELF", "..")
	}
}
