package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/policy/footprint"
	"github.com/rolegate/rolegate/policy/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for; it is long because machines are slow.
const patience = time.Minute

// small stands for the role library: it answers from data, subject, route and clock,
// and says how long the answer holds.
const small = `package rolegate

now := time.now_ns() / 1000000

default open := false

open if {
	some w in data.windows[input.subject.id]
	now >= w[0]
	now < w[1]
}

edges contains edge if {
	some w in data.windows[input.subject.id]
	some edge in w
	edge > now
}

until := min(edges)

default until := null

decision := {"allow": open, "reason": "allowed", "valid_until": until} if open
decision := {"allow": open, "reason": "no_roles", "valid_until": until} if not open
`

func compile(tb testing.TB, data map[string]any, modules ...string) *Snapshot {
	tb.Helper()
	parsed := map[string]*ast.Module{}
	for i, src := range modules {
		name := fmt.Sprintf("m%d.rego", i)
		parsed[name] = ast.MustParseModuleWithOpts(src, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
	}
	s, err := Compile(tb.Context(), Source{Modules: parsed, Data: data})
	if err != nil {
		tb.Fatalf("compile: %v", err)
	}
	return s
}

func windows(id string, edges ...int) map[string]any {
	var list []any
	for i := 0; i < len(edges); i += 2 {
		list = append(list, []any{edges[i], edges[i+1]})
	}
	return map[string]any{"windows": map[string]any{id: list}}
}

func newEngine(tb testing.TB, cfg Config) *Engine {
	tb.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patience // a loaded machine is not what these tests are about
	}
	e, err := NewEngine(cfg)
	if err != nil {
		tb.Fatalf("new engine: %v", err)
	}
	tb.Cleanup(e.Close)
	return e
}

func ask(id string) Document {
	return Document{Subject: Subject{ID: id}, Route: route.Match{Resource: "r", Action: "a"}}
}

func TestNothingInstalledDenies(t *testing.T) {
	e := newEngine(t, Config{})
	for name, v := range map[string]View{"engine without a snapshot": e.View(), "zero view": {}} {
		d, err := v.Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(1))
		want := Decision{Reason: ReasonNotReady}
		if !errors.Is(err, ErrNotReady) || !cmp.Equal(d, want) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", name, d, err, want, ErrNotReady)
		}
		if v.Ready() || v.Generation() != 0 || v.Routes() != nil || v.Revisions() != nil {
			t.Errorf("%s: got a view that claims to be ready: %+v", name, v)
		}
	}
}

// decideUntil asks until the asynchronous cache answers, or patience is at its end.
func decideUntil(t *testing.T, v View, in Input, now time.Time, want Origin) Decision {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		d, err := v.Decide(t.Context(), DefaultEntrypoint, in, now)
		if err != nil {
			t.Fatalf("decide: %v", err)
		}
		if d.Origin == want || time.Now().After(deadline) {
			return d
		}
		v.Settle()
	}
}

func TestAHitHoldsOnlyFromItsEvaluationToItsBound(t *testing.T) {
	e := newEngine(t, Config{})
	e.Install(compile(t, windows("ann", 1000, 2000), small))
	v := e.View()
	at := time.UnixMilli

	if d := decideUntil(t, v, ask("ann"), at(1500), OriginHit); d.Origin != OriginHit || d.Effect != Allow {
		t.Fatalf("at 1500, asked again: got %+v, want an allow from memory", d)
	}
	for _, tt := range []struct {
		ms     int64
		origin Origin
		effect Effect
	}{
		{1499, OriginMiss, Allow}, // the clock stepped back: not before the instant it was made
		{1999, OriginHit, Allow},
		{2000, OriginMiss, Deny}, // the bound itself is past it
	} {
		d, err := v.Decide(t.Context(), DefaultEntrypoint, ask("ann"), at(tt.ms))
		if err != nil || d.Origin != tt.origin || d.Effect != tt.effect {
			t.Errorf("at %d: got %s %s, %v, want %s %s", tt.ms, d.Origin, d.Effect, err, tt.origin, tt.effect)
		}
	}
}

