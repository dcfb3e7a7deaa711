package policy

import (
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Current says whether an upstream may be told of the subject: somebody, whose claims
// hold now. Whoever allows a request without looking at who asks (a public route, a
// policy of one's own) must not have an outdated token vouch for its subject.
func (s *Subject) Current(now time.Time) bool {
	switch {
	case s.ID == "" || s.Error != "":
		return false
	case s.Claims == nil:
		return true
	}
	if ready := s.made(); ready != nil {
		return ready.period.holds(now)
	}
	p := periodOf(s.Claims)
	return p.holds(now)
}

// Lapsed is the reason for which the claims of a verified subject do not hold now,
// [ReasonTokenExpired] or [ReasonTokenNotYetValid]; "" when they do, or there are none.
func (s *Subject) Lapsed(now time.Time) string {
	if s.ID == "" || s.Error != "" || s.Current(now) {
		return ""
	}
	p := periodOf(s.Claims)
	if p.known && p.from.there && now.Before(p.from.at) && (!p.end.there || now.Before(p.end.at)) {
		return ReasonTokenNotYetValid
	}
	return ReasonTokenExpired
}

// period is when claims hold. The zero value is never.
type period struct {
	known     bool // false: what stands there is no time
	from, end bound
}

// bound is an instant, if there is one.
type bound struct {
	at    time.Time
	there bool
}

// periodOf reads nbf and exp.
func periodOf(claims ast.Object) period {
	from, knowsFrom := instant(claims, "nbf")
	end, knowsEnd := instant(claims, "exp")
	return period{known: knowsFrom && knowsEnd, from: from, end: end}
}

func (p *period) holds(now time.Time) bool {
	return p.known && (!p.end.there || now.Before(p.end.at)) && (!p.from.there || !now.Before(p.from.at))
}

// instant reads integer milliseconds; null is no bound. ok is false for anything else.
func instant(claims ast.Object, name string) (_ bound, ok bool) {
	switch v := member(claims, name).(type) {
	case nil, ast.Null:
		return bound{}, true
	case ast.Number:
		ms, ok := v.Int64()
		return bound{at: time.UnixMilli(ms), there: true}, ok
	default:
		return bound{}, false
	}
}
