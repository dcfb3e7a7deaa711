package world

import "slices"

// Question is one question about the world, in the notation that reference.Decide reads.
func (w *World) Question(d *Generator) map[string]any {
	return w.question(d.dice)
}

// asked is a question in the making: where it is about, for whom, and when.
type asked struct {
	principal string
	tenant    string // the T that is aimed at
	now       int64
}

func (w *World) question(d dice) map[string]any {
	a := asked{now: epoch}
	if d.chance(60) {
		a.now = d.clock()
	}
	node := pick(d, w.tenants...)
	a.principal = pick(d, append(w.principals, "stranger", "ann")...)
	if len(w.memberships) > 0 && d.chance(80) {
		m := pick(d, w.memberships...)
		node, a.principal = m.node, m.principal
	}
	a.tenant = w.near(d, node)

	q := map[string]any{"principal": a.principal, "time": number(a.now)}
	w.askWhere(d, a, q)
	w.askWhat(d, a, q)
	if d.chance(30) {
		q["kind"] = pick[any](d, "user", "user", "m2m", "api_key", "external", "robot", "", nil)
	}
	if d.chance(40) {
		q["owner"] = pick[any](d, a.principal, a.principal, pick(d, w.principals...), "", nil)
	}
	if d.chance(70) {
		q["claims"] = w.claims(d, a)
	}
	if d.chance(7) {
		w.askAsNewcomer(d, a, q)
	}
	w.askOddly(d, q)
	return q
}

// askAsNewcomer makes the caller one that only a session speaks for, as at a first sign-in.
func (w *World) askAsNewcomer(d dice, a asked, q map[string]any) {
	q["principal"] = "stranger"
	q["kind"] = pick(d, "user", "external")
	q["claims"] = map[string]any{"tenant": pick(d, w.above(a.tenant)...), "sso": registrations(d), "email": pick(d, emails()...)}
}

// askWhere names the tenant and the place: at, above and below targets and tenants.
func (w *World) askWhere(d dice, a asked, q map[string]any) {
	named := a.tenant
	if d.chance(25) {
		named = pick(d, w.above(a.tenant)...)
	}
	q["tenant"] = named
	if named != a.tenant || d.chance(55) {
		q["path"] = pick(d, w.under(a.tenant)...)
	}
	if len(w.aliases) > 0 && d.chance(8) {
		q["tenant"] = pick(d, w.aliases...)
		if d.chance(60) {
			delete(q, "path")
		}
	}
	switch n := d.IntN(100); {
	case n < 2:
		q["path"] = pick[any](d,
			"", ".", "a..b", "a.", ".a", "*", "$self", "@root.a", "a.@root", "a\u00a0b", "a\u2003b", "a\tb", "a\u0085b", "a\u007fb",
			"a$", "acme*", nil,
		)
	case n < 4:
		q["path"] = pick(d, w.places...)
	case n < 5:
		if path, ok := q["path"].(string); ok {
			q["path"] = path + pick(d, "x", ".x", ".", " ", ".*", ".$self", "2", ".\u1680", ".\u200b", ".\uff20root")
		}
	case n < 6:
		q["tenant"] = pick[any](d, "nowhere", "", "uuid-2", "uuid-9", ".", "@ROOT", " @root", nil)
	}
}

// askWhat names a permission, roles, or both: mostly something that some statement speaks of.
func (w *World) askWhat(d dice, a asked, q map[string]any) {
	p := pick(d, w.permissions...)
	if held := w.held[a.principal]; len(held) > 0 && d.chance(60) {
		p = pick(d, held...)
	}
	if p.resource == "*" && !d.rare(20) {
		p.resource = pick(d, w.permissions...).resource
	}
	if p.action == "*" && !d.rare(20) {
		p.action = pick(d, w.permissions...).action
	}
	if len(w.declared) > 0 && !slices.Contains(w.declared, p) && d.chance(70) {
		p = pick(d, w.declared...)
	}
	q["resource"], q["action"] = p.resource, p.action
	if p.resource == "-" && d.chance(50) {
		delete(q, "resource")
	}
	if d.chance(18) {
		names := append(some(d, 2, w.roleIDs), some(d, 1, w.roleKeys)...)
		q["roles_any"] = list(names)
	}
	switch n := d.IntN(100); {
	case n < 5:
		delete(q, "action")
	case n < 6:
		q["action"] = nil
	case n < 9:
		q["roles_any"] = nil
	case n < 10:
		q["roles_any"] = []any{}
	}
}

