package policy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy/footprint"
)

// blind is an engine whose plan misses every path, so that what is decided is what the
// policy says of nothing, and audits say what it says of the whole.
func blind(t *testing.T, cfg Config, module string) *Engine {
	t.Helper()
	e := newEngine(t, cfg)
	s := compile(t, nil, module)
	q, err := s.query(t.Context(), DefaultEntrypoint)
	if err != nil {
		t.Fatal(err)
	}
	q.analysis = func() analysis { return analysis{plan: (&footprint.Footprint{}).Plan()} }
	e.Install(s)
	return e
}

// TestADifferenceDeniesIfEitherDenies: and the entry point decides on the whole from then on,
// whether somebody is told or not.
func TestADifferenceDeniesIfEitherDenies(t *testing.T) {
	for name, c := range map[string]struct {
		module     string
		got        Effect // of the audited decision
		reason     string
		then       Effect // of the next one
		thenReason string
		wantResult bool // the whole has one
	}{
		"the whole denies": {
			"decision := {\"allow\": true, \"reason\": \"nothing\"} if not input.subject\n\ndecision := {\"allow\": false, \"reason\": \"whole\"} if input.subject\n",
			Deny, "whole", Deny, "whole", true,
		},
		"the whole allows": {
			"decision := {\"allow\": false, \"reason\": \"nothing\"} if not input.subject\n\ndecision := {\"allow\": true, \"reason\": \"whole\"} if input.subject\n",
			Deny, "nothing", Allow, "whole", true,
		},
		"both allow": {
			"decision := {\"allow\": true, \"reason\": \"nothing\"} if not input.subject\n\ndecision := {\"allow\": true, \"reason\": \"whole\"} if input.subject\n",
			Allow, "whole", Allow, "whole", true,
		},
		"the whole is no decision": {
			"decision := {\"allow\": true, \"reason\": \"nothing\"} if not input.subject\n\ndecision := 7 if input.subject\n",
			Deny, ReasonPolicyError, Deny, ReasonPolicyError, false,
		},
		"the whole is undefined": {
			"decision := {\"allow\": true, \"reason\": \"nothing\"} if not input.subject\n",
			Deny, ReasonPolicyError, Deny, ReasonPolicyError, false,
		},
	} {
		for _, tells := range []bool{true, false} {
			var told []Mismatch
			cfg := Config{AuditEvery: 1}
			if tells {
				cfg.Mismatch = func(m Mismatch) { told = append(told, m) }
			}
			e := blind(t, cfg, "package rolegate\n\n"+c.module)
			d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
			if err != nil || d.Effect != c.got || d.Reason != c.reason || d.Origin != OriginMiss || d.Generation != 1 {
				t.Errorf("%s: got %+v, %v, want %s %s", name, d, err, c.got, c.reason)
			}
			if s := e.Stats(); s.Mismatches != 1 {
				t.Errorf("%s: got %+v, want one mismatch", name, s)
			}
			if tells && (len(told) != 1 || told[0].GotResult == "" || (told[0].WantResult != "") != c.wantResult) {
				t.Errorf("%s: told %+v", name, told)
			}
			d, err = e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
			if (err != nil) != (c.thenReason == ReasonPolicyError) || d.Effect != c.then || d.Reason != c.thenReason || d.Origin != OriginBypass {
				t.Errorf("%s, then: got %+v, %v, want %s %s", name, d, err, c.then, c.thenReason)
			}
			if s := e.Stats(); s.BypassedBy[BypassAudit] != 1 || s.Bypassed != 1 {
				t.Errorf("%s, then: got %+v, want it counted", name, s)
			}
		}
	}
}

// TestAnAuditThatHasNoTimeOrNoSlot: the decision itself was made, and nothing was found.
func TestAnAuditThatHasNoTimeOrNoSlot(t *testing.T) {
	for name, failure := range map[string]error{"no slot": ErrOverloaded, "no time": context.DeadlineExceeded, "nobody waits": context.Canceled} {
		e := newEngine(t, Config{AuditEvery: 1})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		ctx, hangUp := context.WithCancel(t.Context())
		evaluated := 0
		e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
			evaluated++
			if evaluated == 1 {
				return s.eval(ctx, q, in, now)
			}
			if errors.Is(failure, context.Canceled) {
				hangUp()
			}
			return nil, failure
		}
		d, err := e.View().Decide(ctx, DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
		hangUp()
		e.running.Wait()
		if err != nil || d.Effect != Allow || evaluated != 2 || e.Stats().Mismatches != 0 || e.View().Bypass() != "" {
			t.Errorf("%s: got %+v, %v after %d evaluations, %+v, want the allow that was decided", name, d, err, evaluated, e.Stats())
		}
	}
}

// TestAuditsByDefault: one in a thousand; below 0 there are none.
func TestAuditsByDefault(t *testing.T) {
	for every, want := range map[int]uint64{0: 2, -1: 0, 100: 20} {
		e := newEngine(t, Config{AuditEvery: every})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		for range 2000 {
			if _, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7)); err != nil {
				t.Fatal(err)
			}
		}
		if got := e.Stats().Audits; got != want {
			t.Errorf("every %d: %d audits of 2,000 decisions, want %d", every, got, want)
		}
	}
}
