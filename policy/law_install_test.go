package policy_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
)

// stamped answers with the number of its data, so that an answer tells which data made it.
const stamped = `package own

decision := {"allow": data.open[input.id], "stamp": data.stamp, "valid_until": null}`

// A view answers from its own generation, however old it is and whatever was installed
// since; who begins after an install sees it.
func TestEveryAnswerIsOfItsViewsGeneration(t *testing.T) {
	t.Parallel()
	base := ownPolicy(t, stamped)
	worlds := make([]*policy.Snapshot, 4)
	for i := range worlds {
		open := map[string]any{}
		for id := range 4 {
			open[fmt.Sprint(id)] = id != i // each data denies another
		}
		var err error
		if worlds[i], err = base.WithData(t.Context(), map[string]any{"stamp": i, "open": open}); err != nil {
			t.Fatal(err)
		}
	}
	var hits, old atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		type pinned struct {
			view       policy.View
			generation uint64
			world      int
		}
		world := rapid.IntRange(0, 3).Draw(t, "world")
		e := lawEngine(t, policy.Config{AuditEvery: 3, Entries: 64}, worlds[world])
		defer e.Close()
		pins := []pinned{{e.View(), 1, world}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 5).Draw(t, "step") == 0 {
				world = rapid.IntRange(0, 3).Draw(t, "world")
				generation := e.Install(worlds[world])
				if last := pins[len(pins)-1].generation; generation != last+1 {
					t.Fatalf("got generation %d after %d", generation, last)
				}
				pins = append(pins, pinned{e.View(), generation, world})
				continue
			}
			at := pins[len(pins)-1]
			if rapid.Bool().Draw(t, "old view") {
				at = rapid.SampledFrom(pins).Draw(t, "view")
			}
			id := rapid.IntRange(0, 3).Draw(t, "id")
			in := policy.Whole{Value: ast.NewObject([2]*ast.Term{ast.StringTerm("id"), ast.StringTerm(fmt.Sprint(id))})}
			d, err := at.view.Decide(t.Context(), "own/decision", in, time.UnixMilli(7))
			stamp := d.Result.(ast.Object).Get(ast.StringTerm("stamp")).Value
			if err != nil || d.Generation != at.generation || stamp.Compare(ast.Number(fmt.Sprint(at.world))) != 0 ||
				(d.Effect == policy.Allow) != (id != at.world) {
				t.Fatalf("id %d: got %s by data %v in generation %d (%s), %v, want allow: %t by data %d in generation %d",
					id, d.Effect, stamp, d.Generation, d.Origin, err, id != at.world, at.world, at.generation)
			}
			at.view.Settle()
			if d.Origin == policy.OriginHit {
				hits.Add(1)
				if at.generation != pins[len(pins)-1].generation {
					old.Add(1)
				}
			}
		}
		if s := e.Stats(); s.Mismatches != 0 {
			t.Fatalf("got %+v, want no mismatch", s)
		}
	})
	t.Logf("%d answers from memory, %d of them of an older generation to a view of it", hits.Load(), old.Load())
	if hits.Load() == 0 || old.Load() == 0 {
		t.Error("the law was not tried")
	}
}
