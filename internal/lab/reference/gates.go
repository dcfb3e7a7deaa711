package reference

import "math/big"

// The three authorities an issuer can have (N5, N22, N23).
const (
	authorityBundle      = "bundle"
	authorityRoles       = "token_roles"
	authorityPermissions = "token_permissions"
)

// asking is a question on its way through the sentences: what is asked, and what the gates found.
type asking struct {
	rbac      map[string]any
	authz     map[string]any
	question  map[string]any
	claims    map[string]any
	now       *big.Float
	principal string

	authority    string     // N5
	exp, nbf     *big.Float // N6; nil when absent
	path         string     // N8
	tenant       string     // N8: T
	tokenTenant  *string    // N9: C
	records      []record   // N10: deepest first
	binding      string     // N11: B
	kind         string     // N11
	revokedUntil *big.Float // N34, for the answer revoked
}

// record is a member record and the node it stands at.
type record struct {
	node string
	doc  map[string]any
}

// ask reads the question; nothing is decided yet.
func ask(data Data, question map[string]any) *asking {
	now, ok := number(question["time"])
	if !ok {
		now = new(big.Float)
	}
	return &asking{
		rbac:     data.RBAC,
		authz:    data.Authz,
		question: question,
		claims:   object(question["claims"]),
		now:      now,
	}
}

// gates runs N4 to N10 and N34's refusals in their order and gives the first failure's reason; ""
// when all pass. What the gates of the permission (N25, N35) say is not asked here.
func (q *asking) gates() string {
	for _, gate := range []func() string{
		q.n4Unauthenticated, q.n5UntrustedIssuer, q.n6Times, q.n7UnknownTenant, q.n8PathOutsideTenant,
		q.n34Revoked, q.n9TenantMismatch, q.n10NotMember,
	} {
		if reason := gate(); reason != "" {
			return reason
		}
	}
	q.n11Binding()
	return ""
}

// N4: first of all route.error answers its own reason, then route.public answers public, then
// subject.error answers bad_credential; "" when none of them speaks.
func (q *asking) n4BeforeAll() string {
	if reason, ok := textField(q.question, "route_error"); ok {
		return reason
	}
	if public, _ := field(q.question, "public"); public == true {
		return "public"
	}
	if _, ok := field(q.question, "subject_error"); ok {
		return "bad_credential"
	}
	return ""
}

// N4: then a request without a principal is denied; an empty id is no principal.
func (q *asking) n4Unauthenticated() string {
	principal, ok := textField(q.question, "principal")
	if !ok || principal == "" {
		return "unauthenticated"
	}
	q.principal = principal
	return ""
}

// N5: an issuer absent from issuers is denied; without iss, and for an issuer without authority,
// the authority is bundle; any other word than the three is denied. Claims that are no object, of
// which no sentence speaks, could hide an issuer: that is denied too.
func (q *asking) n5UntrustedIssuer() string {
	q.authority = authorityBundle
	if claims, present := field(q.question, "claims"); present {
		if _, legible := claims.(map[string]any); !legible {
			return "untrusted_issuer"
		}
	}
	iss, ok := field(q.claims, "iss")
	if !ok {
		return ""
	}
	name, isText := iss.(string)
	issuer, known := object(q.rbac["issuers"])[name]
	if !isText || !known {
		return "untrusted_issuer"
	}
	authority, ok := field(issuer, "authority")
	if !ok {
		return ""
	}
	switch authority {
	case authorityBundle, authorityRoles, authorityPermissions:
		q.authority, _ = authority.(string)
		return ""
	default:
		return "untrusted_issuer"
	}
}

// N6: exp ≤ now is token_expired, nbf > now is token_not_yet_valid; both are integers in
// milliseconds, and any other type is token_expired.
func (q *asking) n6Times() string {
	var ok bool
	if exp, present := field(q.claims, "exp"); present {
		if q.exp, ok = instant(exp); !ok {
			return "token_expired"
		}
	}
	if nbf, present := field(q.claims, "nbf"); present {
		if q.nbf, ok = instant(nbf); !ok {
			return "token_expired"
		}
	}
	if q.exp != nil && q.exp.Cmp(q.now) <= 0 {
		return "token_expired"
	}
	if q.nbf != nil && q.nbf.Cmp(q.now) > 0 {
		return "token_not_yet_valid"
	}
	return ""
}