func TestAnInstallIsSeenByTheNextRequest(t *testing.T) {
	e := newEngine(t, Config{})
	open := compile(t, windows("ann", 0, 5000), small)
	shut := compile(t, windows("bob", 0, 5000), small)
	for i := range 50 {
		s, want := open, Allow
		if i%2 == 1 {
			s, want = shut, Deny
		}
		generation := e.Install(s)
		pinned := e.View()
		for range 3 {
			d, err := pinned.Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(int64(i)))
			if err != nil || d.Effect != want || d.Generation != generation {
				t.Fatalf("install %d: got %s of generation %d, %v, want %s of %d", i, d.Effect, d.Generation, err, want, generation)
			}
		}
	}
}

func TestAPinnedViewKeepsItsSnapshot(t *testing.T) {
	e := newEngine(t, Config{})
	e.Install(compile(t, windows("ann", 0, 5000), small))
	pinned := e.View()
	e.Install(compile(t, windows("bob", 0, 5000), small))
	d, err := pinned.Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(1))
	if err != nil || d.Effect != Allow || d.Generation != 1 {
		t.Errorf("got %+v, %v, want generation 1's allow", d, err)
	}
}

func TestOneEvaluationForCallersWhoAskTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		var evaluations atomic.Int64
		release := make(chan struct{})
		e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
			evaluations.Add(1)
			<-release
			return s.eval(ctx, q, in, now)
		}

		hungUp, hangUp := context.WithCancel(t.Context())
		var first Decision
		var firstErr error
		var callers sync.WaitGroup
		callers.Go(func() {
			first, firstErr = e.View().Decide(hungUp, DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
		})
		synctest.Wait()
		answers := make([]Decision, 20)
		for i := range answers {
			callers.Go(func() {
				answers[i], _ = e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
			})
		}
		synctest.Wait()
		hangUp()
		synctest.Wait()
		close(release)
		callers.Wait()

		if first.Effect != Deny || first.Reason != ReasonTimeout || !errors.Is(firstErr, context.Canceled) {
			t.Errorf("who hung up: got %+v, %v, want a denial, %q", first, firstErr, ReasonTimeout)
		}
		for i, d := range answers {
			if d.Effect != Allow || d.Origin != OriginWait {
				t.Errorf("caller %d: got %s %s, want allow wait", i, d.Effect, d.Origin)
			}
		}
		if n := evaluations.Load(); n != 1 {
			t.Errorf("got %d evaluations, want 1", n)
		}
	})
}

func TestAWaiterEvaluatesItselfWhenTheLeaderFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{})
		e.Install(compile(t, windows("ann", 0, 5000), small))
		var evaluations atomic.Int64
		release := make(chan struct{})
		e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
			if evaluations.Add(1) == 1 {
				<-release
				return nil, errors.New("out of luck")
			}
			return s.eval(ctx, q, in, now)
		}
		var callers sync.WaitGroup
		answers := make([]Decision, 2)
		for i := range answers {
			callers.Go(func() {
				answers[i], _ = e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
			})
			synctest.Wait()
		}
		close(release)
		callers.Wait()
		if answers[0].Effect != Deny || answers[0].Reason != ReasonPolicyError {
			t.Errorf("the leader: got %+v, want a denial, %q", answers[0], ReasonPolicyError)
		}
		if answers[1].Effect != Allow {
			t.Errorf("the waiter: got %+v, want an allow", answers[1])
		}
	})
}

func TestADeadlineIsAnsweredWhileAnEvaluationGoesOn(t *testing.T) {
	for _, bypass := range []bool{false, true} {
		t.Run(fmt.Sprintf("bypass=%t", bypass), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, Config{})
				modules := []string{small}
				if bypass {
					modules = []string{"package rolegate\n\ndecision := data.authz.answer", "package authz\n\nanswer := time.now_ns() > 0"}
				}
				e.Install(compile(t, windows("ann", 0, 5000), modules...))
				stuck := make(chan struct{})
				e.eval = func(*Snapshot, context.Context, *query, ast.Value, time.Time) (ast.Value, error) {
					<-stuck
					return nil, errors.New("too late")
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				began := time.Now()
				d, err := e.View().Decide(ctx, DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
				if !errors.Is(err, context.DeadlineExceeded) || d.Effect != Deny || d.Reason != ReasonTimeout {
					t.Errorf("got %+v, %v, want a denial, %q", d, err, ReasonTimeout)
				}
				if took := time.Since(began); took != 20*time.Millisecond {
					t.Errorf("answered after %v, want 20ms", took)
				}
				close(stuck)
			})
		})
	}
}

