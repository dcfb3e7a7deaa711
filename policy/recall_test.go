package policy

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy/route"
)

// reads makes an entry point whose answer depends on each of the paths.
func reads(paths ...string) string {
	module := "package rolegate\n\nread contains \"nothing\"\n"
	for i, path := range paths {
		module += fmt.Sprintf("\nread contains [%d, input.%s]\n", i, path)
	}
	return module + "\ndecision := {\"allow\": true, \"read\": read, \"valid_until\": null}\n"
}

// members are all that the gate puts into a document, and names that it does not.
func members() []string {
	return []string{
		"subject.id", "subject.type", "subject.claims", "subject.error", "subject.other",
		"route.error", "route.missing", "route.set", "route.id", "route.public", "route.resource", "route.action",
		"route.tenant", "route.path", "route.owner", "route.roles_any", "route.other",
	}
}

func documents() *rapid.Generator[Document] {
	return rapid.Custom(func(t *rapid.T) Document {
		text := func(name string) string {
			return rapid.SampledFrom([]string{"", "a", "b", "a\x00", "\xff", "é", "@root"}).Draw(t, name)
		}
		d := Document{
			Subject: Subject{ID: text("id"), Type: text("type"), Error: text("error")},
			Route: route.Match{
				Error: text("route error"), Missing: text("missing"), Set: text("set"), ID: text("route id"),
				Public: rapid.Bool().Draw(t, "public"), Resource: text("resource"), Action: text("action"),
				Tenant: text("tenant"), Path: text("path"), Owner: text("owner"),
				RolesAny: rapid.SliceOfN(rapid.SampledFrom([]string{"", "r", "s"}), 0, 2).Draw(t, "roles"),
			},
		}
		if rapid.Bool().Draw(t, "claims") {
			d.Subject.Claims = ast.NewObject(
				[2]*ast.Term{ast.StringTerm("tenant"), ast.StringTerm(text("claim"))},
				[2]*ast.Term{ast.StringTerm("roles"), ast.ArrayTerm(ast.StringTerm(text("role")))},
			)
			if rapid.Bool().Draw(t, "ready") {
				d.Subject = d.Subject.Ready()
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "other claims") == 0 {
			d.Subject.Claims = ast.NewObject([2]*ast.Term{ast.StringTerm("tenant"), ast.StringTerm("other")})
		}
		return d
	})
}

// TestAKeyIsTheSameWrittenAsMade: the two ways to a key agree to the byte, whatever is
// read, and whatever the values are.
func TestAKeyIsTheSameWrittenAsMade(t *testing.T) {
	s := compile(t, nil, reads(members()...))
	q, err := s.query(t.Context(), DefaultEntrypoint)
	if err != nil {
		t.Fatal(err)
	}
	plan := q.analysis().plan
	rapid.Check(t, func(t *rapid.T) {
		d := documents().Draw(t, "document")
		want := plan.AppendKey([]byte("before"), plan.Read(d))
		got, ok := plan.WriteKey([]byte("before"), &d)
		if !ok || !bytes.Equal(got, want) {
			t.Fatalf("%+v: got %t\n%q\nwant\n%q", d, ok, got, want)
		}
	})
}

func TestWhatIsNotWrittenIsMade(t *testing.T) {
	for path, ok := range map[string]bool{
		"subject.id": true, "subject.claims": true, "route.roles_any": true,
		"route.params": false, "route.params.doc": false, "subject": false, "subject.claims.tenant": false,
		"attributes": false, "attributes.request": false, `subject[data.x]`: false,
	} {
		s := compile(t, nil, reads(path))
		q, err := s.query(t.Context(), DefaultEntrypoint)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := q.analysis().plan.WriteKey(nil, &Document{}); got != ok {
			t.Errorf("%s: got %t, want %t", path, got, ok)
		}
	}
}

// TestRecallAnswersAsDecide: whatever the clock does and whatever was installed, what is
// recalled is what Decide says, and what a fresh evaluation says.
func TestRecallAnswersAsDecide(t *testing.T) {
	worlds := []*Snapshot{
		compile(t, windows("ann", 1000, 2000, 3000, 4000), small),
		compile(t, windows("bob", 1500, 3500), small),
	}
	recalled := 0
	rapid.Check(t, func(t *rapid.T) {
		e, err := NewEngine(Config{Timeout: time.Minute, AuditEvery: 7, SkipNegative: rapid.Bool().Draw(t, "skip negative")})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		e.Install(worlds[0])
		key := &Key{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 15).Draw(t, "install") == 0 {
				e.Install(rapid.SampledFrom(worlds).Draw(t, "world"))
			}
			in := ask(rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "id"))
			now := time.UnixMilli(rapid.SampledFrom([]int64{999, 1000, 1499, 1500, 1999, 2000, 3500, 4000}).Draw(t, "now"))
			v := e.View()
			r, ok := v.Recall(key, &in, now)
			d, err := v.Decide(t.Context(), DefaultEntrypoint, in, now)
			e.memory.cache.Wait() // so that it remembers
			value, failed := v.Eval(t.Context(), DefaultEntrypoint, in, now)
			if err != nil || failed != nil || d.Result.Compare(value) != 0 {
				t.Fatalf("got %+v, %v, want %v, %v", d, err, value, failed)
			}
			if !ok {
				continue
			}
			recalled++
			got := r.Decision()
			if got.Origin != OriginHit || got.Generation != v.Generation() || got.Effect != d.Effect || got.Reason != d.Reason ||
				!got.ValidUntil.Equal(d.ValidUntil) || got.Result.Compare(value) != 0 {
				t.Fatalf("at %v: recalled %+v, want %+v", now, got, d)
			}
		}
	})
	if recalled == 0 {
		t.Error("nothing was recalled")
	}
}

