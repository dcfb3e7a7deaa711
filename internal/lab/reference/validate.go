package reference

import (
	"slices"
	"strings"
)

// codes collects what validation finds, each once.
type codes struct{ found set }

// add notes code, or code:object, or code:node:object.
func (c codes) add(code string, objects ...string) {
	c.found[strings.Join(append([]string{code}, objects...), ":")] = true
}

// Validate lists the codes of a document data.rbac, sorted. It knows every code of the model but
// bad_shape, which is the schema's, condition_too_deep, which speaks of another implementation's limit,
// and the routes' codes, which are not about this document.
func Validate(rbac map[string]any) []string {
	c := codes{set{}}
	c.missingRoot(rbac)
	for _, tenant := range keys(rbac["tenants"]) {
		if tenant != root {
			c.badTenant(tenant)
			c.unregisteredAncestor(rbac, tenant)
		}
		for _, r := range rulesAt(rbac, tenant) {
			c.rule(rbac, tenant, r)
		}
	}
	for _, id := range keys(rbac["roles"]) {
		r, ok := roleOf(rbac, id)
		if !ok {
			continue
		}
		c.identity(rbac, r)
		c.visibility(rbac, r)
		c.shadowedKey(rbac, r)
		c.roleType(r)
		c.level(r)
		c.windows(r.doc["windows"], id)
		for _, side := range []string{"allow", "deny"} {
			eachStatement(r.doc[side], func(p permission, target string) {
				c.statement(rbac, r, side, p, target)
			})
		}
	}
	for _, node := range keys(rbac["members"]) {
		c.members(rbac, node)
	}
	return c.found.sorted()
}

// missing_root: tenants lacks @root.
func (c codes) missingRoot(rbac map[string]any) {
	if !n7Registered(rbac, root) {
		c.add("missing_root")
	}
}

// bad_tenant: an empty segment or an @ in a tenant's key.
func (c codes) badTenant(tenant string) {
	if malformedTenant(tenant) {
		c.add("bad_tenant", tenant)
	}
}

func malformedTenant(tenant string) bool {
	return strings.Contains(tenant, "@") || slices.Contains(strings.Split(tenant, "."), "")
}

// unregistered_ancestor: a tenant whose ancestor is not registered. A missing @root has its own code, and
// so has a key that no ancestors can be read from.
func (c codes) unregisteredAncestor(rbac map[string]any, tenant string) {
	if malformedTenant(tenant) {
		return
	}
	for _, node := range ancestry(tenant) {
		if node != root && !n7Registered(rbac, node) {
			c.add("unregistered_ancestor", tenant)
		}
	}
}

// unknown_owner, role_id_mismatch: the owner is not a tenant; the id is not N3's.
func (c codes) identity(rbac map[string]any, r role) {
	if !n7Registered(rbac, r.owner()) {
		c.add("unknown_owner", r.id)
	}
	if r.id != n3ID(r.owner(), r.key()) {
		c.add("role_id_mismatch", r.id)
	}
}

// bad_visibility, include_without_list_visibility, include_unknown_tenant: a root role not ALL, NONE or
// INCLUDE, a tenant role not OWNER; a non-empty include without INCLUDE; a listed tenant that is not
// registered.
func (c codes) visibility(rbac map[string]any, r role) {
	switch visibility := r.visibility(); {
	case r.owner() != root && visibility != "OWNER",
		r.owner() == root && visibility != "ALL" && visibility != "NONE" && visibility != "INCLUDE":
		c.add("bad_visibility", r.id)
	}
	include := keys(r.doc["include"])
	if len(include) > 0 && r.visibility() != "INCLUDE" {
		c.add("include_without_list_visibility", r.id)
	}
	for _, tenant := range include {
		if !n7Registered(rbac, tenant) {
			c.add("include_unknown_tenant", r.id)
		}
	}
}

