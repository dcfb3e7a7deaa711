package reference

import "math/big"

// Assignment answers whether a role may be assigned or unassigned: "ok" or the refusal's name. The
// request is {op, plane, actor: {principal, claims}, target, role, node, time}.
func Assignment(data Data, request map[string]any) string {
	a := assignment{data: data, request: request}
	name, _ := textField(request, "node")
	a.node = n2Alias(data.RBAC, name)
	a.id, _ = textField(request, "role")
	a.target, _ = textField(request, "target")
	a.op, _ = textField(request, "op")
	if !n7Registered(data.RBAC, a.node) {
		return "unknown_tenant"
	}
	for _, refuse := range []func() string{a.a1, a.a2, a.a3} {
		if refusal := refuse(); refusal != "" {
			return refusal
		}
	}
	if a.a4() {
		return "ok"
	}
	for _, refuse := range []func() string{a.a5, a.a6} {
		if refusal := refuse(); refusal != "" {
			return refusal
		}
	}
	return "ok"
}

// assignment is a request to assign or unassign a role.
type assignment struct {
	data                 Data
	request              map[string]any
	op, node, id, target string
}

// A1: assigning an unknown role is refused; unassigning one is not.
func (a assignment) a1() string {
	if _, exists := roleOf(a.data.RBAC, a.id); a.op == "assign" && !exists {
		return "unknown_role"
	}
	return ""
}

// A2: so is a role not visible at the node, in both planes.
func (a assignment) a2() string {
	if r, _ := roleOf(a.data.RBAC, a.id); a.op == "assign" && !n12Visible(r, a.node) {
		return "role_not_visible"
	}
	return ""
}

// A3: only a recorded grant can be removed.
func (a assignment) a3() string {
	grants, _ := field(a.data.RBAC, "members", a.node, a.target, "grants")
	if _, recorded := object(grants)[a.id]; a.op != "assign" && !recorded {
		return "not_explicit"
	}
	return ""
}

// A4: the management plane stops here.
func (a assignment) a4() bool {
	plane, _ := textField(a.request, "plane")
	return plane == "management"
}

// A5: the actor needs an effective role, and the role's level is at least the actor's strongest,
// lowest-numbered one. Unassigning a role that does not exist skips this.
func (a assignment) a5() string {
	r, exists := roleOf(a.data.RBAC, a.id)
	if !exists {
		return ""
	}
	actor := a.actorLevel()
	if actor == nil {
		return "actor_has_no_role"
	}
	if level(r).Cmp(actor) < 0 {
		return "role_stronger_than_actor"
	}
	return ""
}

// A6: the target's strongest level is at least the actor's; a target without roles passes.
func (a assignment) a6() string {
	target := a.strongest(a.target, nil)
	if target == nil {
		return ""
	}
	if actor := a.actorLevel(); actor == nil || target.Cmp(actor) < 0 {
		return "target_stronger_than_actor"
	}
	return ""
}

func (a assignment) actorLevel() *big.Float {
	principal, _ := field(a.request, "actor", "principal")
	claims, _ := field(a.request, "actor", "claims")
	return a.strongest(principal, claims)
}

// strongest is A5's and A6's level of a principal: the lowest of its allow-roles at the node with the
// given claims; nil without any, and for who fails a gate.
func (a assignment) strongest(principal, claims any) *big.Float {
	// The node goes in as it was asked: aliases are one step, and the question takes that step (N2).
	q := ask(a.data, map[string]any{
		"principal": principal, "claims": claims, "tenant": a.request["node"], "time": a.request["time"],
	})
	if q.gates() != "" {
		return nil
	}
	var lowest *big.Float
	for id := range q.holdings().allow {
		r, _ := roleOf(a.data.RBAC, id)
		lowest = earliest(lowest, level(r))
	}
	return lowest
}

// level is a role's level; a role without one has 0, the strongest.
func level(r role) *big.Float {
	n, ok := number(r.doc["level"])
	if !ok {
		return new(big.Float)
	}
	return n
}

// Signup answers which roles a signup at a tenant records as grants (N18). The request is {tenant,
// first}; the answer holds the existing, visible roles, sorted.
func Signup(data Data, request map[string]any) []string {
	name, _ := textField(request, "tenant")
	tenant := n2Alias(data.RBAC, name)
	found := set{}
	if !n7Registered(data.RBAC, tenant) {
		return found.sorted()
	}
	node, policy := n18Policy(data.RBAC, tenant)
	ids := textsField(policy, "signup_roles")
	if first, _ := field(request, "first"); first == true {
		ids = append(ids, textsField(policy, "first_user_roles")...)
	}
	for _, id := range ids {
		r, exists := roleOf(data.RBAC, id)
		if _, lawful := n19Held(r, node, tenant); exists && lawful && n12Visible(r, tenant) {
			found[id] = true
		}
	}
	return found.sorted()
}

// Search answers who has a role stored at a tenant, and from which sources (S1). The request is
// {tenant, role}.
func Search(data Data, request map[string]any) map[string][]string {
	name, _ := textField(request, "tenant")
	tenant := n2Alias(data.RBAC, name)
	id, _ := textField(request, "role")
	found := map[string][]string{}
	if !n7Registered(data.RBAC, tenant) {
		return found
	}
	members, _ := field(data.RBAC, "members", tenant)
	for _, principal := range keys(members) {
		if sources := s1Sources(data.RBAC, tenant, principal, id); len(sources) > 0 {
			found[principal] = sources.sorted()
		}
	}
	return found
}

// S1: a member's sources of a role are N13 to N16 with T = B = the node and the record's sso as the
// session; windows and revocations are not consulted, visibility is.
func s1Sources(rbac map[string]any, node, principal, id string) set {
	records := recordsOf(rbac, principal, node)
	if len(records) == 0 || records[0].node != node {
		return nil
	}
	rec := &records[0]
	s := session{
		kind:   n11RecordKind(rec.doc),
		email:  n14Email(nil, rec),
		sso:    object(rec.doc["sso"]),
		record: rec,
	}
	candidates := n13Grants(rbac, records)
	candidates = append(candidates, n14Implicit(rbac, node, node, s)...)
	candidates = append(candidates, n15Base(rbac, node, s.kind)...)
	candidates = append(candidates, n16Conditional(rbac, node, node, s)...)
	sources := set{}
	for _, c := range candidates {
		if c.role == id && visible(rbac, c) {
			sources[c.source] = true
		}
	}
	return sources
}
