package policy

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// one is how an engine decides about ann at second 7.
func one(ctx context.Context, e *Engine, id string) (Decision, error) {
	return e.View().Decide(ctx, DefaultEntrypoint, ask(id), time.UnixMilli(7))
}

func TestOverloadIsRefusedAndMemoryIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{Concurrency: 1, QueueWait: 20 * time.Millisecond, Timeout: time.Minute})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		if d, err := one(t.Context(), e, "ann"); err != nil || d.Effect != Allow {
			t.Fatalf("got %+v, %v, want an allow", d, err)
		}
		e.memory.cache.Wait()
		release := make(chan struct{})
		e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
			<-release
			return s.eval(ctx, q, in, now)
		}
		var callers sync.WaitGroup
		callers.Go(func() {
			if _, err := one(t.Context(), e, "slow"); err != nil {
				t.Errorf("the one that runs: got %v, want an answer", err)
			}
		})
		synctest.Wait()
		var mu sync.Mutex
		origins := map[Origin]int{}
		for range 2 { // one leads, one waits for it: neither is tried again
			callers.Go(func() {
				began := time.Now()
				d, err := one(t.Context(), e, "bob")
				if !errors.Is(err, ErrOverloaded) || d.Effect != Deny || d.Reason != ReasonOverloaded {
					t.Errorf("one too many: got %+v, %v, want a denial, %q", d, err, ReasonOverloaded)
				}
				if took := time.Since(began); took != 20*time.Millisecond {
					t.Errorf("refused after %v, want 20ms", took)
				}
				mu.Lock()
				defer mu.Unlock()
				origins[d.Origin]++
			})
		}
		synctest.Wait()
		if d, err := one(t.Context(), e, "ann"); err != nil || d.Origin != OriginHit {
			t.Errorf("what is remembered: got %+v, %v, want a hit", d, err)
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if s := e.Stats(); s.Shed != 1 || s.Running != 1 {
			t.Errorf("got %+v, want one shed while one runs", s)
		}
		close(release)
		callers.Wait()
		if origins[OriginMiss] != 1 || origins[OriginWait] != 1 {
			t.Errorf("got the origins %v, want one of who leads and one of who waits", origins)
		}
		if d, err := one(t.Context(), e, "bob"); err != nil || d.Effect != Deny {
			t.Errorf("afterwards: got %+v, %v, want an answer", d, err)
		}
	})
}

func TestWhoIsGoneIsNotEvaluatedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{Concurrency: 1, QueueWait: time.Second, Timeout: time.Minute})
		e.Install(compile(t, windows("ann", 0, 5000),
			"package rolegate\n\ndecision := data.authz.answer", "package authz\n\nanswer := time.now_ns() > 0"))
		release, evaluations := make(chan struct{}), 0
		e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
			evaluations++
			<-release
			return s.eval(ctx, q, in, now)
		}
		var callers sync.WaitGroup
		callers.Go(func() { _, _ = one(t.Context(), e, "ann") })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if d, err := one(ctx, e, "bob"); !errors.Is(err, context.DeadlineExceeded) || d.Reason != ReasonTimeout {
			t.Errorf("got %+v, %v, want %q", d, err, ReasonTimeout)
		}
		close(release)
		callers.Wait()
		if evaluations != 1 {
			t.Errorf("got %d evaluations, want 1: nobody waits for the other", evaluations)
		}
	})
}

func TestAnOverdueEvaluationIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		e := newEngine(t, Config{Timeout: time.Second, Overdue: func(entrypoint string) { told = append(told, entrypoint) }})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		takes := 1900 * time.Millisecond
		e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
			time.Sleep(takes)
			return s.eval(context.WithoutCancel(ctx), q, in, now)
		}
		_, _ = one(t.Context(), e, "ann")
		if len(told) != 0 {
			t.Errorf("after %v: told %v, want nothing", takes, told)
		}
		takes = 2100 * time.Millisecond
		_, _ = one(t.Context(), e, "bob")
		synctest.Wait()
		if len(told) != 1 || told[0] != DefaultEntrypoint || e.Stats().Overdue != 1 {
			t.Errorf("after %v: told %v, %+v, want it once", takes, told, e.Stats())
		}
	})
}

func TestALongKeyTakesTheRoomOfSeveral(t *testing.T) {
	for length, want := range map[int]int64{0: 1, entryBytes - 1: 1, entryBytes: 2, 64 << 10: 17} {
		if got := (&finding{key: strings.Repeat("x", length)}).cost(); got != want {
			t.Errorf("a key of %d bytes: got %d entries, want %d", length, got, want)
		}
	}
}

func TestSlotsByDefault(t *testing.T) {
	s := newSlots(Config{})
	if got, want := cap(s.free), 4*runtime.GOMAXPROCS(0); got != want || s.wait != 50*time.Millisecond {
		t.Errorf("got %d slots and %v, want %d and 50ms", got, s.wait, want)
	}
	for n, want := range map[int]int{-1: 4 * runtime.GOMAXPROCS(0), 1: 1, 7: 7} {
		if s := newSlots(Config{Concurrency: n, QueueWait: time.Second}); cap(s.free) != want || s.wait != time.Second {
			t.Errorf("concurrency %d: got %d slots and %v, want %d and 1s", n, cap(s.free), s.wait, want)
		}
	}
}

// TestNobodyNeedsToBeToldOfAnOverdueEvaluation: it is counted all the same.
func TestNobodyNeedsToBeToldOfAnOverdueEvaluation(t *testing.T) {
	e := newEngine(t, Config{})
	e.overdue("x")
	if got := e.Stats().Overdue; got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}
