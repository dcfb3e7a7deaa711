package policy

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Effect is what a decision does to the request. The zero value denies.
type Effect uint8

// The effects.
const (
	Deny Effect = iota
	Allow
)

// String is "allow" or "deny".
func (e Effect) String() string {
	if e == Allow {
		return "allow"
	}
	return "deny"
}

// Origin says where a decision came from.
type Origin string

// The origins. The zero value means that nothing was evaluated.
const (
	OriginNone   Origin = ""       // decided without a policy: not ready, malformed
	OriginHit    Origin = "hit"    // remembered
	OriginMiss   Origin = "miss"   // evaluated, and remembered if it may be
	OriginWait   Origin = "wait"   // evaluated once for several callers; this was one of the others
	OriginBypass Origin = "bypass" // evaluated; this entry point is not remembered
)

// Decision is the answer to one question. The zero value denies.
type Decision struct {
	Effect     Effect
	Reason     string    // one of the Reason constants, or the policy's own
	Result     ast.Value // the whole result document: headers, body, status, metadata; nil when there is none
	Generation uint64    // of the snapshot that answered; 0: none did
	ValidUntil time.Time // the answer holds before this instant; zero: nothing bounds it
	Origin     Origin
}

// ErrResult means that a policy's result is not a decision.
var errResult = errors.New("the result is not a decision")

// decisionOf reads a policy's result: a boolean, or an object whose `allowed` (or
// `allow`) is one. bounded is false when the result does not say how long it holds.
func decisionOf(v ast.Value, lenient bool) (d Decision, bounded bool, err error) {
	switch v := v.(type) {
	case ast.Boolean:
		return Decision{Effect: effect(bool(v)), Reason: plainReason(bool(v)), Result: v}, false, nil
	case ast.Object:
		if lenient {
			return lenientDecision(v)
		}
		return decisionOfObject(v)
	case nil:
		return Decision{}, false, fmt.Errorf("%w: it is undefined", errResult)
	default:
		return Decision{}, false, fmt.Errorf("%w: it is of type %s, want a boolean or an object with `allowed`", errResult, ast.ValueName(v))
	}
}

func decisionOfObject(o ast.Object) (d Decision, bounded bool, err error) {
	allowed, err := allowedOf(o)
	if err != nil {
		return Decision{}, false, err
	}
	d = Decision{Effect: effect(allowed), Reason: plainReason(allowed), Result: o}
	switch reason := member(o, "reason").(type) {
	case nil:
	case ast.String:
		d.Reason = string(reason)
	default:
		return Decision{}, false, fmt.Errorf("%w: `reason` is of type %s, want a string", errResult, ast.ValueName(reason))
	}
	switch until := member(o, "valid_until").(type) {
	case nil:
		return d, false, nil
	case ast.Null:
		return d, true, nil
	case ast.Number:
		ms, ok := milliseconds(until)
		if !ok {
			return Decision{}, false, fmt.Errorf("%w: `valid_until` is %s, want integer milliseconds or null", errResult, until)
		}
		d.ValidUntil = time.UnixMilli(ms)
		return d, true, nil
	default:
		return Decision{}, false, fmt.Errorf("%w: `valid_until` is of type %s, want integer milliseconds or null", errResult, ast.ValueName(until))
	}
}

// lenientDecision reads the result of a policy for which `allowed` is the whole verdict
// and no other member has to mean anything: what is none of ours is passed over.
func lenientDecision(o ast.Object) (d Decision, bounded bool, err error) {
	allowed, ok := member(o, "allowed").(ast.Boolean)
	if !ok {
		return Decision{}, false, fmt.Errorf("%w: want a boolean `allowed`", errResult)
	}
	d = Decision{Effect: effect(bool(allowed)), Reason: plainReason(bool(allowed)), Result: o}
	if reason, ok := member(o, "reason").(ast.String); ok {
		d.Reason = string(reason)
	}
	switch until := member(o, "valid_until").(type) {
	case ast.Null:
		return d, true, nil
	case ast.Number:
		if ms, ok := milliseconds(until); ok {
			d.ValidUntil = time.UnixMilli(ms)
			return d, true, nil
		}
	}
	return d, false, nil
}

// milliseconds reads a whole number however it is written: 1.767225604e12 is one too.
// Beyond 2^53 a number is no instant that anybody means.
func milliseconds(n ast.Number) (int64, bool) {
	if ms, ok := n.Int64(); ok {
		return ms, true
	}
	f, ok := n.Float64()
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// allowedOf reads `allowed` and `allow`. Where both stand they must agree: a policy
// that says both yes and no has said nothing.
func allowedOf(o ast.Object) (bool, error) {
	var verdict ast.Value
	for _, key := range [...]string{"allowed", "allow"} {
		v := member(o, key)
		if v == nil {
			continue
		}
		if _, ok := v.(ast.Boolean); !ok {
			return false, fmt.Errorf("%w: `%s` is of type %s, want a boolean", errResult, key, ast.ValueName(v))
		}
		if verdict != nil && verdict.Compare(v) != 0 {
			return false, fmt.Errorf("%w: `allowed` and `allow` differ", errResult)
		}
		verdict = v
	}
	if verdict == nil {
		return false, fmt.Errorf("%w: the object has neither `allowed` nor `allow`", errResult)
	}
	return bool(verdict.(ast.Boolean)), nil
}

// member answers the value under a string key, nil where there is none.
func member(o ast.Object, key string) ast.Value {
	if t := o.Get(ast.InternedTerm(key)); t != nil {
		return t.Value
	}
	return nil
}

func effect(allowed bool) Effect {
	if allowed {
		return Allow
	}
	return Deny
}

func plainReason(allowed bool) string {
	if allowed {
		return ReasonAllowed
	}
	return ReasonExplicitDeny
}