// TestAuditsComeAsOftenWithRecall: what is recalled counts, and the one that is due is
// never recalled.
func TestAuditsComeAsOftenWithRecall(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: 5})
	e.Install(compile(t, windows("ann", 1000, 2000), small))
	v, in, now, key, recalled := e.View(), ask("ann"), time.UnixMilli(1500), &Key{}, 0
	const asked = 100
	for range asked {
		if _, ok := v.Recall(key, &in, now); ok {
			recalled++
			continue
		}
		if _, err := v.Decide(t.Context(), DefaultEntrypoint, in, now); err != nil {
			t.Fatal(err)
		}
		e.memory.cache.Wait()
	}
	if s := e.Stats(); s.Audits != asked/5 || recalled != asked-asked/5-1 || s.Hits+s.Misses != asked {
		t.Errorf("recalled %d of %d: got %+v, want an audit of every fifth", recalled, asked, s)
	}
}

func TestNothingIsRecalledWhereNothingMayBe(t *testing.T) {
	in, now := ask("ann"), time.UnixMilli(1500)
	for name, v := range map[string]View{"zero view": {}, "engine without a snapshot": newEngine(t, Config{}).View()} {
		if r, ok := v.Recall(&Key{}, &in, now); ok {
			t.Errorf("%s: got %+v", name, r)
		}
	}
	e := newEngine(t, Config{})
	s := compile(t, windows("ann", 1000, 2000), small)
	e.Install(s)
	decideUntil(t, e.View(), in, now, OriginHit)
	if _, ok := e.View().Recall(&Key{}, &in, now); !ok {
		t.Fatal("got nothing, want what is remembered")
	}
	q, err := s.query(t.Context(), DefaultEntrypoint)
	if err != nil {
		t.Fatal(err)
	}
	q.distrusted.Store(true)
	if r, ok := e.View().Recall(&Key{}, &in, now); ok {
		t.Errorf("of an entry point that an audit distrusts: got %+v", r)
	}
}

func TestAnAuditWithoutTimeFindsNothing(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: 1, Timeout: 20 * time.Millisecond})
	e.Install(compile(t, windows("ann", 1000, 2000), small))
	evaluated := 0
	e.eval = func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error) {
		evaluated++
		if evaluated == 2 { // the audit
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return s.eval(context.WithoutCancel(ctx), q, in, now)
	}
	d, err := e.View().Decide(t.Context(), DefaultEntrypoint, ask("ann"), time.UnixMilli(1500))
	if err != nil || d.Effect != Allow || evaluated != 2 || e.Stats().Mismatches != 0 {
		t.Errorf("got %+v, %v after %d evaluations, %+v, want the allow that was decided", d, err, evaluated, e.Stats())
	}
}

func TestRecallAllocatesNothing(t *testing.T) {
	e := newEngine(t, Config{AuditEvery: -1})
	e.Install(compile(t, nil, reads(members()...)))
	in := Document{Subject: Subject{ID: "ann", Type: "user", Claims: ast.NewObject([2]*ast.Term{ast.StringTerm("tenant"), ast.StringTerm("acme")})}}
	in.Subject = in.Subject.Ready()
	in.Route = route.Match{Resource: "r", Action: "a", Tenant: "acme", Path: "acme.r", RolesAny: []string{"x"}}
	now := time.UnixMilli(1)
	decideUntil(t, e.View(), in, now, OriginHit)
	key := &Key{}
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := e.View().Recall(key, &in, now); !ok {
			t.Fatal("not recalled")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
