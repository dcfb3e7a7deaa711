package proxy

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
)

// nobodyKnows is an authenticator that does what a test wants.
type nobodyKnows func(ctx context.Context) policy.Subject

// Authenticate implements [Authenticator].
func (f nobodyKnows) Authenticate(ctx context.Context, _ policy.View, _ Credentials) (policy.Subject, error) {
	return f(ctx), nil
}

// allowing is a gate whose policy allows everything, from memory if it can.
func allowing(t *testing.T, identity Authenticator) *Gate {
	t.Helper()
	module, err := ast.ParseModule("policy.rego", "package rolegate\n\ndecision := input.subject.id == \"ann\"")
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := policy.Compile(t.Context(), policy.Source{
		Modules: map[string]*ast.Module{"policy.rego": module}, Data: map[string]any{}, Entrypoint: policy.DefaultEntrypoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.NewEngine(policy.Config{Timeout: time.Minute, AuditEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.Install(snapshot)
	g, err := New(Config{MaxTime: time.Minute}, e, identity, nil, nil, time.Now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// recalled asks until the answer comes from memory, and answers that check.
func recalled(t *testing.T, g *Gate) *check {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; {
		c := g.check(t.Context(), &Inbound{Method: "GET", Path: "/a/b"}, Aside{}, nil)
		if c.found {
			return c
		}
		if time.Now().After(limit) {
			t.Fatal("nothing is answered from memory")
		}
		runtime.Gosched() // it remembers on its own time
	}
}

// TestWhoseAChecksPartsAre: a check is another request's only if it was answered from
// memory and nobody waits for its deadline; then nothing of its request is left in it.
func TestWhoseAChecksPartsAre(t *testing.T) {
	var do func(context.Context)
	g := allowing(t, nobodyKnows(func(ctx context.Context) policy.Subject {
		if do != nil {
			do(ctx)
		}
		return policy.Subject{ID: "ann"}
	}))
	recalled(t, g)
	sound := Inbound{Method: "GET", Path: "/a/b"}
	for name, c := range map[string]struct {
		in    Inbound
		do    func(context.Context)
		found bool
		freed bool
	}{
		"from memory":           {in: sound, found: true, freed: true},
		"evaluated":             {in: Inbound{Method: "CONNECT", Path: "/a/b"}},
		"malformed":             {in: Inbound{Method: "GET", Path: "/a/../b"}},
		"panicked":              {in: sound, do: func(context.Context) { panic("canary-of-a-panic") }},
		"panicked after a read": {in: Inbound{Method: "GET", Path: "/a/b", HeaderNames: func(func(string) bool) { panic("canary-of-a-panic") }}},
		"somebody still waits":  {in: sound, do: func(ctx context.Context) { _ = ctx.Done() }, found: true},
	} {
		t.Run(name, func(t *testing.T) {
			do = c.do
			one := g.check(t.Context(), &c.in, Aside{}, nil)
			if one.found != c.found {
				t.Fatalf("found in memory: %t, want %t", one.found, c.found)
			}
			began, tools := one.began, one.tools
			one.release()
			if freed := one.began.IsZero(); freed != c.freed || !freed && !one.began.Equal(began) {
				t.Errorf("it is another request's: %t, want %t", freed, c.freed)
			}
			for _, s := range tools.room[:cap(tools.room)] {
				if c.freed && s != "" {
					t.Errorf("%q of its path is left", s)
				}
			}
			if c.freed && (one.answer.Effect == policy.Allow || one.answer.Subject.ID != "" || one.spoofs != nil || one.tools != tools) {
				t.Errorf("left is %+v", one.answer)
			}
		})
	}
}

// TestAContextThatWasKeptStaysItsOwn: who keeps the context of a request that is over, and
// was answered from memory, sees that it ended, and nothing of the next request.
func TestAContextThatWasKeptStaysItsOwn(t *testing.T) {
	var kept context.Context
	g := allowing(t, nobodyKnows(func(ctx context.Context) policy.Subject {
		if kept == nil {
			return policy.Subject{ID: "ann"}
		}
		kept = ctx //nolint:fatcontext // what must not be done
		_ = ctx.Done()
		return policy.Subject{ID: "ann"}
	}))
	recalled(t, g)
	kept = t.Context()
	g.CheckAside(t.Context(), Inbound{Method: "GET", Path: "/a/b"}, Aside{})
	first := kept
	for range 3 {
		if err := first.Err(); err != context.Canceled {
			t.Errorf("got %v, want the context canceled", err)
		}
		g.CheckAside(t.Context(), Inbound{Method: "GET", Path: "/a/b"}, Aside{})
	}
}
