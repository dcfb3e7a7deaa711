package world

import (
	"maps"
	"slices"
	"strings"
)

// principals are ids of callers; some look like what has a meaning elsewhere.
func principals() []string {
	return []string{
		"ann", "ann", "bob", "u.v", "acme.ann", root, "*", "$self", "ünï", "a\u200bnn", " ", strings.Repeat("p", longName),
	}
}

// growMembers records some principals at some nodes.
func (w *World) growMembers(d dice) {
	for range 5 {
		w.principals = append(w.principals, pick(d, principals()...))
	}
	members := map[string]any{}
	for _, node := range w.tenants {
		at := map[string]any{}
		for _, principal := range w.principals {
			if _, there := at[principal]; there || !d.chance(35) {
				continue
			}
			at[principal] = w.record(d, node, principal)
			w.memberships = append(w.memberships, membership{node, principal})
		}
		if len(at) > 0 || d.chance(10) {
			members[node] = at
		}
	}
	w.rbac["members"] = members
}

func (w *World) record(d dice, node, principal string) map[string]any {
	record := map[string]any{}
	if d.chance(75) {
		record["kind"] = pick(d, "user", "user", "user", "user", "m2m", "api_key", "external")
	}
	if d.chance(50) {
		record["email"] = pick(d, emails()...)
	}
	if d.chance(80) {
		record["attrs"] = attributes(d)
	}
	if d.chance(30) {
		record["sso"] = registrations(d)
	}
	if d.chance(70) {
		record["grants"] = w.grants(d, node, principal)
	}
	return record
}

// grants are mostly of roles visible at the node, and often of the same role at several nodes.
func (w *World) grants(d dice, node, principal string) map[string]any {
	grants := map[string]any{}
	for range 1 + d.IntN(3) {
		id := w.ruleRole(d, node)
		if d.chance(10) {
			id = pick(d, w.roleIDs...)
		}
		grants[id] = d.windows(25)
		w.remember(principal, id)
	}
	return grants
}

// remember notes the permissions that a principal's role speaks of, so that questions ask for them.
func (w *World) remember(principal, id string) {
	for _, side := range []string{"allow", "deny"} {
		statements, _ := w.roleField(id, side).(map[string]any)
		for _, resource := range slices.Sorted(maps.Keys(statements)) {
			actions, _ := statements[resource].(map[string]any)
			for _, action := range slices.Sorted(maps.Keys(actions)) {
				w.held[principal] = append(w.held[principal], permission{resource, action})
			}
		}
	}
}

func emails() []string {
	return []string{"a@acme.com", "a@acme.com", "a@ACME.com", "b@eu.acme.com", "\"x@evil.net\"@acme.com", "nobody", "z@", "", "q@ÜNÏ.eu"}
}

// registrations are well-formed SSO connections, of a record or of a session.
func registrations(d dice) map[string]any {
	sso := map[string]any{}
	for range 1 + d.IntN(2) {
		connection := map[string]any{}
		if d.chance(60) {
			connection["groups"] = list(some(d, 3, []string{"eng", "eng", "ops", "c", "b|c", ""}))
		}
		if d.chance(40) {
			connection["roles"] = list(some(d, 2, []string{"admin", "okta|admin", "user", "b|admin"}))
		}
		sso[pick(d, "okta", "okta", "okta", "saml-1", "a|b", "a", "")] = connection
	}
	return sso
}

// attributes are what conditions read.
func attributes(d dice) map[string]any {
	attrs := map[string]any{}
	for _, name := range []string{"org", "n", "flag", "many", "", "odd~1"} {
		if d.chance(70) {
			attrs[name] = attribute(d, name)
		}
	}
	if d.chance(50) {
		attrs["nested"] = map[string]any{"a/b": attribute(d, "org"), "m~n": attribute(d, "org")}
	}
	return attrs
}

// attribute is a value that conditions on the name are about, or any other.
func attribute(d dice, name string) any {
	if d.chance(25) {
		return pick[any](d, nil, map[string]any{}, []any{}, []any{nil, pick(d, operands()...)}, pick(d, operands()...))
	}
	switch name {
	case "n":
		return pick(d, numbers()...)
	case "flag":
		return d.chance(50)
	case "many":
		return []any{pick(d, words()...), pick(d, words()...), pick(d, numbers()...)}
	default:
		return pick(d, words()...)
	}
}

// growRevoked revokes some tokens, principals and grants, for a time or for ever.
func (w *World) growRevoked(d dice) {
	w.jtis = []string{"j-1", "j-2", "", "ünï", "5"}
	if d.chance(30) {
		return
	}
	tokens, people, grants := map[string]any{}, map[string]any{}, map[string]any{}
	for _, jti := range some(d, 2, w.jtis) {
		tokens[jti] = d.until()
	}
	for _, m := range w.memberships {
		node := pick(d, w.above(m.node)...)
		if d.chance(3) {
			inside(people, node)[m.principal] = d.until()
		}
		if d.chance(25) {
			inside(inside(grants, node), m.principal)[pick(d, w.roleIDs...)] = d.until()
		}
	}
	w.rbac["revoked"] = map[string]any{"tokens": tokens, "principals": people, "grants": grants}
}

// inside is the object at a key, made if it is not there.
func inside(object map[string]any, key string) map[string]any {
	inner, ok := object[key].(map[string]any)
	if !ok {
		inner = map[string]any{}
		object[key] = inner
	}
	return inner
}