// header is a request whose header x has a value, and a request id of its own.
func header(value, id string) Document {
	doc := ask("ann")
	doc.Rest = func() ast.Object {
		return ast.MustParseTerm(`{"attributes": {"request": {"http": {"id": "` + id + `", "headers": {"x": "` + value + `"}}}}}`).Value.(ast.Object)
	}
	return doc
}

// extended answers with what a bundle outside the library says.
const extended = `package rolegate

decision := {"allow": allow, "reason": "allowed", "valid_until": null}

default allow := false

allow if not data.authz.deny["x"]`

func TestAModuleOutsideTheLibraryIsRememberedOnWhatItReads(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: 1})
	e.Install(compile(t, nil, extended, `package authz

deny contains "x" if input.attributes.request.http.headers.x == "yes"`))
	v := e.View()
	for i := range 20 {
		value, want := "yes", Deny
		if i%2 == 0 {
			value, want = "no", Allow
		}
		d, err := v.Decide(t.Context(), DefaultEntrypoint, header(value, fmt.Sprint(i)), time.UnixMilli(7))
		if err != nil || d.Effect != want {
			t.Errorf("x: %s: got %s %s, %v, want %s", value, d.Effect, d.Origin, err, want)
		}
		e.memory.cache.Wait()
	}
	if s := e.Stats(); s.Hits != 18 || s.Misses != 2 || s.Audits != 20 || s.Mismatches != 0 {
		t.Errorf("got %+v, want 2 misses and 18 hits, whatever the request id", s)
	}
}

func TestWhoReadsTheClockMustPromise(t *testing.T) {
	for _, tt := range []struct {
		name, module, label string
	}{
		{"no clock", "package authz\n\ndeny contains \"x\" if input.subject.id == \"bob\"", ""},
		{"a call", "package authz\n\ndeny contains \"x\" if time.now_ns() > 5", "clock"},
		{"the library's clock, through a rule", "package authz\n\nlate if data.rolegate.now > 5\n\ndeny contains \"x\" if late", "clock"},
		{"a promise", "package authz\n\n# METADATA\n# custom:\n#   bounded: true\ndeny contains \"x\" if data.rolegate.now > 5", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := compile(t, nil, extended+"\n\nnow := time.now_ns() / 1000000", tt.module)
			_, reuse, err := s.Footprint(t.Context(), DefaultEntrypoint)
			if err != nil || reuse.Label != tt.label {
				t.Errorf("got %+v, %v, want label %q\npolicy:\n%s", reuse, err, tt.label, tt.module)
			}
		})
	}
}

func TestAnAuditThatFindsADifferenceDeniesAndDistrusts(t *testing.T) {
	var told []Mismatch
	e := newEngine(t, Config{AuditEvery: 1, Mismatch: func(m Mismatch) { told = append(told, m) }})
	s := compile(t, nil, extended, "package authz\n\ndeny contains \"x\" if input.attributes.request.http.headers.x == \"yes\"")
	q, err := s.query(t.Context(), DefaultEntrypoint)
	if err != nil {
		t.Fatal(err)
	}
	q.analysis = func() analysis { return analysis{plan: (&footprint.Footprint{}).Plan()} } // one that missed every path
	e.Install(s)
	for i := range 3 {
		d, err := e.View().Decide(t.Context(), DefaultEntrypoint, header("yes", "1"), time.UnixMilli(7))
		if err != nil || d.Effect != Deny {
			t.Errorf("question %d: got %s %s, %v, want a denial", i, d.Effect, d.Origin, err)
		}
	}
	want := []Mismatch{{Entrypoint: DefaultEntrypoint, Generation: 1, Origin: OriginMiss, Got: "allowed", Want: "allowed"}}
	digests := cmpopts.IgnoreFields(Mismatch{}, "Question", "GotResult", "WantResult")
	if !cmp.Equal(told, want, digests) || e.Stats().Mismatches != 1 {
		t.Fatalf("got %+v, %+v, want %+v once", told, e.Stats(), want)
	}
	if got := e.View().Bypass(); got != BypassAudit {
		t.Errorf("got %q, want that nothing is remembered because of an audit", got)
	}
	e.Install(s)
	if e.View().Bypass() != BypassAudit { // the same snapshot: its analysis is as wrong as before
		t.Errorf("got %q after the same snapshot came again", e.View().Bypass())
	}
	if m := told[0]; m.GotResult == m.WantResult || len(m.GotResult) != 16 || len(m.WantResult) != 16 || len(m.Question) != 16 {
		t.Errorf("got the digests %q, %q, %q, want 16 digits each and two results", m.Question, m.GotResult, m.WantResult)
	}
}

