package linear_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/internal/lab/linear"
	"github.com/rolegate/rolegate/internal/lab/soak"
	"github.com/rolegate/rolegate/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// margin is how long before its deadline a test ends its trial, to judge it.
const margin = 90 * time.Second

// unset is no number of requests; 0 is as many as there is time for.
const unset = -1

// size sets how long a trial is: ROLEGATE_REQUESTS requests, or as many as there is time
// for (-timeout); unset, a few. The long one has fewer installs, so that memory is asked
// most.
func size(t *testing.T, c *linear.Config) {
	t.Helper()
	c.Requests, c.After = soak.Number(t, "ROLEGATE_REQUESTS", unset), often(40_000)
	if c.Requests == unset {
		c.Requests, c.After = 4_000, often(1_000)
		return
	}
	if deadline, ok := t.Deadline(); ok {
		c.Length = time.Until(deadline) - margin
	}
}

// often lets few requests pass mostly, and sometimes more, so that memory is asked too.
func often(longer int64) func(r *rand.Rand) int64 {
	return func(r *rand.Rand) int64 {
		if r.IntN(4) > 0 {
			return 1 + r.Int64N(20)
		}
		return 1 + r.Int64N(longer)
	}
}

func trial(e *policy.Engine, all []*policy.Snapshot) linear.Config {
	return linear.Config{
		Engine: e, Worlds: all, Askers: 4 * runtime.GOMAXPROCS(0), Seed: 1,
		Ask: asking(), After: often(200), World: worldOf,
	}
}

// judge fails on violations, and tells what happened.
func judge(t *testing.T, e *policy.Engine, r linear.Report) {
	t.Helper()
	s := e.Stats()
	t.Logf("%d requests in %v, %d generations, %d requests across an install, %d late, %d violations",
		r.Requests, r.Took.Round(time.Millisecond), r.Installs, r.Overlapped, r.Late, r.Violations)
	t.Logf("%d hits, %d misses, %d waits, %d stored, %d dropped, %d audits, %d mismatches: hit ratio %.4f",
		s.Hits, s.Misses, s.Waits, s.Memory.Stored, s.Memory.Dropped, s.Audits, s.Mismatches, float64(s.Hits)/float64(max(1, s.Hits+s.Misses+s.Waits)))
	for _, text := range r.Shown {
		t.Error(text)
	}
	if r.Violations > 0 || s.Mismatches > 0 {
		t.Errorf("got %d violations and %d mismatches, want none", r.Violations, s.Mismatches)
	}
	if r.Installs < 2 || s.Hits == 0 || s.Misses == 0 {
		t.Errorf("got %d generations, %d hits, %d misses: nothing was tried", r.Installs, s.Hits, s.Misses)
	}
}

// The trials share what was compiled, which costs most of a short run.
func TestUnderLoad(t *testing.T) {
	all := snapshots(t)
	for _, law := range []struct {
		name string
		hold func(t *testing.T, all []*policy.Snapshot)
	}{
		{"answers are of a live generation", answersAreOfALiveGeneration},
		{"an answer of others is used only within its bounds", anAnswerOfOthersIsUsedOnlyWithinItsBounds},
		{"one change a second leaves most answers in memory", oneChangeASecondLeavesMostAnswersInMemory},
		{"a stale engine is noticed", aStaleEngineIsNoticed},
		{"a wrong engine is noticed", aWrongEngineIsNoticed},
	} {
		t.Run(law.name, func(t *testing.T) { law.hold(t, all) })
	}
}

// Every answer under load is that of a generation which was live while it was asked.
func answersAreOfALiveGeneration(t *testing.T, all []*policy.Snapshot) {
	t.Helper()
	for name, cfg := range map[string]policy.Config{
		"memory":       {AuditEvery: 100},
		"small memory": {AuditEvery: 100, Entries: 24}, // entries come and go
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, cfg)
			c := trial(e, all)
			size(t, &c)
			if cfg.Entries != 0 {
				c.Requests = max(800, c.Requests/100) // most are evaluated
			}
			r := linear.Run(t.Context(), c)
			judge(t, e, r)
			if r.Overlapped == 0 {
				t.Error("no request was under way during an install: nothing was tried")
			}
		})
	}
}

// All ask one question with clocks of their own: an answer that others made is used only
// by those whose clock it covers.
func anAnswerOfOthersIsUsedOnlyWithinItsBounds(t *testing.T, all []*policy.Snapshot) {
	t.Helper()
	e := newEngine(t, policy.Config{AuditEvery: 100})
	c := trial(e, all)
	c.Requests = 400
	c.Ask = func(r *rand.Rand) linear.Question { return question(r, 0, r.Int64N(2*windows*window)) }
	c.After = func(*rand.Rand) int64 { return 40 }
	judge(t, e, linear.Run(t.Context(), c))
	if s := e.Stats(); s.Waits == 0 {
		t.Errorf("got %+v, want answers of others", s)
	}
}

// One small change a second starts a generation each time: what is asked often is soon
// remembered again.
func oneChangeASecondLeavesMostAnswersInMemory(t *testing.T, all []*policy.Snapshot) {
	t.Helper()
	e := newEngine(t, policy.Config{})
	c := trial(e, all)
	c.Length = 3 * time.Second
	if soak.Number(t, "ROLEGATE_REQUESTS", unset) != unset {
		c.Length = 30 * time.Second
	}
	c.After, c.Pause = nil, func(*rand.Rand) time.Duration { return time.Second }
	r := linear.Run(t.Context(), c)
	judge(t, e, r)
	// Where fewer can be asked in that time, none is asked often.
	if s := e.Stats(); r.Requests > 5_000 && 2*s.Hits < s.Hits+s.Misses+s.Waits {
		t.Errorf("got %+v, want most of %d requests answered from memory", s, r.Requests)
	}
}

// The checker notices an engine that answers from a generation that is over.
func aStaleEngineIsNoticed(t *testing.T, all []*policy.Snapshot) {
	t.Helper()
	e := newEngine(t, policy.Config{})
	c := trial(e, all)
	c.Askers, c.Stop, c.Requests = 1, 1, 5_000
	c.Decide = stale(t, e)
	if r := linear.Run(t.Context(), c); r.Violations == 0 || len(r.Shown) == 0 {
		t.Errorf("got %+v, want violations", r)
	}
}

// The checker notices an engine that gives the answer of one generation as that of
// another, and one that lets through what it has no answer to.
func aWrongEngineIsNoticed(t *testing.T, all []*policy.Snapshot) {
	t.Helper()
	for name, wrong := range map[string]func(d policy.Decision, err error) (policy.Decision, error){
		"another generation": func(d policy.Decision, err error) (policy.Decision, error) {
			d.Generation++
			return d, err
		},
		"another effect": func(d policy.Decision, err error) (policy.Decision, error) {
			d.Effect = policy.Allow
			return d, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, policy.Config{})
			c := trial(e, all)
			c.Stop, c.Requests = 1, 5_000
			c.Decide = func(ctx context.Context, v policy.View, q linear.Question) (policy.Decision, error) {
				return wrong(v.Decide(ctx, v.Entrypoint(), q.Input, q.Now))
			}
			if r := linear.Run(t.Context(), c); r.Violations == 0 {
				t.Errorf("got %+v, want violations", r)
			}
		})
	}
}
