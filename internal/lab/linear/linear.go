// Package linear checks a decision engine under load, from outside: many ask while
// generations are installed at random intervals, and each answer must be one that a
// generation gives which was live between the request's start and its end.
package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolegate/rolegate/policy"
)

// shownViolations bounds how many are described; all are counted.
const shownViolations = 5

// Question is what one request asks.
type Question struct {
	Input policy.Input
	Now   time.Time // the reading of its clock
	ID    int       // which question it is, for Right
	Limit time.Duration
}

// Config is a trial. Engine must have no snapshot yet.
type Config struct {
	Engine *policy.Engine
	// Worlds are installed in turn, again and again: generation g is Worlds[(g-1) % len].
	// There should be more of them than can be live during one request.
	Worlds   []*policy.Snapshot
	Askers   int
	Requests int           // in all; 0: until Length is over
	Length   time.Duration // 0: until all Requests were asked
	Stop     uint64        // violations after which it is over; 0: it goes on
	Seed     uint64
	Ask      func(r *rand.Rand) Question
	Pause    func(r *rand.Rand) time.Duration // from one install to the next
	// World tells from an answer alone which of the worlds made it; false when it is the
	// answer of none to that question. It must not look at the decision's generation.
	World func(q Question, d policy.Decision) (int, bool)
	// Decide is policy.View.Decide; tests put a wrong engine in its place.
	Decide func(ctx context.Context, v policy.View, q Question) (policy.Decision, error)
}

// Report is what came of a trial.
type Report struct {
	Requests, Late, Violations uint64 // Late: no answer within the request's own limit, which is a denial
	Installs                   uint64
	Overlapped                 uint64 // requests during which more than one generation was live
	Took                       time.Duration
	Shown                      []string // the first violations
}

// trial is a run under way.
type trial struct {
	Config
	begun, ended atomic.Uint64 // generations: the install was begun, has returned
	asked        atomic.Int64

	requests, late, overlapped, violations atomic.Uint64
	mu                                     sync.Mutex
	shown                                  []string
}

// Run installs the first world, then asks and installs until the trial is over or ctx
// ends.
func Run(ctx context.Context, cfg Config) Report {
	t := &trial{Config: cfg}
	if t.Decide == nil {
		t.Decide = func(ctx context.Context, v policy.View, q Question) (policy.Decision, error) {
			return v.Decide(ctx, v.Entrypoint(), q.Input, q.Now)
		}
	}
	began := time.Now()
	t.install()
	if cfg.Length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.Length)
		defer cancel()
	}
	over, stop := context.WithCancel(ctx)
	var installer, askers sync.WaitGroup
	installer.Go(func() {
		r := rand.New(rand.NewPCG(cfg.Seed, 0))
		for wait(over, cfg.Pause(r)) {
			t.install()
		}
	})
	for i := range cfg.Askers {
		askers.Go(func() { t.askAll(ctx, rand.New(rand.NewPCG(cfg.Seed, uint64(i)+1))) })
	}
	askers.Wait()
	stop()
	installer.Wait()
	return Report{
		Requests: t.requests.Load(), Late: t.late.Load(), Violations: t.violations.Load(), Installs: t.ended.Load(),
		Overlapped: t.overlapped.Load(), Took: time.Since(began), Shown: t.shown,
	}
}

// wait waits; false when there is nothing to wait for any more.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// install brings the next generation in. Only one goroutine does.
func (t *trial) install() {
	next := t.begun.Add(1)
	got := t.Engine.Install(t.Worlds[t.world(next)])
	if got != next {
		t.violation("install %d: got generation %d", next, got)
	}
	t.ended.Store(next)
}

// world is which of the worlds a generation is.
func (t *trial) world(generation uint64) int { return int((generation - 1) % uint64(len(t.Worlds))) }

func (t *trial) askAll(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil && (t.Stop == 0 || t.violations.Load() < t.Stop) {
		if t.asked.Add(1) > int64(t.Requests) && t.Requests > 0 {
			return
		}
		t.one(ctx, t.Ask(r))
	}
}

// one asks one question and judges the answer.
func (t *trial) one(ctx context.Context, q Question) {
	ctx = context.WithoutCancel(ctx) // what is under way when the trial ends is judged too
	if q.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.Limit)
		defer cancel()
	}
	first := t.ended.Load() // any generation before this one is over
	d, err := t.Decide(ctx, t.Engine.View(), q)
	last := t.begun.Load()
	t.requests.Add(1)
	if first != last {
		t.overlapped.Add(1)
	}
	if err != nil {
		t.late.Add(1)
		if d.Effect != policy.Deny || q.Limit == 0 || ctx.Err() == nil {
			t.violation("question %d: got %s %s, %v", q.ID, d.Effect, d.Reason, err)
		}
		return
	}
	made, ok := t.World(q, d)
	switch {
	case !ok:
		t.violation("question %d at %d: got %s %s (%s), which no world answers", q.ID, q.Now.UnixMilli(), d.Effect, d.Reason, d.Origin)
	case d.Generation < first || d.Generation > last:
		t.violation("question %d: got generation %d (%s), live were %d to %d", q.ID, d.Generation, d.Origin, first, last)
	case t.world(d.Generation) != made:
		t.violation("question %d: got the answer of world %d (%s) as that of generation %d, which is world %d",
			q.ID, made, d.Origin, d.Generation, t.world(d.Generation))
	}
}

func (t *trial) violation(format string, args ...any) {
	t.violations.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.shown) < shownViolations {
		t.shown = append(t.shown, fmt.Sprintf(format, args...))
	}
}
