package policy

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestAViewHoldsWhatItsSnapshotDoes: all of it is of the one that was pinned.
func TestAViewHoldsWhatItsSnapshotDoes(t *testing.T) {
	m := ast.MustParseModuleWithOpts("package acme\n\nallow := true", ast.ParserOptions{RegoVersion: ast.RegoV1})
	s, err := Compile(t.Context(), Source{
		Modules: map[string]*ast.Module{"a.rego": m}, Entrypoint: "acme/allow", Revisions: map[string]string{"b": "r1"},
		Data: map[string]any{
			"rbac": map[string]any{"aliases": map[string]any{"old": "new"}},
			"routes": map[string]any{"s": map[string]any{"prefixes": []any{"/"}, "routes": []any{
				map[string]any{"id": "r", "methods": []any{"GET"}, "path": "/", "public": true},
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, Config{})
	e.Install(s)
	v := e.View()
	if !v.Ready() || v.Generation() != 1 || v.Snapshot() != s || v.Routes().Len() != 1 || !maps.Equal(v.Revisions(), map[string]string{"b": "r1"}) || v.Entrypoint() != "acme/allow" {
		t.Errorf("got ready %t, generation %d, %d routes, revisions %v, entry point %q", v.Ready(), v.Generation(), v.Routes().Len(), v.Revisions(), v.Entrypoint())
	}
	for tenant, want := range map[string]bool{"old": true, "new": false} {
		if to, ok := v.Alias(tenant); ok != want || (to == "new") != want {
			t.Errorf("%s: got %q, %t, want an alias: %t", tenant, to, ok, want)
		}
	}
}

// manyEntries has entry points that say different things, with and without a memory.
const manyEntries = `package rolegate

decision := {"allow": true, "reason": "usual", "valid_until": null} if input.subject.id == "ann"

other := {"allow": false, "reason": "other", "valid_until": null} if input.subject.id == "ann"

named := input.subject.id

broken := 7`

// TestEachEntryPointHasItsOwnAnswer: also once others are remembered; one that there is not,
// or that says nothing, denies.
func TestEachEntryPointHasItsOwnAnswer(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: -1})
	e.Install(compile(t, nil, manyEntries))
	v := e.View()
	for range 3 {
		for entrypoint, want := range map[string]Decision{
			DefaultEntrypoint:  {Effect: Allow, Reason: "usual"},
			"rolegate/other":   {Effect: Deny, Reason: "other"},
			"rolegate/broken":  {Effect: Deny, Reason: ReasonPolicyError, Origin: OriginMiss},
			"rolegate/nowhere": {Effect: Deny, Reason: ReasonPolicyError},
		} {
			d, err := v.Decide(t.Context(), entrypoint, ask("ann"), time.UnixMilli(7))
			if d.Effect != want.Effect || d.Reason != want.Reason || d.Generation != 1 || (err != nil) != (want.Reason == ReasonPolicyError) {
				t.Errorf("%s: got %+v, %v, want %s %s", entrypoint, d, err, want.Effect, want.Reason)
			}
			if err != nil && d.Origin != want.Origin {
				t.Errorf("%s: got origin %q, want %q", entrypoint, d.Origin, want.Origin)
			}
		}
		e.memory.cache.Wait()
	}
	if s := e.Stats(); s.Hits != 4 || s.Bypassed != 0 {
		t.Errorf("got %+v, want two hits of each that says something", s)
	}
}

// TestToolsSeeTheWholeAndWhatIsReadOfIt: Eval answers on the whole input, EvalPruned on what
// the footprint holds; neither remembers, and neither knows more entry points than there are.
func TestToolsSeeTheWholeAndWhatIsReadOfIt(t *testing.T) {
	e := newEngine(t, Config{})
	e.Install(compile(t, nil, manyEntries))
	in, now := ask("ann"), time.UnixMilli(7)
	type evaluate = func(View, context.Context, string, Input, time.Time) (ast.Value, error)
	for name, eval := range map[string]evaluate{"whole": View.Eval, "pruned": View.EvalPruned} {
		if got, err := eval(e.View(), t.Context(), "rolegate/named", in, now); err != nil || got.Compare(ast.String("ann")) != 0 {
			t.Errorf("%s: got %v, %v, want ann", name, got, err)
		}
		if got, err := eval(e.View(), t.Context(), "rolegate/nowhere", in, now); err == nil || got != nil {
			t.Errorf("%s, no such entry point: got %v, %v, want an error", name, got, err)
		}
		if got, err := eval(View{}, t.Context(), "rolegate/named", in, now); !errors.Is(err, ErrNotReady) || got != nil {
			t.Errorf("%s of no snapshot: got %v, %v, want %v", name, got, err, ErrNotReady)
		}
	}
	// A policy that is told by the test to read nothing sees nothing.
	blinded := blind(t, Config{}, "package rolegate\n\ndecision := {\"allow\": true, \"saw\": object.get(input, \"subject\", \"nothing\")} if input\n\ndecision := {\"allow\": false} if not input")
	whole, err := blinded.View().Eval(t.Context(), DefaultEntrypoint, in, now)
	pruned, errPruned := blinded.View().EvalPruned(t.Context(), DefaultEntrypoint, in, now)
	if err != nil || errPruned != nil || whole.Compare(pruned) == 0 || !strings.Contains(whole.String(), "ann") || strings.Contains(pruned.String(), "ann") {
		t.Errorf("got %v, %v on the whole and %v, %v on what is read", whole, err, pruned, errPruned)
	}
	if s := e.Stats(); s.Hits+s.Misses+s.Bypassed+s.Memory.Stored != 0 {
		t.Errorf("got %+v, want nothing counted", s)
	}
}

// TestNobodyEvaluatesForACallerWhoIsGone: before it began, at an entry point that is
// remembered and at one that is not.
func TestNobodyEvaluatesForACallerWhoIsGone(t *testing.T) {
	for _, entrypoint := range []string{DefaultEntrypoint, "authz/answer"} {
		for cause, c := range map[error]func() (context.Context, context.CancelFunc){
			context.Canceled: func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				return ctx, cancel
			},
			context.DeadlineExceeded: func() (context.Context, context.CancelFunc) {
				return context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
			},
		} {
			e := newEngine(t, Config{})
			e.Install(compile(t, nil, manyEntries, "package authz\n\nanswer := time.now_ns() > 0"))
			var evaluations atomic.Int64
			e.eval = func(*Snapshot, context.Context, *query, ast.Value, time.Time) (ast.Value, error) {
				evaluations.Add(1)
				return ast.Boolean(true), nil
			}
			ctx, cancel := c()
			d, err := e.View().Decide(ctx, entrypoint, ask("ann"), time.UnixMilli(7))
			cancel()
			e.running.Wait()
			if !errors.Is(err, cause) || d.Effect != Deny || d.Reason != ReasonTimeout || d.Origin != OriginNone || d.Generation != 1 {
				t.Errorf("%s, %v: got %+v, %v, want a denial, %q", entrypoint, cause, d, err, ReasonTimeout)
			}
			if s := e.Stats(); evaluations.Load() != 0 || s.Misses+s.Bypassed != 0 {
				t.Errorf("%s, %v: %d evaluations, %+v, want none", entrypoint, cause, evaluations.Load(), s)
			}
		}
	}
}

// TestAnAnswerWithoutABoundIsNotRemembered: a rule may promise that valid_until names the
// next change; a result that does not say it holds for no other instant.
func TestAnAnswerWithoutABoundIsNotRemembered(t *testing.T) {
	const promised = "package rolegate\n\n# METADATA\n# custom:\n#   bounded: true\ndecision := {\"allow\": data.rolegate.now < 1000%s}\n\nnow := time.now_ns() / 1000000"
	for name, c := range map[string]struct {
		until string
		hit   bool
	}{
		"no bound":                {"", false},
		"nothing bounds it":       {", \"valid_until\": null", true},
		"a bound that is an hour": {", \"valid_until\": 1000", true},
	} {
		e := newEngine(t, Config{AuditEvery: -1})
		e.Install(compile(t, nil, strings.Replace(promised, "%s", c.until, 1)))
		for range 3 {
			if d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7)); err != nil || d.Effect != Allow {
				t.Fatalf("%s: got %+v, %v", name, d, err)
			}
			e.memory.cache.Wait()
		}
		d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(999))
		if err != nil || (d.Origin == OriginHit) != c.hit {
			t.Errorf("%s: got %+v, %v, want it from memory: %t", name, d, err, c.hit)
		}
		if c.until == "" {
			if d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(1000)); err != nil || d.Effect != Deny {
				t.Errorf("%s, once it changes: got %+v, %v, want a denial", name, d, err)
			}
		}
	}
}

