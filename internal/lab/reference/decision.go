package reference

import (
	"math/big"
	"slices"
	"strings"
)

// Decide answers a question in the notation of case files: principal, kind, tenant, path, resource,
// action, owner, roles_any, time (milliseconds) and claims. Three more members stand for what a
// request can be beside a question: route_error (a reason), public (true) and subject_error (any
// value).
func Decide(data Data, question map[string]any) Report {
	q := ask(data, question)
	if reason := q.n4BeforeAll(); reason != "" {
		return q.beforeAll(reason)
	}
	reason := q.gates()
	if reason == "" {
		reason = q.n25n35Gate()
	}
	if reason != "" {
		return q.report(verdict{reason: reason, until: q.n33Gate(reason)})
	}
	h := q.holdings()
	return q.report(q.decide(h))
}

// beforeAll answers what N4 says before anyone is asked for. The extension's deny wins over public.
func (q *asking) beforeAll(reason string) Report {
	if reason == "public" {
		if denied := q.extensionDeny(); denied != "" {
			return q.report(verdict{reason: denied})
		}
		return q.report(verdict{allow: true, reason: reason})
	}
	return q.report(verdict{reason: reason})
}

// verdict is an answer before it is written down.
type verdict struct {
	allow       bool
	reason      string
	roles       set
	granting    set
	permissions set
	until       *big.Float
}

func (q *asking) report(v verdict) Report {
	return Report{
		Allow:         v.allow,
		Reason:        v.reason,
		Tenant:        q.tenant,
		Roles:         v.roles.sorted(),
		GrantingRoles: v.granting.sorted(),
		Permissions:   v.permissions.sorted(),
		ValidUntil:    milliseconds(q.n33Extension(v.until)),
	}
}

// holdings are the roles of a request that passed the gates.
type holdings struct {
	allow, deny set
	snapshot    []permission // N23: the token's permissions; empty when there is no snapshot
	until       *big.Float   // N33
}

// permission is a resource and an action; either may be a literal *.
type permission struct{ resource, action string }

// name writes a permission as reports do: the action alone where the resource is "-".
func (p permission) name() string {
	if p.resource == "-" {
		return p.action
	}
	return p.resource + ":" + p.action
}

// holdings gathers the roles that allow and those that deny (N22, N23, N34).
func (q *asking) holdings() holdings {
	candidates := q.candidates()
	bundle := q.n20Effective(candidates)
	var resolved []role
	if q.authority != authorityBundle {
		resolved = q.n22Resolved()
	}
	h := q.n22n23Roles(bundle, q.n22Effective(resolved))
	h.allow = q.n34WithoutRevokedGrants(h.allow)
	h.until = q.n33Decision(candidates, resolved)
	return h
}

// N22, N23: under bundle both sides are the bundle's roles; in the token modes the token's roles
// allow, and the token's and the bundle's deny; under token_permissions the token's list is the
// only allow.
func (q *asking) n22n23Roles(bundle, token set) holdings {
	if q.authority == authorityBundle {
		return holdings{allow: bundle, deny: bundle}
	}
	h := holdings{allow: token, deny: set{}}
	for id := range bundle {
		h.deny[id] = true
	}
	for id := range token {
		h.deny[id] = true
	}
	if q.authority == authorityPermissions {
		h.snapshot = n23Snapshot(q.claims["permissions"])
	}
	return h
}

// N22: the roles that the token's keys resolve to: an own key from B upwards, then a full id whose
// owner covers B; the first hit decides.
func (q *asking) n22Resolved() []role {
	var found []role
	for _, key := range textsField(q.claims, "roles") {
		if r, ok := n22Lookup(q.rbac, q.binding, key); ok {
			found = append(found, r)
		}
	}
	return found
}

// N22: one key of a token's role list.
func n22Lookup(rbac map[string]any, binding, key string) (role, bool) {
	for _, node := range ancestry(binding) {
		r, ok := roleOf(rbac, n3ID(node, key))
		if ok && r.owner() == node && r.key() == key {
			return r, true
		}
	}
	r, ok := roleOf(rbac, key)
	return r, ok && n1Covers(r.owner(), binding)
}

// N22: of the roles a token names, those that are visible (a tenant's role at its owner, a root role
// at B) and within their windows.
func (q *asking) n22Effective(resolved []role) set {
	effective := set{}
	for _, r := range resolved {
		at := r.owner()
		if at == root {
			at = q.binding
		}
		if n12Visible(r, at) && n20Open(r.windows(), q.now) {
			effective[r.id] = true
		}
	}
	return effective
}

// N23, definitions: permissions in tokens are literal, split at the first colon.
func n23Snapshot(claim any) []permission {
	var found []permission
	for _, text := range texts(claim) {
		resource, action, split := strings.Cut(text, ":")
		if !split {
			resource, action = "-", text
		}
		found = append(found, permission{resource, action})
	}
	return found
}

