package policy_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/internal/lab/world"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
)

// span is when an evaluation holds: from the instant at which it was made until, or for ever.
type span struct{ from, until time.Time }

func (s span) holds(now time.Time) bool {
	return !now.Before(s.from) && (s.until.IsZero() || now.Before(s.until))
}

// In random worlds of roles, while the clock jumps to and fro around the bounds of the
// answers: what memory says is what a fresh evaluation says, at every instant, and it
// says nothing before an answer was made nor from its bound on.
func TestTheLibraryRemembersOnlyWhatHolds(t *testing.T) {
	t.Parallel()
	base := policytest.Snapshot(t, "-- authz/extension.rego --\n"+world.Extension())
	const questionsEach, momentsEach = 6, 7
	var hits, bounds, negative, allowed atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		ctx := t.Context()
		w := world.New(rapid.Uint64().Draw(t, "world"))
		s, err := base.WithData(ctx, w.Data)
		if err != nil {
			t.Fatal(err)
		}
		skip := rapid.Bool().Draw(t, "skip negative")
		e := lawEngine(t, policy.Config{SkipNegative: skip, AuditEvery: 5}, s)
		defer e.Close()
		view, g := e.View(), world.NewGenerator(rapid.Uint64().Draw(t, "questions"))
		made := map[string][]span{}
		for range questionsEach {
			q := asInquiry(t, w.Question(g))
			bound := q.now.Add(time.Second)
			for range momentsEach {
				want := fresh(ctx, view, q)
				d, err := view.Decide(ctx, view.Entrypoint(), q.in, q.now)
				view.Settle()
				if !agrees(d, err, want) {
					t.Fatalf("at %d, %s: got %+v, %v, want %v, of %s", q.now.UnixMilli(), d.Origin, d, err, want, q)
				}
				switch d.Origin {
				case policy.OriginHit:
					hits.Add(1)
					if d.Effect == policy.Allow {
						allowed.Add(1)
					} else {
						negative.Add(1)
					}
					if skip && d.Effect == policy.Deny {
						t.Fatalf("got a denial from memory, which is to keep none, of %s", q)
					}
					if !anyHolds(made[q.String()], q.now) {
						t.Fatalf("at %d: got an answer from memory, made when: %v, of %s", q.now.UnixMilli(), made[q.String()], q)
					}
				default:
					made[q.String()] = append(made[q.String()], span{q.now, d.ValidUntil})
				}
				if !d.ValidUntil.IsZero() {
					if !d.ValidUntil.After(q.now) {
						t.Fatalf("at %d: got a bound that is past, %d, of %s", q.now.UnixMilli(), d.ValidUntil.UnixMilli(), q)
					}
					bounds.Add(1)
					if d.ValidUntil.Sub(q.now) < time.Hour { // no clock reaches the others
						bound = d.ValidUntil
					}
				}
				q.now = nextMoment(t, q.now, bound)
			}
		}
		if s := e.Stats(); s.Mismatches != 0 || s.Audits == 0 || s.Bypassed != 0 {
			t.Fatalf("got %+v, want audits, no mismatch and nothing that may not be remembered", s)
		}
	})
	t.Logf("%d answers from memory (%d allow, %d deny), %d of all had a bound", hits.Load(), allowed.Load(), negative.Load(), bounds.Load())
	if allowed.Load() == 0 || negative.Load() == 0 || bounds.Load() == 0 {
		t.Error("the law was not tried")
	}
}

func asInquiry(t rapid.TB, question map[string]any) inquiry {
	t.Helper()
	in, err := ast.InterfaceToValue(world.Input(question))
	if err != nil {
		t.Fatal(err)
	}
	ms, err := question["time"].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return inquiry{policy.Whole{Value: in}, time.UnixMilli(ms)}
}

func anyHolds(spans []span, now time.Time) bool {
	for _, s := range spans {
		if s.holds(now) {
			return true
		}
	}
	return false
}

// nextMoment is where a clock may stand next: where it stood, around a bound, or anywhere
// near, also before.
func nextMoment(t *rapid.T, now, bound time.Time) time.Time {
	switch rapid.IntRange(0, 7).Draw(t, "clock") {
	case 0, 1, 2:
		return now
	case 3:
		return bound.Add(-time.Millisecond)
	case 4:
		return bound
	case 5:
		return now.Add(-time.Nanosecond)
	case 6:
		return bound.Add(-time.Nanosecond)
	default:
		return now.Add(time.Duration(rapid.Int64Range(-3000, 3000).Draw(t, "step")) * time.Millisecond)
	}
}
