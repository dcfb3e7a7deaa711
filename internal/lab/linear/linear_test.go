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
const longest = 4 * time.Second

// The trial ends after ROLEGATE_REQUESTS requests; unset, after a few.
func requests(t *testing.T) (n int, length time.Duration) {
	t.Helper()
	text := os.Getenv("ROLEGATE_REQUESTS")
	if text == "" {
		return 200_000, longest
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("ROLEGATE_REQUESTS: %v", err)
	}
	return n, 0
}

// often pauses for a moment mostly, and sometimes for longer, so that memory is asked too.
func often(r *rand.Rand) time.Duration {
	if r.IntN(4) > 0 {
		return time.Duration(r.Int64N(int64(2 * time.Millisecond)))
	}
	return time.Duration(r.Int64N(int64(400 * time.Millisecond)))
}

func trial(e *policy.Engine, all []*policy.Snapshot) linear.Config {
	return linear.Config{
		Engine: e, Worlds: all, Askers: 4 * runtime.GOMAXPROCS(0), Seed: 1,
		Ask: asking(), Pause: often, World: worldOf,
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
		"small memory": {AuditEvery: 100, Entries: 16}, // entries come and go
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, cfg)
			c := trial(e, all)
			c.Requests, c.Length = requests(t)
			if cfg.Entries != 0 {
				c.Requests /= 10 // most are evaluated
			}
			r := linear.Run(t.Context(), c)
			judge(t, e, r)
			if r.Overlapped == 0 {
				t.Error("no request was under way during an install: nothing was tried")
			}
		})
	}
}

// One small change a second starts a generation each time: what is asked often is soon
// remembered again.
func TestOneChangeASecondLeavesMostAnswersInMemory(t *testing.T) {
	e := newEngine(t, policy.Config{})
	c := trial(e, snapshots(t))
	c.Length = 4 * time.Second
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