// N34: a revoked grant (principal and role at T or an ancestor) takes that role out of the
// allow-roles, whatever its source, and leaves it among the deny-roles.
func (q *asking) n34WithoutRevokedGrants(allow set) set {
	left := set{}
	for id := range allow {
		if !q.n34GrantRevoked(id) {
			left[id] = true
		}
	}
	return left
}

// N34: whether the principal's grant of a role is revoked at T or an ancestor.
func (q *asking) n34GrantRevoked(id string) bool {
	for _, node := range ancestry(q.tenant) {
		if until, ok := field(q.rbac, "revoked", "grants", node, q.principal, id); ok && n34Active(until, q.now) {
			return true
		}
	}
	return false
}

// asks is the permission the question names; an absent resource is "-" and an absent action is none.
func (q *asking) asks() (permission, bool) {
	action, named := textField(q.question, "action")
	resource, present := textField(q.question, "resource")
	if !present {
		resource = "-"
	}
	return permission{resource, action}, named
}

// N31, definitions: the roles a route names; an empty list names nothing.
func (q *asking) n31Names() ([]string, bool) {
	named, present := field(q.question, "roles_any")
	if l, ok := named.([]any); ok && len(l) == 0 {
		return nil, false
	}
	return texts(named), present
}

// N25, N35: the gates of the permission. A question that names neither an action nor roles_any is
// incomplete, and so is one whose action, or whose action's resource, is no text; an action that an existing
// catalog does not declare is unknown.
func (q *asking) n25n35Gate() string {
	if !q.legible() {
		return "incomplete_question"
	}
	p, action := q.asks()
	_, roles := q.n31Names()
	if !action && !roles {
		return "incomplete_question"
	}
	if action && q.n25Unknown(p) {
		return "unknown_permission"
	}
	return ""
}

// legible tells whether an action that is there is a text, and its resource too.
func (q *asking) legible() bool {
	action, acts := field(q.question, "action")
	if !acts {
		return true
	}
	_, named := action.(string)
	resource, on := field(q.question, "resource")
	_, text := resource.(string)
	return named && (text || !on)
}

// N25: a catalog exists, an empty one too, and does not declare the permission.
func (q *asking) n25Unknown(p permission) bool {
	_, exists := q.rbac["catalog"]
	return exists && !q.declared(p)
}

func (q *asking) declared(p permission) bool {
	actions, _ := field(q.rbac, "catalog", p.resource)
	_, ok := object(actions)[p.action]
	return ok
}

// class is the class a catalog gives a permission; assignable by default.
func (q *asking) class(p permission) string {
	class, ok := textField(q.rbac, "catalog", p.resource, p.action, "class")
	if !ok {
		return "assignable"
	}
	return class
}

func (q *asking) managed(p permission) bool {
	managed, _ := field(q.rbac, "catalog", p.resource, p.action, "managed")
	return managed == true
}

// decide is N26, N27, N31, N32 and N35 in the order of N27.
func (q *asking) decide(h holdings) verdict {
	v := verdict{roles: h.allow, permissions: q.n32Permissions(h), until: h.until}
	p, action := q.asks()
	v.reason = q.n26Denied(h, p, action)
	if v.reason == "" {
		v.reason = q.n27Missing(h, p, action)
	}
	if v.reason == "" {
		v.allow, v.reason = true, "allowed"
		v.granting = q.n32Granting(h, p, action)
	}
	return v
}

// N26: a matching deny statement of any deny-role denies, whatever allows. The extension's deny
// reasons do so too, the smallest of them first to be named, and need no action to do it.
func (q *asking) n26Denied(h holdings, p permission, action bool) string {
	if action && q.denies(h, p) {
		return "explicit_deny"
	}
	return q.extensionDeny()
}

// extensionDeny is the smallest reason in data.authz.deny, "" when there is none.
func (q *asking) extensionDeny() string {
	reasons := texts(q.authz["deny"])
	if len(reasons) == 0 {
		return ""
	}
	return slices.Min(reasons)
}

// extensionAllows: an allow of the extension stands for a matching allow-role.
func (q *asking) extensionAllows() bool {
	return len(list(q.authz["allow"])) > 0
}

// N27: no allow-role and no snapshot is no_roles; else N31; else no match is no_permission. Without an
// action (N35) the last step does not apply.
func (q *asking) n27Missing(h holdings, p permission, action bool) string {
	if len(h.allow) == 0 && len(h.snapshot) == 0 && !q.extensionAllows() {
		return "no_roles"
	}
	if names, named := q.n31Names(); named && len(q.n31Satisfying(h.allow, names)) == 0 {
		return "missing_role"
	}
	if action && !q.allows(h, p) && !q.extensionAllows() {
		return "no_permission"
	}
	return ""
}

// N31: the allow-roles that a route names, by id or key.
func (q *asking) n31Satisfying(allow set, names []string) set {
	found := set{}
	for id := range allow {
		r, _ := roleOf(q.rbac, id)
		if slices.Contains(names, id) || slices.Contains(names, r.key()) {
			found[id] = true
		}
	}
	return found
}

