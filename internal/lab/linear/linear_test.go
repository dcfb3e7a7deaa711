package linear_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/internal/lab/linear"
	"github.com/rolegate/rolegate/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longest bounds a trial of the usual length, however slow the machine.
const longest = 3 * time.Second

// margin is how long before its deadline a test ends its trial, to judge it.
const margin = 90 * time.Second

// size sets how long a trial is: ROLEGATE_REQUESTS requests, or as many as there is time
// for (-timeout); unset, a few. The long one has longer pauses too, so that memory is
// asked most.
func size(t *testing.T, c *linear.Config) {
	t.Helper()
	c.Requests, c.Length, c.Pause = 200_000, longest, often(400*time.Millisecond)
	text := os.Getenv("ROLEGATE_REQUESTS")
	if text == "" {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("ROLEGATE_REQUESTS: %v", err)
	}
	c.Requests, c.Length, c.Pause = n, 0, often(4*time.Second)
	if deadline, ok := t.Deadline(); ok {
		c.Length = time.Until(deadline) - margin
	}
}

// often pauses for a moment mostly, and sometimes for longer, so that memory is asked too.
func often(longer time.Duration) func(r *rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		if r.IntN(4) > 0 {
			return time.Duration(r.Int64N(int64(2 * time.Millisecond)))
		}
		return time.Duration(r.Int64N(int64(longer)))
	}
}

func trial(e *policy.Engine, all []*policy.Snapshot) linear.Config {
	return linear.Config{
		Engine: e, Worlds: all, Askers: 4 * runtime.GOMAXPROCS(0), Seed: 1,
		Ask: asking(), Pause: often(400 * time.Millisecond), World: worldOf,
	}
}

// judge fails on violations, and tells what happened.
func judge(t *testing.T, e *policy.Engine, r linear.Report) {
	t.Helper()
	s := e.Stats()
	t.Logf("%d requests in %v, %d generations, %d requests across an install, %d late, %d violations",
		r.Requests, r.Took.Round(time.Millisecond), r.Installs, r.Overlapped, r.Late, r.Violations)
	t.Logf("%d hits, %d misses, %d waits, %d stored, %d dropped, %d audits, %d mismatches: hit ratio %.4f",
		s.Hits, s.Misses, s.Waits, s.Stored, s.Dropped, s.Audits, s.Mismatches, float64(s.Hits)/float64(max(1, s.Hits+s.Misses+s.Waits)))
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

// Every answer under load is that of a generation which was live while it was asked.
func TestAnswersAreOfALiveGeneration(t *testing.T) {
	all := snapshots(t)
	for name, cfg := range map[string]policy.Config{
		"memory":       {AuditEvery: 100},
		"small memory": {AuditEvery: 100, Entries: 24}, // entries come and go
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, cfg)
			c := trial(e, all)
			size(t, &c)
			if cfg.Entries != 0 {
				c.Requests /= 50 // most are evaluated
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
func TestAnAnswerOfOthersIsUsedOnlyWithinItsBounds(t *testing.T) {
	e := newEngine(t, policy.Config{AuditEvery: 100})
	c := trial(e, snapshots(t))
	c.Length = 2 * time.Second
	c.Ask = func(r *rand.Rand) linear.Question { return question(r, 0, r.Int64N(2*windows*window)) }
	c.Pause = func(*rand.Rand) time.Duration { return 50 * time.Millisecond }
	judge(t, e, linear.Run(t.Context(), c))
	if s := e.Stats(); s.Waits == 0 {
		t.Errorf("got %+v, want answers of others", s)
	}
}

// One small change a second starts a generation each time: what is asked often is soon
// remembered again.
func TestOneChangeASecondLeavesMostAnswersInMemory(t *testing.T) {
	e := newEngine(t, policy.Config{})
	c := trial(e, snapshots(t))
	c.Length = 3 * time.Second
	if os.Getenv("ROLEGATE_REQUESTS") != "" {
		c.Length = 30 * time.Second
	}
	c.Pause = func(*rand.Rand) time.Duration { return time.Second }
	r := linear.Run(t.Context(), c)
	judge(t, e, r)
	if s := e.Stats(); 4*s.Hits < s.Hits+s.Misses+s.Waits {
		t.Errorf("got %+v, want a fourth of %d requests answered from memory, on the slowest machine", s, r.Requests)
	}
}

// The checker notices an engine that answers from a generation that is over.
func TestAStaleEngineIsNoticed(t *testing.T) {
	e := newEngine(t, policy.Config{})
	c := trial(e, snapshots(t))
	c.Askers, c.Stop, c.Length = 1, 1, 10*longest
	c.Decide = stale(t, e)
	if r := linear.Run(t.Context(), c); r.Violations == 0 || len(r.Shown) == 0 {
		t.Errorf("got %+v, want violations", r)
	}
}

// The checker notices an engine that gives the answer of one generation as that of
// another, and one that lets through what it has no answer to.
func TestAWrongEngineIsNoticed(t *testing.T) {
	all := snapshots(t)
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
			c.Stop, c.Length = 1, 10*longest
			c.Decide = func(ctx context.Context, v policy.View, q linear.Question) (policy.Decision, error) {
				return wrong(v.Decide(ctx, v.Entrypoint(), q.Input, q.Now))
			}
			if r := linear.Run(t.Context(), c); r.Violations == 0 {
				t.Errorf("got %+v, want violations", r)
			}
		})
	}
}
