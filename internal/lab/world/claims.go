package world

import (
	"encoding/json"
	"math/rand/v2"
)

// Generator is the state from which questions are drawn; the zero value is not usable.
type Generator struct{ dice dice }

// NewGenerator draws the same questions for the same seed.
func NewGenerator(seed uint64) *Generator {
	return &Generator{dice{rand.New(rand.NewPCG(seed, 0xd1b54a32d192ed03))}}
}

// claims are a token's, of one issuer, and now and then of the wrong shape.
func (w *World) claims(d dice, a asked) any {
	claims := map[string]any{}
	by := w.issuedBy(d, a, claims)
	w.claimTimes(d, a, claims)
	if d.chance(12) {
		claims["jti"] = pick(d, w.jtis...)
	}
	w.claimTenant(d, a, by, claims)
	if d.chance(45) {
		claims["email"] = pick(d, emails()...)
	}
	if d.chance(20) {
		claims["email_verified"] = pick[any](d, true, true, false, nil, "true")
	}
	if d.chance(50) {
		claims["sso"] = registrations(d)
	}
	if d.chance(90) && by.authority != "" && by.authority != "bundle" || d.chance(10) {
		claims["roles"] = list(append(some(d, 3, w.roleKeys), some(d, 2, w.roleIDs)...))
	}
	if d.chance(90) && by.authority == "token_permissions" || d.chance(5) {
		claims["permissions"] = w.tokenPermissions(d)
	}
	if d.chance(35) {
		claims["attrs"] = map[string]any{
			"dep": pick[any](d, "sec", "a=b", "", []any{"sec", number(1), nil}, number(5)), "a": pick[any](d, "b=c", nil),
			"org": "sales",
		}
	}
	if d.chance(12) {
		deform(d, claims)
	}
	if d.chance(8) { // a null is an absent claim
		claims[pick(d, claimNames()...)] = nil
	}
	if d.rare(5) {
		return pick[any](d, nil, []any{claims}, "claims", number(1), true, []any{})
	}
	return claims
}

// issuedBy names an issuer in the claims: mostly one that may speak of the tenant.
func (w *World) issuedBy(d dice, a asked, claims map[string]any) issuer {
	if d.chance(35) || len(w.issuers) == 0 {
		return issuer{}
	}
	if d.chance(3) {
		claims["iss"] = pick(d, "evil", "Bundle", "roles ")
		return issuer{}
	}
	by := pick(d, w.issuers...)
	for range 3 {
		if d.chance(90) && (by.name == "odd" || by.tenant != "" && !covers(by.tenant, a.tenant)) {
			by = pick(d, w.issuers...)
		}
	}
	claims["iss"] = by.name
	return by
}

// claimTimes are mostly fine, and often exactly at the edge.
func (w *World) claimTimes(d dice, a asked, claims map[string]any) {
	if d.chance(50) {
		exp := a.now + step*int64(1+d.IntN(4))
		if d.chance(15) {
			exp = a.now + int64(d.IntN(3)-1)
		}
		claims["exp"] = number(exp)
	}
	if d.chance(25) {
		nbf := a.now - step*int64(d.IntN(3))
		if d.chance(25) {
			nbf = a.now + int64(d.IntN(3)-1)
		}
		claims["nbf"] = number(nbf)
	}
	if d.rare(10) {
		claims[pick(d, "exp", "nbf")] = pick[any](d,
			json.Number("1767225600000.5"), json.Number("1767225604000.0"), json.Number("1.767225604e12"),
			json.Number("9007199254740993"), json.Number("9223372036854775807"), number(0), number(-1),
			json.Number("9223372036854775808"), json.Number("-9223372036854775809"), json.Number("1000000000000000000000000"),
		)
	}
}

// claimTenant binds the token to a tenant at or above the one asked about, mostly.
func (w *World) claimTenant(d dice, a asked, by issuer, claims map[string]any) {
	if !d.chance(45) {
		return
	}
	tenant := pick(d, w.above(a.tenant)...)
	if by.tenant != "" && !covers(by.tenant, tenant) {
		tenant = by.tenant
	}
	claims["tenant"] = tenant
	switch n := d.IntN(100); {
	case n < 6:
		claims["tenant"] = pick(d, w.tenants...)
	case n < 12 && len(w.aliases) > 0:
		claims["tenant"] = pick(d, w.aliases...)
	case n < 14:
		claims["tenant"] = pick(d, "nowhere", "", ".", "@ROOT", tenant+".", "uuid-2")
	}
}

// tokenPermissions are permissions as a token lists them.
func (w *World) tokenPermissions(d dice) []any {
	out := []any{}
	for range d.IntN(4) {
		p := pick(d, w.permissions...)
		switch {
		case d.chance(8):
			out = append(out, pick(d, "*:*", "*", "doc:*", "", ":", "-:read"))
		case p.resource == "-" && d.chance(70):
			out = append(out, p.action)
		default:
			out = append(out, p.resource+":"+p.action)
		}
	}
	return out
}

func claimNames() []string {
	return []string{
		"iss", "exp", "nbf", "jti", "tenant", "email", "email", "email_verified", "sso", "sso", "roles", "permissions", "attrs",
	}
}

// deform gives one claim, or a part of one, a shape that no issuer should send.
func deform(d dice, claims map[string]any) {
	name := pick(d, claimNames()...)
	shape := misshape(d)
	switch sso := claims["sso"].(type) {
	case map[string]any:
		if name == "sso" && d.chance(75) {
			connection := pick(d, "okta", "saml-1", "a|b")
			sso[connection] = shape
			if d.chance(60) {
				sso[connection] = map[string]any{pick(d, "groups", "roles"): shape}
			}
			return
		}
	default:
	}
	claims[name] = shape
}

// misshape is a value of no particular type.
func misshape(d dice) any {
	return pick[any](d,
		nil, "", "eng", "reader", "1767225604000", number(0), number(5), true, false, []any{}, map[string]any{},
		[]any{nil, number(5), "eng", "admin", "reader", []any{"eng"}, map[string]any{"eng": true}},
		map[string]any{"0": "eng", "eng": true, "admin": "admin"},
		[]any{map[string]any{"groups": []any{"eng"}}},
	)
}
