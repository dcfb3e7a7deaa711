package policies

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func text(t rapid.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestAMutationLeavesItsOriginalAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		in := Common().Input(r)
		before := text(t, in)
		for range 10 {
			Common().Mutate(r, in)
		}
		Common().Neighbors(in)
		if diff := cmp.Diff(before, text(t, in)); diff != "" {
			t.Fatalf("the document was changed (-before +after):\n%s", diff)
		}
	})
}

func TestNeighborsDifferAtOnePlace(t *testing.T) {
	in := map[string]any{"a": []any{"x"}}
	got := map[string]bool{}
	for _, n := range (Vocabulary{Paths: [][]any{{"b"}}}).Neighbors(in) {
		got[text(t, n)] = true
	}
	for _, want := range []string{`{}`, `{"a":[]}`, `{"a":[false]}`, `{"a":["x","z"]}`, `{"a":["x"],"z":"z"}`, `{"a":{"z":"z"}}`, `false`, `"z"`, `{"a":["x"],"b":false}`} {
		if !got[want] {
			t.Errorf("no neighbor %s of %s", want, text(t, in))
		}
	}
}

func TestOneSeedIsOnePolicy(t *testing.T) {
	for seed := range uint64(20) {
		one, two := Random(rand.New(rand.NewPCG(seed, 0))), Random(rand.New(rand.NewPCG(seed, 0)))
		if diff := cmp.Diff(one, two); diff != "" {
			t.Errorf("seed %d: two policies (-first +second):\n%s", seed, diff)
		}
	}
}