// N7: an unregistered tenant is denied; an absent one is unregistered.
func (q *asking) n7UnknownTenant() string {
	name, ok := textField(q.question, "tenant")
	if !ok {
		return "unknown_tenant"
	}
	tenant := n2Alias(q.rbac, name)
	if !n7Registered(q.rbac, tenant) {
		return "unknown_tenant"
	}
	q.tenant = tenant // until N8 finds T
	return ""
}

// N8: a path that the tenant does not cover, or that is malformed, is denied; otherwise T becomes
// the deepest registered tenant covering the path. Only an absent path defaults, to the tenant.
func (q *asking) n8PathOutsideTenant() string {
	asked := q.tenant
	q.tenant = ""
	path, present := field(q.question, "path")
	if !present {
		path = asked
	}
	text, ok := path.(string)
	if !ok || !n1WellFormed(text) || !n1Covers(asked, text) {
		return "path_outside_tenant"
	}
	q.path = text
	q.tenant = n8Deepest(q.rbac, text)
	return ""
}

// N9: the token's tenant C (claim, else the issuer's) lies at or below the issuer's tenant and
// covers T. A claim that is no text covers nothing.
func (q *asking) n9TenantMismatch() string {
	issuerTenant, bound := "", false
	if iss, present := textField(q.claims, "iss"); present {
		issuerTenant, bound = textField(q.rbac, "issuers", iss, "tenant")
	}
	claim, claimed := field(q.claims, "tenant")
	switch {
	case claimed:
		name, ok := claim.(string)
		if !ok {
			return "tenant_mismatch"
		}
		q.tokenTenant = new(n2Alias(q.rbac, name))
	case bound:
		q.tokenTenant = new(issuerTenant)
	default:
		return ""
	}
	if bound && !n1Covers(issuerTenant, *q.tokenTenant) || !n1Covers(*q.tokenTenant, q.tenant) {
		return "tenant_mismatch"
	}
	return ""
}

// N10: with neither C nor a member record at T or an ancestor, the principal is no member.
func (q *asking) n10NotMember() string {
	q.records = recordsOf(q.rbac, q.principal, q.tenant)
	if q.tokenTenant == nil && len(q.records) == 0 {
		return "not_member"
	}
	return ""
}

// recordsOf are the principal's records at the tenant and its ancestors, deepest first.
func recordsOf(rbac map[string]any, principal, tenant string) []record {
	var records []record
	for _, node := range ancestry(tenant) {
		found, _ := field(rbac, "members", node, principal)
		if doc, ok := found.(map[string]any); ok {
			records = append(records, record{node: node, doc: doc})
		}
	}
	return records
}

// N11: B is the deepest of C and the record nodes; the kind comes from the deepest record (a record
// without one is a user's), else from the request, else it is external.
func (q *asking) n11Binding() {
	q.binding = root
	if q.tokenTenant != nil {
		q.binding = *q.tokenTenant
	}
	if len(q.records) > 0 {
		q.binding = deeper(q.binding, q.records[0].node)
		q.kind = n11RecordKind(q.records[0].doc)
		return
	}
	kind, present := field(q.question, "kind")
	if !present {
		kind = "external"
	}
	q.kind, _ = kind.(string) // a kind that is no text is none of the four
}

// N11, definitions: a record without kind is a user.
func n11RecordKind(doc map[string]any) string {
	kind, present := field(doc, "kind")
	if !present {
		return "user"
	}
	text, _ := kind.(string)
	return text
}

// N34: an entry for the token's jti, or for the principal at T or an ancestor, whose until-time is
// later than now (0: for ever) denies revoked; the earliest of the until-times bounds the answer.
func (q *asking) n34Revoked() string {
	var entries []any
	if jti, ok := textField(q.claims, "jti"); ok {
		if until, ok := field(q.rbac, "revoked", "tokens", jti); ok {
			entries = append(entries, until)
		}
	}
	for _, node := range ancestry(q.tenant) {
		if until, ok := field(q.rbac, "revoked", "principals", node, q.principal); ok {
			entries = append(entries, until)
		}
	}
	reason := ""
	for _, entry := range entries {
		if n34Active(entry, q.now) {
			reason = "revoked"
			q.revokedUntil = earliest(q.revokedUntil, laterThan(entry, q.now))
		}
	}
	return reason
}

// N34: whether an until-time is still ahead; 0 is for ever.
func n34Active(until any, now *big.Float) bool {
	n, ok := number(until)
	return ok && (n.Sign() == 0 || n.Cmp(now) > 0)
}
