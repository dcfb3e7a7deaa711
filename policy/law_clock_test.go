package policy_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
)

// hours is a bundle that denies outside hours, and promises to say when that changes.
const hours = `A deny outside of hours, by who knows when they end.
-- authz.rego --
package authz

# METADATA
# custom:
#   bounded: true
deny contains "after_hours" if {
	some opening in data.openings
	not within(opening)
}

# METADATA
# custom:
#   bounded: true
within(opening) if {
	data.rolegate.now >= opening[0]
	data.rolegate.now < opening[1]
}

valid_until contains edge if some edge in data.openings[_]
-- data.json --
{"openings": [[%d, %d]],
 "rbac": {
  "tenants": {"@root": {}, "acme": {}},
  "roles": {"reader": {"owner": "@root", "key": "reader", "allow": {"documents": {"read": {".": true}}}}},
  "members": {"acme": {"ann": {"grants": {"reader": []}}}}}}
`

// Just before the instant that a bundle named and at it, memory says what a fresh
// evaluation says.
func TestADenyAfterHoursIsNeverAnsweredFromBefore(t *testing.T) {
	t.Parallel()
	const opens, closes = 1_767_258_000_000, 1_767_286_800_000 // 09:00 and 17:00
	s := policytest.Snapshot(t, fmt.Sprintf(hours, opens, closes))
	ann := policy.Whole{Value: ast.MustParseTerm(`{
		"subject": {"id": "ann", "type": "user"},
		"route": {"tenant": "acme", "resource": "documents", "action": "read"}}`).Value}
	var hits atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		e := lawEngine(t, policy.Config{AuditEvery: 4}, s)
		defer e.Close()
		for _, ms := range rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]int64{opens - 1, opens, opens + 1, closes - 1, closes, closes + 1}),
			rapid.Int64Range(opens-10_000, closes+10_000),
		), 2, 30).Draw(t, "instants") {
			q := inquiry{ann, time.UnixMilli(ms)}
			want := fresh(t.Context(), e.View(), q)
			d, err := e.View().Decide(t.Context(), policy.DefaultEntrypoint, q.in, q.now)
			e.View().Settle()
			open := ms >= opens && ms < closes
			if !agrees(d, err, want) || (d.Effect == policy.Allow) != open {
				t.Fatalf("at %d, %s: got %s %s, %v, want allow: %t (fresh: %v)", ms, d.Origin, d.Effect, d.Reason, err, open, want)
			}
			if d.Origin == policy.OriginHit {
				hits.Add(1)
			}
		}
		if s := e.Stats(); s.Bypassed != 0 || s.Mismatches != 0 {
			t.Fatalf("got %+v, want nothing bypassed and no mismatch", s)
		}
	})
	t.Logf("%d answers from memory", hits.Load())
	if hits.Load() == 0 {
		t.Error("the law was not tried")
	}
}

// Who reads the clock and promises nothing is asked each time, and so is right at every
// instant.
func TestAClockWithoutAPromiseIsNeverRemembered(t *testing.T) {
	t.Parallel()
	s := ownPolicy(t, `package own

decision := {"allow": time.now_ns() < 5000000000, "valid_until": null}`)
	e := lawEngine(t, policy.Config{}, s)
	defer e.Close()
	for _, ms := range []int64{4999, 5000, 4999, 0, 10_000} {
		d, err := e.View().Decide(t.Context(), "own/decision", policy.Whole{}, time.UnixMilli(ms))
		if want := ms < 5000; err != nil || (d.Effect == policy.Allow) != want || d.Origin != policy.OriginBypass {
			t.Errorf("at %d: got %s %s, %v, want allow: %t, bypass", ms, d.Origin, d.Effect, err, want)
		}
	}
	if s := e.Stats(); s.Memory.Stored != 0 || s.Bypassed != 5 {
		t.Errorf("got %+v, want 5 bypassed and nothing stored", s)
	}
}
