package footprint

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/internal/lab/policies"
	"github.com/rolegate/rolegate/internal/lab/soak"
)

// tally counts over many policies.
type tally struct {
	written, compiled, live, whole, pairs, livePairs atomic.Int64
}

func (t *tally) String() string {
	return fmt.Sprintf("written %d, compiled %d, live %d (of those %d read the whole input), pairs with one key %d (of live policies %d)",
		t.written.Load(), t.compiled.Load(), t.live.Load(), t.whole.Load(), t.pairs.Load(), t.livePairs.Load())
}

// TestRandomPoliciesDecideByTheirKeysAlone asks random policies about random inputs and
// their neighbors. ROLEGATE_PAIRS sets how many pairs of different inputs with equal keys
// are decided, ROLEGATE_POLICIES how many policies whose decision depends on the input,
// ROLEGATE_SEED where it begins.
func TestRandomPoliciesDecideByTheirKeysAlone(t *testing.T) {
	t.Parallel()
	pairs, live := int64(soak.Number(t, "ROLEGATE_PAIRS", 40_000)), int64(soak.Number(t, "ROLEGATE_POLICIES", 150))
	seed := soak.Number(t, "ROLEGATE_SEED", 1)
	perPolicy := pairs/live + 1
	inTime := func() bool { return true }
	if end, ok := t.Deadline(); ok {
		inTime = func() bool { return time.Until(end) > reportTime }
	}
	var sum tally
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !t.Failed() && inTime() && (sum.live.Load() < live || sum.livePairs.Load() < pairs) {
				probe(t, &sum, uint64(seed), uint64(next.Add(1)), perPolicy, inTime)
			}
		})
	}
	workers.Wait()
	t.Log(sum.String())
	if !t.Failed() && !inTime() {
		t.Errorf("the time ended before %d pairs of %d policies were seen", pairs, live)
	}
	if sum.compiled.Load()*3 < sum.written.Load() {
		t.Errorf("less than a third of the policies compile")
	}
}

// reportTime is kept for the report of a run that does not reach its number in time.
const reportTime = 30 * time.Second

// maxDisguises is how many inputs that should be one to the plan are made of one: in
// long runs most pairs are of these.
const maxDisguises = 120

// maxRounds bounds the search for pairs: a policy that reads everything has none.
const maxRounds = 40

// probe writes one policy and, if its decision depends on the input, compares until it
// has seen enough pairs.
func probe(t *testing.T, sum *tally, seed, n uint64, pairs int64, inTime func() bool) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	r := rand.New(rand.NewPCG(seed, n))
	policy := policies.Random(r)
	sum.written.Add(1)
	modules, err := parse(policy.Modules, ast.RegoV1)
	if err != nil {
		return
	}
	s, err := newSpecimen(ctx, modules, policy.Data, policy.Entrypoint)
	if err != nil {
		return
	}
	sum.compiled.Add(1)
	mode := r.IntN(modes)
	questions := s.ask(ctx, inputs(r, policy.Vocabulary, s.plan, nil, 20, 4, 4), mode)
	questions = append(questions, s.nearby(ctx, policy.Vocabulary, questions, mode)...)
	live := varied(questions, mode)
	var seen int64
	for round := 0; round == 0 || live && seen < pairs && round < maxRounds && (seen > 0 || round < 4) && inTime(); round++ {
		if round > 0 {
			mode = r.IntN(modes)
			questions = s.ask(ctx, inputs(r, policy.Vocabulary, s.plan, nil, 12, 3, int(min(12+pairs/20, maxDisguises))), mode)
		}
		v := s.compare(ctx, s.plan, questions, mode)
		if v.fault != "" {
			t.Errorf("seed %d policy %d: %s\nfootprint %s\n%s", seed, n, v.fault, brief(s.footprint), source(policy.Modules))
			return
		}
		seen += int64(v.pairs)
	}
	sum.pairs.Add(seen)
	if live {
		sum.live.Add(1)
		sum.livePairs.Add(seen)
		if len(s.footprint.Paths) == 1 && len(s.footprint.Paths[0].Ref) == 1 {
			sum.whole.Add(1)
		}
	}
}

func source(modules map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintf(&b, "-- %s --\n%s", name, modules[name])
	}
	return b.String()
}

// brief is a footprint on one line.
func brief(f *Footprint) string {
	parts := make([]string, len(f.Paths))
	for i, p := range f.Paths {
		parts[i] = fmt.Sprint(levelName(p.Level), " ", p.Ref)
	}
	return strings.Join(parts, ", ")
}

// levelName tells the two apart that tools print as one.
func levelName(l Level) string {
	switch l {
	case Defined:
		return "defined"
	case Type:
		return "type"
	default:
		return l.String()
	}
}
