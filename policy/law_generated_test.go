package policy_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/internal/lab/policies"
	"github.com/rolegate/rolegate/policy"
)

// verdictOf makes a decision of whatever a random policy says, and shows it all.
const verdictOf = `package law

decision := {"allow": true, "said": data.test.allow} if data.test.allow

decision := {"allow": false} if not data.test.allow
`

// written is a random policy that compiles.
type written struct {
	policies.Policy
	snapshot *policy.Snapshot
}

func (w written) String() string { return w.Modules["test.rego"] }

func write(ctx context.Context, t rapid.TB, r *rand.Rand) written {
	t.Helper()
	for range 1000 {
		p := policies.Random(r)
		p.Modules["law.rego"] = verdictOf
		if s, err := compileText(ctx, p); err == nil {
			return written{p, s}
		}
	}
	t.Fatalf("got no policy that compiles")
	return written{}
}

func compileText(ctx context.Context, p policies.Policy) (*policy.Snapshot, error) {
	modules := map[string]*ast.Module{}
	for name, text := range p.Modules {
		m, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{
			RegoVersion: ast.RegoV1, AllFutureKeywords: strings.Contains(text, "import rego.v2"),
		})
		if err != nil {
			return nil, err
		}
		modules[name] = m
	}
	return policy.Compile(ctx, policy.Source{Modules: modules, Data: p.Data, Entrypoint: "law/decision"})
}

// Whatever a policy reads: an answer from memory, one on what the footprint holds and one
// on the whole input are the same; what differs only outside the footprint shares the
// answer, and what differs within it shares nothing.
func TestAnswersFromMemoryPrunedAndWholeAreOne(t *testing.T) {
	t.Parallel()
	const inputsEach = 12
	var hits, shared, turned, faults atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		ctx, r := t.Context(), drawRand(t, "policy")
		w := write(ctx, t, r)
		cached := lawEngine(t, policy.Config{AuditEvery: 3}, w.snapshot)
		defer cached.Close()
		pruned := lawEngine(t, policy.Config{AuditEvery: -1, Entries: -1}, w.snapshot)
		defer pruned.Close()
		reads, _, err := w.snapshot.Footprint(ctx, w.snapshot.Entrypoint())
		if err != nil {
			t.Fatal(err)
		}

		known := map[string]ast.Value{}
		var last ast.Value
		doc := w.Vocabulary.Input(r)
		for i := range inputsEach {
			value, err := ast.InterfaceToValue(doc)
			if err != nil {
				t.Fatal(err)
			}
			q := inquiry{policy.Whole{Value: value}, time.UnixMilli(int64(i))}
			doc = w.Vocabulary.Mutate(r, doc)

			want := fresh(ctx, cached.View(), q)
			if d, err := pruned.View().Decide(ctx, "law/decision", q.in, q.now); !agrees(d, err, want) {
				t.Fatalf("pruned: got %+v, %v, want %v, of %s\n%s", d, err, want, q, w)
			}
			d, err := cached.View().Decide(ctx, "law/decision", q.in, q.now)
			if !agrees(d, err, want) {
				t.Fatalf("%s: got %+v, %v, want %v, of %s\n%s", d.Origin, d, err, want, q, w)
			}

			key := projection(reads.Paths, value)
			before, asked := known[key]
			switch {
			case !asked && d.Origin == policy.OriginHit:
				t.Fatalf("got an answer from memory to what was never asked: %s\nfootprint:\n%s\n%s", q, key, w)
			case asked && !sameValue(before, want):
				t.Fatalf("got %v and %v on the same footprint, of %s\nfootprint:\n%s\n%s", before, want, q, key, w)
			case asked && want != nil && d.Origin != policy.OriginHit:
				t.Fatalf("got %s for what differs only outside the footprint: %s\nfootprint:\n%s\n%s", d.Origin, q, key, w)
			case asked && want != nil:
				shared.Add(1)
			}
			known[key] = want
			if i > 0 && !sameValue(last, want) {
				turned.Add(1)
			}
			last = want
			switch {
			case want == nil:
				faults.Add(1)
			case !remembered(ctx, t, cached.View(), q, want):
				t.Fatalf("got no answer from memory, of %s\n%s", q, w)
			default:
				hits.Add(1)
			}
		}
		if s := cached.Stats(); s.Audits == 0 && s.Hits > 3 || s.Mismatches != 0 {
			t.Fatalf("got %+v, want audits without a mismatch\n%s", s, w)
		}
	})
	t.Logf("%d answers from memory, %d shared by different inputs, %d mutations that turned the answer, %d faults",
		hits.Load(), shared.Load(), turned.Load(), faults.Load())
	if hits.Load() == 0 || shared.Load() == 0 || turned.Load() == 0 {
		t.Error("the law was not tried")
	}
}

func sameValue(a, b ast.Value) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Compare(b) == 0
}