func TestFaultsDeny(t *testing.T) {
	for _, tt := range []struct{ name, module, reason string }{
		{"conflicting rules", "package rolegate\n\ndecision := true if input.subject.id == \"ann\"\n\ndecision := false if input.subject.id == \"ann\"", ReasonPolicyError},
		{"undefined", "package rolegate\n\ndecision := true if input.subject.id == \"nobody\"", ReasonPolicyError},
		{"wrong type", "package rolegate\n\ndecision := \"yes\"", ReasonPolicyError},
		{"both words, and they differ", "package rolegate\n\ndecision := {\"allow\": true, \"allowed\": false}", ReasonPolicyError},
		{"a builtin error under a negation", "package rolegate\n\ndecision := true if not json.unmarshal(input.subject.id) == 1", ReasonPolicyError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, Config{})
			e.Install(compile(t, nil, tt.module))
			d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(7))
			if err == nil || d.Effect != Deny || d.Reason != tt.reason {
				t.Errorf("got %+v, %v, want a denial, %q, and an error\npolicy:\n%s", d, err, tt.reason, tt.module)
			}
			if s := e.Stats().Memory; s.Stored != 0 {
				t.Errorf("got %d stored, want none: errors are never remembered", s.Stored)
			}
		})
	}
}

func TestAPanicInAnEvaluationDenies(t *testing.T) {
	s := compile(t, nil, small)
	q := &query{} // an unprepared query panics
	if v, err := s.eval(t.Context(), q, nil, time.Time{}); err == nil {
		t.Errorf("got %v without an error", v)
	}
}

func TestNegativesAreNotRememberedWhenSwitchedOff(t *testing.T) {
	e := newEngine(t, Config{SkipNegative: true})
	e.Install(compile(t, windows("ann", 0, 5000), small))
	for range 5 {
		if _, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("bob"), time.UnixMilli(7)); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.Memory.Stored+s.Memory.Dropped != 0 || s.Misses != 5 {
		t.Errorf("got %+v, want 5 misses and nothing stored", s)
	}
}

func TestForbiddenBuiltinsAreRefusedByName(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1"})`, `net.lookup_ip_addr("localhost")`, `opa.runtime()`,
		`rand.intn("x", 2)`, `uuid.rfc4122("x")`, `bits.lsh(1, 2)`, `io.jwt.encode_sign({}, {}, {})`,
		`graph.reachable_paths({}, {"a"})`, `strings.render_template("", {})`,
	} {
		m := ast.MustParseModuleWithOpts("package authz\n\ndeny contains \"x\" if "+call, ast.ParserOptions{RegoVersion: ast.RegoV1})
		_, err := Compile(t.Context(), Source{Modules: map[string]*ast.Module{"a.rego": m}, Entrypoint: "authz/deny"})
		problems, ok := errors.AsType[Problems](err)
		if !ok || len(problems) != 1 || problems[0].Line != 3 || problems[0].Hint == "" {
			t.Errorf("%s: got %v, want one problem in line 3 with a hint", call, err)
		}
	}
}

func TestDataWhereARuleStandsIsRefused(t *testing.T) {
	s := compile(t, nil, small)
	_, err := s.WithData(t.Context(), map[string]any{"rolegate": map[string]any{"decision": true}})
	problems, ok := errors.AsType[Problems](err)
	if !ok || len(problems) != 1 || problems[0].Line == 0 {
		t.Errorf("got %v, want one problem at the rule", err)
	}
}

func TestOtherDataUnderTheSameRego(t *testing.T) {
	e := newEngine(t, Config{})
	first := compile(t, windows("ann", 0, 10), small)
	second, err := first.WithData(t.Context(), windows("bob", 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		s    *Snapshot
		want Effect
	}{{first, Allow}, {second, Deny}, {first, Allow}} {
		e.Install(tt.s)
		if d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(1)); err != nil || d.Effect != tt.want {
			t.Errorf("got %+v, %v, want %s", d, err, tt.want)
		}
	}
}

func TestAnEntryPointMustExist(t *testing.T) {
	_, err := Compile(t.Context(), Source{Entrypoint: "acme/allow"})
	problems, ok := errors.AsType[Problems](err)
	if !ok || len(problems) != 1 || problems[0].Code != "bad_entrypoint" {
		t.Errorf("got %v, want bad_entrypoint", err)
	}
}