// N32: the allow-roles with a matching allow; empty for snapshots. Without an action (N35) the roles
// that satisfied N31.
func (q *asking) n32Granting(h holdings, p permission, action bool) set {
	if !action {
		names, _ := q.n31Names()
		return q.n31Satisfying(h.allow, names)
	}
	found := set{}
	if q.authority == authorityPermissions {
		return found
	}
	for id := range h.allow {
		if r, _ := roleOf(q.rbac, id); q.roleAllows(r, p) {
			found[id] = true
		}
	}
	return found
}

// N32: declared permissions allowed and not denied at this path; without a catalog, the literal allow
// statements whose target matches, minus those a deny matches literally. For snapshots the token's
// list stands for the allows.
func (q *asking) n32Permissions(h holdings) set {
	found := set{}
	catalog, exists := q.rbac["catalog"]
	if !exists {
		return q.n32Literal(h)
	}
	for _, resource := range keys(catalog) {
		for _, action := range keys(object(catalog)[resource]) {
			p := permission{resource, action}
			if q.allows(h, p) && !q.denies(h, p) {
				found[p.name()] = true
			}
		}
	}
	return found
}

// N32: the report without a catalog.
func (q *asking) n32Literal(h holdings) set {
	allowed := h.snapshot
	if q.authority != authorityPermissions {
		for id := range h.allow {
			allowed = append(allowed, q.n32Statements(id, "allow")...)
		}
	}
	var denied []permission
	for id := range h.deny {
		denied = append(denied, q.n32Statements(id, "deny")...)
	}
	found := set{}
	for _, p := range allowed {
		if !slices.ContainsFunc(denied, func(d permission) bool { return n32Strikes(d, p) }) {
			found[p.name()] = true
		}
	}
	return found
}

// N32, definitions: a deny strikes an allow named literally whose resource is the same or the deny's
// is *, and whose action likewise.
func n32Strikes(deny, allow permission) bool {
	return (deny.resource == allow.resource || deny.resource == "*") && (deny.action == allow.action || deny.action == "*")
}

// N32: a role's statements of one side whose target matches, as they are written. Those of a
// predefined role match nothing that is not declared managed (N28), and here nothing is declared.
func (q *asking) n32Statements(id, side string) []permission {
	r, _ := roleOf(q.rbac, id)
	if r.kind() == "predefined" {
		return nil
	}
	var found []permission
	for resource, actions := range object(r.doc[side]) {
		for action, targets := range object(actions) {
			for target := range object(targets) {
				if q.n24Target(target) {
					found = append(found, permission{resource, action})
				}
			}
		}
	}
	return found
}

// allows: a permission is allowed by the snapshot, where that is the only allow (N23), else by any
// allow-role.
func (q *asking) allows(h holdings, p permission) bool {
	if q.authority == authorityPermissions {
		return slices.Contains(h.snapshot, p)
	}
	for id := range h.allow {
		if r, _ := roleOf(q.rbac, id); q.roleAllows(r, p) {
			return true
		}
	}
	return false
}

// denies: a permission is denied by any deny-role.
func (q *asking) denies(h holdings, p permission) bool {
	for id := range h.deny {
		if r, _ := roleOf(q.rbac, id); q.n28Matches(r, p) && q.n24Matches(r.doc["deny"], p) {
			return true
		}
	}
	return false
}

func (q *asking) roleAllows(r role, p permission) bool {
	return q.n30Always(r, p) || q.n28Matches(r, p) && !q.n29Never(r, p) && q.n24Matches(r.doc["allow"], p)
}

// N24: a statement matches iff its resource is the request's or *, its action likewise, and its
// target matches.
func (q *asking) n24Matches(statements any, p permission) bool {
	for _, resource := range []string{p.resource, "*"} {
		for _, action := range []string{p.action, "*"} {
			targets, _ := field(statements, resource, action)
			for target := range object(targets) {
				if q.n24Target(target) {
					return true
				}
			}
		}
	}
	return false
}

// N24: a target matches iff it is ".", or a path covering the request's path, or $self with
// request.owner = principal.
func (q *asking) n24Target(target string) bool {
	switch target {
	case ".":
		return true
	case "$self":
		owner, ok := textField(q.question, "owner")
		return ok && owner == q.principal
	default:
		return n1Covers(target, q.path)
	}
}

// N28: statements of predefined roles match only permissions declared managed.
func (q *asking) n28Matches(r role, p permission) bool {
	return r.kind() != "predefined" || q.managed(p)
}

// N29: allow statements of tenant-owned roles do not match class never.
func (q *asking) n29Never(r role, p permission) bool {
	return r.owner() != root && q.class(p) == "never"
}

// N30: every effective tenant-owned custom role allows class always, in bundle and token_roles
// authority.
func (q *asking) n30Always(r role, p permission) bool {
	return q.authority != authorityPermissions && r.owner() != root && r.kind() == "custom" && q.class(p) == "always"
}