// TestWithoutAClockNothingNeedsABound: a bare boolean of a policy that does not read the clock
// is remembered.
func TestWithoutAClockNothingNeedsABound(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: -1})
	e.Install(compile(t, nil, "package rolegate\n\ndecision := input.subject.id == \"ann\""))
	for i, want := range []Origin{OriginMiss, OriginHit, OriginHit} {
		if d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7)); err != nil || d.Effect != Allow || d.Origin != want {
			t.Errorf("question %d: got %+v, %v, want an allow by %s", i, d, err, want)
		}
		e.memory.cache.Wait()
	}
}

// TestAWaiterTakesOnlyWhatHoldsForIt: who asks the same at another reading of the clock gets
// an answer of its own, if that of the leader does not hold then; all are counted.
func TestAWaiterTakesOnlyWhatHoldsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{AuditEvery: -1})
		e.Install(compile(t, windows("ann", 1000, 2000), small))
		release := make(chan struct{})
		var held atomic.Bool
		e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
			if held.CompareAndSwap(false, true) {
				<-release
			}
			return s.eval(ctx, q, in, now)
		}
		var callers sync.WaitGroup
		ask := func(ms int64, effect Effect, origin Origin) {
			callers.Go(func() {
				d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(ms))
				if err != nil || d.Effect != effect || d.Origin != origin {
					t.Errorf("at %d: got %+v, %v, want %s by %s", ms, d, err, effect, origin)
				}
			})
			synctest.Wait()
		}
		ask(1500, Allow, OriginMiss) // leads
		ask(1999, Allow, OriginWait)
		ask(2000, Deny, OriginMiss) // the bound of the leader's answer
		ask(999, Deny, OriginMiss)  // before it was made
		close(release)
		callers.Wait()
		if s := e.Stats(); s.Misses != 3 || s.Waits != 1 || s.Hits != 0 {
			t.Errorf("got %+v, want 3 misses and a wait", s)
		}
	})
}

