package reference

import (
	"strings"
)

// role is a role of the document under its id.
type role struct {
	id  string
	doc map[string]any
}

// roleOf finds a role by its id.
func roleOf(rbac map[string]any, id string) (role, bool) {
	found, _ := field(rbac, "roles", id)
	doc, ok := found.(map[string]any)
	return role{id: id, doc: doc}, ok
}

func (r role) owner() string {
	owner, _ := textField(r.doc, "owner")
	return owner
}

func (r role) key() string {
	key, _ := textField(r.doc, "key")
	return key
}

func (r role) windows() []any {
	return listField(r.doc, "windows")
}

// Definitions: a role's type is custom by default.
func (r role) kind() string {
	kind, ok := textField(r.doc, "type")
	if !ok {
		return "custom"
	}
	return kind
}

// Definitions: visibility is ALL by default for root roles, OWNER for tenants' roles.
func (r role) visibility() string {
	visibility, ok := textField(r.doc, "visibility")
	switch {
	case ok:
		return visibility
	case r.owner() == root:
		return "ALL"
	default:
		return "OWNER"
	}
}

// N3: a role's id is its key when owned by @root, else owner + "." + key.
func n3ID(owner, key string) string {
	if owner == root {
		return key
	}
	return owner + "." + key
}

// N12: a role is visible at a node iff it is the node's own, or @root's and ALL, or @root's and
// INCLUDE listing exactly that node.
func n12Visible(r role, node string) bool {
	if r.owner() == node {
		return true
	}
	if r.owner() != root {
		return false
	}
	switch r.visibility() {
	case "ALL":
		return true
	case "INCLUDE":
		_, listed := object(r.doc["include"])[node]
		return listed
	default:
		return false
	}
}

// candidate is a role that some source offers.
type candidate struct {
	role    string
	source  string // grant, implicit, conditional, base, idp_default, extension
	held    string // the node at which the role must be visible
	lawful  bool   // N19 lets the source name this role, and the role exists
	windows []any  // of the grant
}

// N13: the grants in every record at T and its ancestors, held at the record's node.
func n13Grants(rbac map[string]any, records []record) []candidate {
	var found []candidate
	for _, rec := range records {
		grants := object(rec.doc["grants"])
		for _, id := range keys(rec.doc["grants"]) {
			_, exists := roleOf(rbac, id)
			found = append(found, candidate{
				role: id, source: "grant", held: rec.node, lawful: exists, windows: list(grants[id]),
			})
		}
	}
	return found
}

// session is what N14 and N17 may read of who is asking.
type session struct {
	kind   string // N11
	email  string // N14: claim if present, else record; "" when there is none
	sso    map[string]any
	attrs  map[string]any
	record *record // the deepest; nil when there is none
}

// N14: the email that a domain is taken from: the claim if present, else the deepest record's; none
// unless the session's email_verified is absent or true.
func n14Email(claims map[string]any, rec *record) string {
	if verified, present := field(claims, "email_verified"); present && verified != true {
		return ""
	}
	if email, present := field(claims, "email"); present {
		text, _ := email.(string)
		return text
	}
	if rec == nil {
		return ""
	}
	text, _ := textField(rec.doc, "email")
	return text
}

// connections are the session's SSO connections: the members of sso that are objects.
func connections(sso map[string]any) []string {
	var names []string
	for _, name := range keys(sso) {
		if _, ok := sso[name].(map[string]any); ok {
			names = append(names, name)
		}
	}
	return names
}

// N14: the facts of a session. An address with nothing after its last @ has no domain.
func n14Facts(s session) set {
	facts := set{}
	if domain := s.email[strings.LastIndexByte(s.email, '@')+1:]; domain != "" && domain != s.email {
		facts["email:"+strings.ToLower(domain)] = true
	}
	for _, c := range connections(s.sso) {
		facts["conn:"+c] = true
		for _, g := range textsField(s.sso[c], "groups") {
			facts["group:"+c+"|"+g] = true
		}
		for _, r := range textsField(s.sso[c], "roles") {
			facts["extrole:"+r] = true
			facts["extrole:"+c+"|"+r] = true
		}
	}
	for k, v := range s.attrs {
		if text, ok := v.(string); ok {
			facts["claim:"+k+"="+text] = true
		}
		for _, text := range texts(v) {
			facts["claim:"+k+"="+text] = true
		}
	}
	return facts
}

// N14: for user and external kinds, each rule at T or an ancestor whose fact and all `all` facts
// hold and which is not disabled yields a candidate.
func n14Implicit(rbac map[string]any, tenant, binding string, s session) []candidate {
	if !n14Applies(s.kind) {
		return nil
	}
	facts := n14Facts(s)
	var found []candidate
	for _, node := range ancestry(tenant) {
		rules, _ := field(rbac, "tenants", node, "implicit")
		for _, fact := range keys(rules) {
			for _, rule := range listField(rules, fact) {
				if facts[fact] && n14RuleHolds(rule, facts) {
					id, _ := textField(rule, "role")
					found = append(found, ruled(rbac, node, binding, id, "implicit"))
				}
			}
		}
	}
	return found
}

// N14, N15, N17: the kinds that derive roles from a session.
func n14Applies(kind string) bool {
	return kind == "user" || kind == "external"
}