// shadowed_key: a tenant role whose key is also a root role's, which has its key as its id (N3).
func (c codes) shadowedKey(rbac map[string]any, r role) {
	if other, _ := roleOf(rbac, r.key()); r.owner() != root && other.owner() == root {
		c.add("shadowed_key", r.id)
	}
}

// bad_type, predefined_not_root: a type that is neither custom nor predefined; predefined and not
// root's.
func (c codes) roleType(r role) {
	if r.kind() != "custom" && r.kind() != "predefined" {
		c.add("bad_type", r.id)
	}
	if r.kind() == "predefined" && r.owner() != root {
		c.add("predefined_not_root", r.id)
	}
}

// bad_level: not an integer of at least 0.
func (c codes) level(r role) {
	if v, present := field(r.doc, "level"); present {
		if n, ok := integer(v); !ok || n.Sign() < 0 {
			c.add("bad_level", r.id)
		}
	}
}

// bad_window: not two instants in order.
func (c codes) windows(windows any, objects ...string) {
	for _, window := range list(windows) {
		bounds := list(window)
		if len(bounds) != 2 || !inOrder(bounds[0], bounds[1]) {
			c.add("bad_window", objects...)
		}
	}
}

func inOrder(a, b any) bool {
	start, ok := integer(a)
	end, ok2 := integer(b)
	return ok && ok2 && start.Cmp(end) < 0
}

// eachStatement calls f for each statement of a side: resource, action, target.
func eachStatement(side any, f func(permission, string)) {
	for _, resource := range keys(side) {
		actions := object(side)[resource]
		for _, action := range keys(actions) {
			for _, target := range keys(object(actions)[action]) {
				f(permission{resource, action}, target)
			}
		}
	}
}

// bad_wildcard: a * as a part of a name, or anywhere in a target, where it stands for nothing; such a
// statement gets no further code.
func (c codes) statement(rbac map[string]any, r role, side string, p permission, target string) {
	if partialWildcard(p.resource) || partialWildcard(p.action) || strings.Contains(target, "*") {
		c.add("bad_wildcard", r.id)
		return
	}
	q := &asking{rbac: rbac}
	c.notInCatalog(q, r, p)
	c.neverInCustom(q, r, side, p)
	c.predefinedUnmanaged(q, r, p)
	c.target(r, target)
}

func partialWildcard(name string) bool {
	return name != "*" && strings.Contains(name, "*")
}

// permission_not_in_catalog: named but undeclared, the resource alone where the action is *; under
// resource * an action is never undeclared.
func (c codes) notInCatalog(q *asking, r role, p permission) {
	_, exists := q.rbac["catalog"]
	_, resource := field(q.rbac, "catalog", p.resource)
	if exists && p.resource != "*" && (!resource || p.action != "*" && !q.declared(p)) {
		c.add("permission_not_in_catalog", r.id)
	}
}

// never_in_custom: a tenant's role allows class never by name.
func (c codes) neverInCustom(q *asking, r role, side string, p permission) {
	if side == "allow" && r.owner() != root && q.class(p) == "never" {
		c.add("never_in_custom", r.id)
	}
}

// predefined_unmanaged: a predefined statement that names a declared permission that is not managed.
func (c codes) predefinedUnmanaged(q *asking, r role, p permission) {
	if r.kind() == "predefined" && q.declared(p) && !q.managed(p) {
		c.add("predefined_unmanaged", r.id)
	}
}

// target_outside_owner: a tenant's role targets a path that its owner does not cover; nobody but @root
// covers what is no path.
func (c codes) target(r role, target string) {
	covered := r.owner() == root || n1WellFormed(target) && n1Covers(r.owner(), target)
	if target != "." && target != "$self" && !covered {
		c.add("target_outside_owner", r.id)
	}
}

// rule is one naming of a role at a node, and the condition under which it applies, if it has one.
type rule struct {
	role      string
	condition any
	has       bool
}