// TestWhoeverFailsIsToldOfIt: the leader of an evaluation and those who waited for it and
// tried themselves, with what the evaluation said.
func TestWhoeverFailsIsToldOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		release, failure := make(chan struct{}), errors.New("out of luck")
		e.eval = func(*Snapshot, context.Context, *query, ast.Value, time.Time) (ast.Value, error) {
			<-release
			return nil, failure
		}
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				d, err := one(t.Context(), e, "ann")
				if !errors.Is(err, failure) || err.Error() != failure.Error() || d.Effect != Deny || d.Reason != ReasonPolicyError || d.Origin != OriginMiss {
					t.Errorf("got %+v, %v, want a denial because of: %v", d, err, failure)
				}
			})
			synctest.Wait()
		}
		close(release)
		callers.Wait()
		if s := e.Stats(); s.Misses != 3 || s.Waits != 0 || s.Memory.Stored != 0 {
			t.Errorf("got %+v, want 3 misses and nothing stored", s)
		}
	})
}

// TestAnEvaluationsOwnLimitIsATimeout: for who leads, whatever the evaluation says of it.
func TestAnEvaluationsOwnLimitIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{Timeout: 20 * time.Millisecond})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		stopped := errors.New("stopped")
		e.eval = func(_ *Snapshot, ctx context.Context, _ *query, _ ast.Value, _ time.Time) (ast.Value, error) {
			<-ctx.Done()
			return nil, stopped
		}
		began := time.Now()
		d, err := one(t.Context(), e, "ann")
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, stopped) || d.Effect != Deny || d.Reason != ReasonTimeout || d.Origin != OriginMiss {
			t.Errorf("got %+v, %v, want a denial, %q", d, err, ReasonTimeout)
		}
		if took := time.Since(began); took != 20*time.Millisecond {
			t.Errorf("took %v, want 20ms", took)
		}
	})
}