// askOddly turns a question into what is not quite one.
func (w *World) askOddly(d dice, q map[string]any) {
	switch n := d.IntN(1000); {
	case n < 8:
		q["route_error"] = pick(d, "no_route", "route_incomplete")
	case n < 22:
		q["public"] = true
	case n < 26:
		q["public"] = false
	case n < 36:
		q["subject_error"] = "bad signature"
	case n < 46:
		q["principal"] = pick[any](d, "", nil)
	case n < 50:
		delete(q, "principal")
	}
	if d.rare(12) { // a front end sends texts; whatever else comes opens nothing
		q[pick(d, "principal", "kind", "tenant", "path", "owner")] = misshape(d)
	}
	if d.rare(10) {
		for _, name := range []string{"route_error", "public", "subject_error"} {
			if d.chance(50) {
				q[name] = map[string]any{"route_error": "no_route", "public": true, "subject_error": "expired"}[name]
			}
		}
	}
}

// Assignment is one request to assign or unassign a role, in the notation that reference.Assignment
// reads.
func (w *World) Assignment(g *Generator) map[string]any {
	d := g.dice
	node := pick(d, w.tenants...)
	target := pick(d, w.principals...)
	actor := pick(d, w.principals...)
	if len(w.memberships) > 0 {
		m := pick(d, w.memberships...)
		node, target = m.node, m.principal
		for range 4 {
			if above := pick(d, w.memberships...); covers(above.node, node) {
				actor = above.principal
			}
		}
	}
	q := map[string]any{
		"op":     pick(d, "assign", "unassign"),
		"plane":  pick(d, "management", "self_service", "self_service", "self_service"),
		"target": target,
		"role":   w.assignable(d, node, target),
		"node":   node,
		"time":   number(d.clock()),
	}
	who := map[string]any{"principal": actor}
	if d.chance(40) {
		who["claims"] = w.claims(d, asked{principal: actor, tenant: node, now: epoch})
	}
	q["actor"] = who
	switch n := d.IntN(100); {
	case n < 8 && len(w.aliases) > 0:
		q["node"] = pick(d, w.aliases...)
	case n < 11:
		q["node"] = pick(d, "nowhere", "", "@ROOT")
	case n < 15:
		q["target"] = "stranger"
	case n < 19:
		q["role"] = pick(d, "nobody", "", "*")
	}
	return q
}

// assignable is a role that the target has at the node, or could have there.
func (w *World) assignable(d dice, node, target string) string {
	members, _ := w.rbac["members"].(map[string]any)
	at, _ := members[node].(map[string]any)
	record, _ := at[target].(map[string]any)
	grants, _ := record["grants"].(map[string]any)
	if len(grants) > 0 && d.chance(50) {
		ids := make([]string, 0, len(grants))
		for id := range grants {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return pick(d, ids...)
	}
	if d.chance(70) {
		return w.ruleRole(d, node)
	}
	return pick(d, w.roleIDs...)
}

// Search is one request for the members that have a role, in the notation that reference.Search reads.
func (w *World) Search(g *Generator) map[string]any {
	d := g.dice
	tenant := pick(d, w.tenants...)
	if len(w.memberships) > 0 && d.chance(80) {
		tenant = pick(d, w.memberships...).node
	}
	q := map[string]any{"tenant": tenant, "role": w.ruleRole(d, tenant)}
	w.renameTenant(d, q)
	return q
}

// Signup is one signup, in the notation that reference.Signup reads.
func (w *World) Signup(g *Generator) map[string]any {
	d := g.dice
	q := map[string]any{"tenant": pick(d, w.tenants...), "first": d.chance(50)}
	w.renameTenant(d, q)
	return q
}

func (w *World) renameTenant(d dice, q map[string]any) {
	switch n := d.IntN(100); {
	case n < 12 && len(w.aliases) > 0:
		q["tenant"] = pick(d, w.aliases...)
	case n < 15:
		q["tenant"] = pick(d, "nowhere", "", "@ROOT")
	}
}