// rulesAt are a node's base, implicit, conditional and policy rules.
func rulesAt(rbac map[string]any, node string) []rule {
	tenant, _ := field(rbac, "tenants", node)
	var rules []rule
	for _, id := range textsField(tenant, "base_roles") {
		rules = append(rules, rule{role: id})
	}
	implicit, _ := field(tenant, "implicit")
	for _, fact := range keys(implicit) {
		for _, entry := range list(object(implicit)[fact]) {
			id, _ := textField(entry, "role")
			rules = append(rules, rule{role: id})
		}
	}
	conditions, _ := field(tenant, "conditional_roles")
	for _, id := range keys(conditions) {
		rules = append(rules, rule{role: id, condition: object(conditions)[id], has: true})
	}
	for _, list := range []string{"signup_roles", "first_user_roles", "idp_default_roles"} {
		for _, id := range textsField(tenant, "policy", list) {
			rules = append(rules, rule{role: id})
		}
	}
	return rules
}

// rule_unknown_role, rule_foreign_role, rule_role_not_visible: no such role; neither root's nor the
// node's; root's but not visible there. bad_condition: a malformed condition.
func (c codes) rule(rbac map[string]any, node string, named rule) {
	if named.has && !n16WellFormed(named.condition) {
		c.add("bad_condition", node, named.role)
	}
	r, exists := roleOf(rbac, named.role)
	switch {
	case !exists:
		c.add("rule_unknown_role", node, named.role)
	case r.owner() != root && r.owner() != node:
		c.add("rule_foreign_role", node, named.role)
	case !n12Visible(r, node):
		c.add("rule_role_not_visible", node, named.role)
	}
}

// member_unknown_tenant, bad_kind, grant_unknown_role, grant_not_visible, bad_window: the members of a
// node.
func (c codes) members(rbac map[string]any, node string) {
	if !n7Registered(rbac, node) {
		c.add("member_unknown_tenant", node)
	}
	members, _ := field(rbac, "members", node)
	for _, principal := range keys(members) {
		doc := object(object(members)[principal])
		switch n11RecordKind(doc) {
		case "user", "m2m", "api_key", "external":
		default:
			c.add("bad_kind", node, principal)
		}
		grants := object(doc["grants"])
		for _, id := range keys(doc["grants"]) {
			c.grant(rbac, node, principal, id)
			c.windows(grants[id], node, principal)
		}
	}
}

func (c codes) grant(rbac map[string]any, node, principal, id string) {
	r, exists := roleOf(rbac, id)
	switch {
	case !exists:
		c.add("grant_unknown_role", node, principal)
	case !n12Visible(r, node):
		c.add("grant_not_visible", node, principal)
	}
}

// ValidateChange lists what a change of documents may not do to predefined roles (V18), sorted.
func ValidateChange(old, rbac map[string]any) []string {
	c := codes{set{}}
	v18Modified(c, old, rbac)
	v18Added(c, old, rbac)
	return c.found.sorted()
}

// V18: predefined_modified, a predefined role changed or deleted.
func v18Modified(c codes, old, rbac map[string]any) {
	for _, id := range keys(old["roles"]) {
		before, _ := roleOf(old, id)
		after, _ := roleOf(rbac, id)
		if before.kind() == "predefined" && !same(before.doc, after.doc) {
			c.add("predefined_modified", id)
		}
	}
}

// V18: predefined_added, a role that becomes predefined or is added as such.
func v18Added(c codes, old, rbac map[string]any) {
	for _, id := range keys(rbac["roles"]) {
		before, _ := roleOf(old, id)
		after, _ := roleOf(rbac, id)
		if after.kind() == "predefined" && before.kind() != "predefined" {
			c.add("predefined_added", id)
		}
	}
}

// same tells whether two documents are equal as JSON: numbers by value, absent and null apart.
func same(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x.Cmp(y) == 0
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) || (x == nil) != (y == nil) {
			return false
		}
		for name, v := range x {
			w, ok := y[name]
			if !ok || !same(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	default: // text, truth, null
		_, object := b.(map[string]any)
		_, list := b.([]any)
		return !object && !list && a == b
	}
}
