package reference

import "math/big"

// laterThan is the instant v if it lies after now, else nil: equal instants count as reached (N33).
func laterThan(v any, now *big.Float) *big.Float {
	n, ok := number(v)
	if !ok || n.Cmp(now) <= 0 {
		return nil
	}
	return n
}

// earliest is the earlier of two instants; nil is never.
func earliest(a, b *big.Float) *big.Float {
	if a == nil || b != nil && b.Cmp(a) < 0 {
		return b
	}
	return a
}

// N21: a window includes its start and excludes its end.
func n21Within(window any, now *big.Float) bool {
	bounds := list(window)
	if len(bounds) != 2 {
		return false
	}
	start, ok := number(bounds[0])
	end, ok2 := number(bounds[1])
	return ok && ok2 && start.Cmp(now) <= 0 && now.Cmp(end) < 0
}

// N20: now lies in one of the windows; an empty list is always.
func n20Open(windows []any, now *big.Float) bool {
	if len(windows) == 0 {
		return true
	}
	for _, window := range windows {
		if n21Within(window, now) {
			return true
		}
	}
	return false
}

// N33: the earliest boundary of the windows that lies after now; nil when there is none.
func n33NextBoundary(windows []any, now *big.Float) *big.Float {
	var next *big.Float
	for _, window := range windows {
		for _, bound := range list(window) {
			next = earliest(next, laterThan(bound, now))
		}
	}
	return next
}

// N33: what bounds a gate's answer. Before N6, and for token_expired, nothing; from there on exp;
// token_not_yet_valid adds nbf, and revoked (N34) its until-times.
func (q *asking) n33Gate(reason string) *big.Float {
	switch reason {
	case "unauthenticated", "untrusted_issuer", "token_expired":
		return nil
	case "token_not_yet_valid":
		return earliest(q.exp, q.nbf)
	case "revoked":
		return earliest(q.exp, q.revokedUntil)
	default:
		return q.exp
	}
}

// N33: what bounds an answer past N25: exp, every later window boundary of a candidate's grant or
// role (if the role exists, visible and effective or not), in the token modes those of the roles that
// the token's keys resolve to, and the until-times of the principal's revoked grants at T and above.
func (q *asking) n33Decision(candidates []candidate, token []role) *big.Float {
	until := q.exp
	for _, c := range candidates {
		if r, ok := roleOf(q.rbac, c.role); ok {
			until = earliest(until, n33NextBoundary(c.windows, q.now))
			until = earliest(until, n33NextBoundary(r.windows(), q.now))
		}
	}
	for _, r := range token {
		until = earliest(until, n33NextBoundary(r.windows(), q.now))
	}
	for _, node := range ancestry(q.tenant) {
		grants, _ := field(q.rbac, "revoked", "grants", node, q.principal)
		for _, entry := range object(grants) {
			until = earliest(until, laterThan(entry, q.now))
		}
	}
	return until
}

// N33 and the extension: data.authz.valid_until bounds every result, public and gates included; there too
// an instant that is now or earlier counts as reached.
func (q *asking) n33Extension(until *big.Float) *big.Float {
	for _, entry := range list(q.authz["valid_until"]) {
		until = earliest(until, laterThan(entry, q.now))
	}
	return until
}