// TestWhoStopsWaitingSaysWhatItWaitedFor: a deadline that passes while an evaluation runs.
func TestWhoStopsWaitingSaysWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := NewEngine(Config{Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		e.Install(compile(t, windows("ann", 0, 5000), small))
		release := make(chan struct{})
		e.eval = func(*Snapshot, context.Context, *query, ast.Value, time.Time) (ast.Value, error) {
			<-release
			return ast.Boolean(true), nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if d, err := one(ctx, e, "ann"); !errors.Is(err, context.DeadlineExceeded) || d.Effect != Deny || d.Origin != OriginMiss {
			t.Errorf("got %+v, %v, want a denial of a miss", d, err)
		}
		// Close waits for what still runs.
		closed := make(chan struct{})
		go func() { e.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed while an evaluation runs")
		default:
		}
		close(release)
		<-closed
	})
}

// half is a writer that says of a part that it did not write it, and may have.
type half struct {
	Document
	not string
}

func (h *half) AppendTo(b []byte, path ast.Ref) ([]byte, bool) {
	b, ok := h.Document.AppendTo(b, path)
	return b, ok && path[1].Value.Compare(ast.String(h.not)) != 0
}

// TestRecallNeedsTheWholeKey: what was written in part is no question, though it looks like
// one that is remembered.
func TestRecallNeedsTheWholeKey(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: -1})
	e.Install(compile(t, nil, reads("subject.id", "route.action")))
	in, now := ask("ann"), time.UnixMilli(7)
	decideUntil(t, e.View(), in, now, OriginHit)
	for not, want := range map[string]bool{"": true, "id": false, "action": false} {
		r, ok := e.View().Recall(&Key{}, &half{in, not}, now)
		if ok != want {
			t.Errorf("without %q: got %v, want %t", not, ok, want)
		}
		if ok && (r.Decision().Effect != Allow || r.Decision().Origin != OriginHit) {
			t.Errorf("got %+v", r.Decision())
		}
	}
}

// TestNothingIsRecalledOfWhatIsNotRemembered: at an entry point whose answers may not be.
func TestNothingIsRecalledOfWhatIsNotRemembered(t *testing.T) {
	e := newEngine(t, Config{})
	e.Install(compile(t, nil, "package rolegate\n\ndecision := data.authz.answer", "package authz\n\nanswer := time.now_ns() > 0 if input.subject.id == \"ann\""))
	in, now := ask("ann"), time.UnixMilli(7)
	for range 3 {
		if d, err := e.View().Decide(t.Context(), DefaultEntrypoint, in, now); err != nil || d.Origin != OriginBypass || d.Effect != Allow {
			t.Fatalf("got %+v, %v", d, err)
		}
		e.memory.cache.Wait()
		if r, ok := e.View().Recall(&Key{}, &in, now); ok {
			t.Errorf("got %+v", r)
		}
	}
	if s := e.Stats(); s.BypassedBy[BypassClock] != 3 || s.Bypassed != 3 {
		t.Errorf("got %+v, want 3 bypassed for the clock", s)
	}
}

// TestWhatIsKeptWithADecision: the last that was kept, by whoever recalls it.
func TestWhatIsKeptWithADecision(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: -1})
	e.Install(compile(t, nil, reads("subject.id")))
	in, now := ask("ann"), time.UnixMilli(7)
	decideUntil(t, e.View(), in, now, OriginHit)
	recall := func() Recalled {
		t.Helper()
		r, ok := e.View().Recall(&Key{}, &in, now)
		if !ok {
			t.Fatal("not recalled")
		}
		return r
	}
	if got := recall().Kept(); got != nil {
		t.Errorf("got %v before anything was kept", got)
	}
	for _, v := range []string{"first", "second"} {
		recall().Keep(v)
		if got := recall().Kept(); got != v {
			t.Errorf("got %v, want %s", got, v)
		}
	}
}
