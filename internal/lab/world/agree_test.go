package world_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/reference"
	"github.com/rolegate/rolegate/internal/lab/soak"
	"github.com/rolegate/rolegate/internal/lab/world"
)

// TestAgree asks the role library and the sentences the same questions about random worlds, and
// compares every key of both entry points. ROLEGATE_QUESTIONS sets how many (the long run asks a
// million), ROLEGATE_SEED where the worlds begin, ROLEGATE_DIFFERENCES how many differences are shown.
func TestAgree(t *testing.T) {
	t.Parallel()
	questions := soak.Number(t, "ROLEGATE_QUESTIONS", ordinary())
	first := soak.Number(t, "ROLEGATE_SEED", 1)
	show := soak.Number(t, "ROLEGATE_DIFFERENCES", 5)

	seeds := make(chan uint64)
	found := differences{limit: max(1, show), seen: map[string]int{}}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		l := shippedLibrary(t)
		workers.Go(func() {
			for seed := range seeds {
				if err := found.inWorld(t.Context(), l, seed); err != nil {
					t.Errorf("world %d: %v", seed, err)
				}
			}
		})
	}
	for i := range (questions + questionsEach - 1) / questionsEach {
		if found.enough() {
			break
		}
		seeds <- uint64(first + i)
	}
	close(seeds)
	workers.Wait()

	for _, text := range found.shown {
		t.Error(text)
	}
	for _, kind := range slices.Sorted(maps.Keys(found.seen)) {
		t.Errorf("%6d × %s", found.seen[kind], kind)
	}
	t.Logf("%d questions", found.asked)
}

// ordinary is how many questions an ordinary run asks; with -short, as the race detector
// runs it, a tenth: more goroutines do not do other things.
func ordinary() int {
	if testing.Short() {
		return 2_000
	}
	return 20_000
}

// differences collects what was found, one shrunk example of each kind.
type differences struct {
	limit int

	mu    sync.Mutex
	asked int
	seen  map[string]int
	shown []string
}

func (d *differences) enough() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.shown) >= d.limit
}

// first notes a difference of a kind and tells whether it is to be shown.
func (d *differences) first(kind string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[kind]++
	return d.seen[kind] == 1 && len(d.shown) < d.limit
}

// inWorld asks one world's questions.
func (d *differences) inWorld(ctx context.Context, l *library, seed uint64) error {
	w := world.New(seed)
	decide, err := l.on(ctx, w.Data)
	if err != nil {
		return err
	}
	g := world.NewGenerator(seed)
	for range questionsEach {
		question := w.Question(g)
		c := contest{seed: seed, data: w.Data, question: question}
		found := c.judge(ctx, decide)
		if found.kind != "" && d.first(found.kind) {
			text := shrink(ctx, l, c, found.kind).String()
			d.mu.Lock()
			d.shown = append(d.shown, text)
			d.mu.Unlock()
		}
	}
	d.mu.Lock()
	d.asked += questionsEach
	d.mu.Unlock()
	return nil
}

// contest is one question about one document, and what the two say to it.
type contest struct {
	seed      uint64
	data      map[string]any
	question  map[string]any
	got, want map[string]any
	kind      string // which keys of which entry point differ, and the two reasons; "" when they agree
}

// judge asks both sides.
func (c contest) judge(ctx context.Context, decide *decider) contest {
	c.want = reference.Decide(dataFor(c.data, c.question), c.question).Document()
	report, decision, err := decide.answer(ctx, c.question)
	if err != nil {
		c.kind, c.got = "error", map[string]any{"error": err.Error()}
		return c
	}
	c.got, c.kind = report, verdictKind(report, decision, c.want)
	if strings.HasPrefix(c.kind, "decision") {
		c.got = decision
	}
	return c
}

// dataFor is what the reference reads of a store.
func dataFor(data, question map[string]any) reference.Data {
	rbac, _ := data["rbac"].(map[string]any)
	lab, _ := data["lab"].(map[string]any)
	extensions, _ := lab["extensions"].(map[string]any)
	principal, _ := question["principal"].(string)
	authz, _ := extensions[principal].(map[string]any)
	return reference.Data{RBAC: rbac, Authz: authz}
}

// shrink takes away whatever can go while the same kind of difference stays.
func shrink(ctx context.Context, l *library, c contest, kind string) contest {
	best := c
	shrinkPair(c.data, c.question, func(data, question map[string]any) bool {
		decide, err := l.on(ctx, data)
		if err != nil {
			return false
		}
		tried := contest{seed: c.seed, data: data, question: question}.judge(ctx, decide)
		if tried.kind == kind {
			best = tried
		}
		return tried.kind == kind
	})
	return best
}

// shrinkPair takes members and elements away from two documents as long as still says that they show what
// they showed, and gives the smallest that it found.
func shrinkPair(a, b map[string]any, still func(a, b map[string]any) bool) (smallA, smallB map[string]any) {
	const attempts = 2000
	tried := 0
	try := func(a, b map[string]any) bool {
		tried++
		return tried <= attempts && still(a, b)
	}
	for again := true; again; {
		again = false
		for next := range smaller(b) {
			if next, ok := next.(map[string]any); ok && try(a, next) {
				b, again = next, true
				break
			}
		}
		for next := range smaller(a) {
			if next, ok := next.(map[string]any); ok && try(next, b) {
				a, again = next, true
				break
			}
		}
	}
	return a, b
}

// smaller yields copies of a document that lack one member or element, the large ones first.
func smaller(v any) func(yield func(any) bool) {
	return func(yield func(any) bool) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				if structural(name) {
					continue
				}
				without := maps.Clone(v)
				delete(without, name)
				if !yield(without) {
					return
				}
			}
			for _, name := range slices.Sorted(maps.Keys(v)) {
				for member := range smaller(v[name]) {
					with := maps.Clone(v)
					with[name] = member
					if !yield(with) {
						return
					}
				}
			}
		case []any:
			for i := range v {
				if !yield(slices.Delete(slices.Clone(v), i, i+1)) {
					return
				}
			}
			for i, element := range v {
				for member := range smaller(element) {
					with := slices.Clone(v)
					with[i] = member
					if !yield(with) {
						return
					}
				}
			}
		default:
		}
	}
}

// structural members make a document what the schema says it is.
func structural(name string) bool {
	switch name {
	case "owner", "key", "role", "node", "op", "p", "v", "of", "time", "rbac", "lab", "extensions", "@root":
		return true
	default:
		return false
	}
}

// String is the case as its author reads it.
func (c contest) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s, world %d", c.kind, c.seed)
	principal, _ := c.question["principal"].(string)
	data := dataFor(c.data, c.question)
	for _, part := range []struct {
		name string
		v    any
	}{{"data.rbac", data.RBAC}, {"data.authz of " + strconv.Quote(principal), data.Authz}, {"question", c.question}, {"got ", c.got}, {"want", c.want}} {
		text, err := json.Marshal(part.v)
		if err != nil {
			text = []byte(err.Error())
		}
		fmt.Fprintf(&out, "\n%s: %s", part.name, readable(string(text)))
	}
	return out.String()
}

// readable shortens the long names of worlds: n×300 is three hundred n.
func readable(text string) string {
	const long = 300
	return strings.NewReplacer(strings.Repeat("n", long), "n×300", strings.Repeat("p", long), "p×300").Replace(text)
}