// N14: a rule's enabled counts as true unless it is false; all its `all` facts must hold.
func n14RuleHolds(rule any, facts set) bool {
	if enabled, _ := field(rule, "enabled"); enabled == false {
		return false
	}
	for _, fact := range listField(rule, "all") {
		text, ok := fact.(string)
		if !ok || !facts[text] {
			return false
		}
	}
	return true
}

// N15: base roles at B and its ancestors, for user and external kinds.
func n15Base(rbac map[string]any, binding, kind string) []candidate {
	if !n14Applies(kind) {
		return nil
	}
	var found []candidate
	for _, node := range ancestry(binding) {
		for _, id := range textsField(rbac, "tenants", node, "base_roles") {
			found = append(found, ruled(rbac, node, binding, id, "base"))
		}
	}
	return found
}

// N16: for kind user with a record, each conditional role at T or an ancestor whose condition holds
// on the deepest record's attrs.
func n16Conditional(rbac map[string]any, tenant, binding string, s session) []candidate {
	if s.kind != "user" || s.record == nil {
		return nil
	}
	attrs := object(s.record.doc["attrs"])
	var found []candidate
	for _, node := range ancestry(tenant) {
		conditions, _ := field(rbac, "tenants", node, "conditional_roles")
		for _, id := range keys(conditions) {
			if n16Holds(object(conditions)[id], attrs) {
				found = append(found, ruled(rbac, node, binding, id, "conditional"))
			}
		}
	}
	return found
}

// N17: IdP default roles, iff kind is user or external, the session has at least one SSO connection,
// and N13, N14 and N16 gave no candidate. The policy is B's, its roles held with N = its node.
func n17Defaults(rbac map[string]any, binding string, s session, others int) []candidate {
	if !n14Applies(s.kind) || len(connections(s.sso)) == 0 || others > 0 {
		return nil
	}
	var found []candidate
	node, policy := n18Policy(rbac, binding)
	for _, id := range textsField(policy, "idp_default_roles") {
		found = append(found, ruled(rbac, node, binding, id, "idp_default"))
	}
	return found
}

// N18: the effective policy of a node is the nearest at or above with override true, else @root's,
// taken whole; the node it stands at comes with it.
func n18Policy(rbac map[string]any, node string) (string, map[string]any) {
	for _, at := range ancestry(node) {
		policy, _ := field(rbac, "tenants", at, "policy")
		if override, _ := field(policy, "override"); override == true {
			return at, object(policy)
		}
	}
	policy, _ := field(rbac, "tenants", root, "policy")
	return root, object(policy)
}

// N19: a rule at a node may only name roles of that node or root roles; a root role is then held at
// the deeper of the node and B.
func n19Held(r role, node, binding string) (held string, lawful bool) {
	switch r.owner() {
	case root:
		return deeper(node, binding), true
	case node:
		return node, true
	default:
		return "", false
	}
}

// ruled is the candidate of a rule, held as N19 says.
func ruled(rbac map[string]any, node, binding, id, source string) candidate {
	c := candidate{role: id, source: source}
	if r, exists := roleOf(rbac, id); exists {
		c.held, c.lawful = n19Held(r, node, binding)
	}
	return c
}

// session is what the claims, and the deepest record beside them, say about who is asking (N11).
func (q *asking) session() session {
	s := session{kind: q.kind, sso: object(q.claims["sso"]), attrs: object(q.claims["attrs"])}
	if len(q.records) > 0 {
		s.record = &q.records[0]
	}
	s.email = n14Email(q.claims, s.record)
	return s
}

// candidates gathers N13 to N17 and the extension's.
func (q *asking) candidates() []candidate {
	s := q.session()
	found := n13Grants(q.rbac, q.records)
	found = append(found, n14Implicit(q.rbac, q.tenant, q.binding, s)...)
	found = append(found, n16Conditional(q.rbac, q.tenant, q.binding, s)...)
	others := len(found)
	found = append(found, n17Defaults(q.rbac, q.binding, s, others)...)
	found = append(found, n15Base(q.rbac, q.binding, q.kind)...)
	return append(found, q.extensionCandidates()...)
}

// extensionCandidates are data.authz.candidates: a further source; visibility, windows and denies
// bind them. Held elsewhere than at T or above, a role is no role of this request.
func (q *asking) extensionCandidates() []candidate {
	var found []candidate
	for _, entry := range list(q.authz["candidates"]) {
		id, _ := textField(entry, "role")
		node, ok := textField(entry, "node")
		if !ok || !n1Covers(node, q.tenant) {
			continue
		}
		_, exists := roleOf(q.rbac, id)
		found = append(found, candidate{
			role: id, source: "extension", held: node, lawful: exists, windows: listField(entry, "windows"),
		})
	}
	return found
}

// visible are the candidates that N12, N13 and N19 let have an effect.
func visible(rbac map[string]any, c candidate) bool {
	r, exists := roleOf(rbac, c.role)
	return exists && c.lawful && n12Visible(r, c.held)
}

// N20: a candidate is effective iff now lies in one of the grant's windows and one of the role's;
// one effective source suffices, and a role counts once.
func (q *asking) n20Effective(candidates []candidate) set {
	effective := set{}
	for _, c := range candidates {
		r, _ := roleOf(q.rbac, c.role)
		if visible(q.rbac, c) && n20Open(c.windows, q.now) && n20Open(r.windows(), q.now) {
			effective[c.role] = true
		}
	}
	return effective
}
