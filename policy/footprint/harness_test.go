package footprint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/rolegate/rolegate/internal/lab/policies"
)

// The two ways to treat an error of a builtin.
const (
	lenient = iota // it makes the expression undefined
	strict         // it ends the evaluation
	modes
)

// specimen is a compiled policy, decided by stock OPA, with the footprint of its
// entry point.
type specimen struct {
	compiler  *ast.Compiler
	queries   [modes]rego.PreparedEvalQuery
	constant  func(ast.Ref) ast.Value
	footprint *Footprint
	plan      *Plan
}

// parse reads modules by file name. rego.v2 and its keywords are there for who imports it.
func parse(sources map[string]string, version ast.RegoVersion) (map[string]*ast.Module, error) {
	modules := make(map[string]*ast.Module, len(sources))
	for name, source := range sources {
		m, err := ast.ParseModuleWithOpts(name, source, ast.ParserOptions{
			RegoVersion: version, AllFutureKeywords: strings.Contains(source, "import rego.v2"),
		})
		if err != nil {
			return nil, err
		}
		modules[name] = m
	}
	return modules, nil
}

// newSpecimen compiles modules and prepares their entry point.
func newSpecimen(ctx context.Context, modules map[string]*ast.Module, data map[string]any, entrypoint string) (*specimen, error) {
	s := &specimen{compiler: ast.NewCompiler()}
	s.compiler.Compile(modules)
	if s.compiler.Failed() {
		return nil, s.compiler.Errors
	}
	ref, err := ast.ParseRef(entrypoint)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))
	for mode := range s.queries {
		s.queries[mode], err = rego.New(
			rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(ref)))),
			rego.Compiler(s.compiler),
			rego.Store(store),
			rego.StrictBuiltinErrors(mode == strict),
			rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
		).PrepareForEval(ctx)
		if err != nil {
			return nil, err
		}
	}
	base, err := ast.InterfaceToValue(data)
	if err != nil {
		return nil, err
	}
	s.constant = func(ref ast.Ref) ast.Value {
		v, err := base.Find(ref[1:])
		if err != nil {
			return nil
		}
		return v
	}
	s.footprint = Analyze(s.compiler, ref, s.constant)
	s.plan = s.footprint.Plan()
	return s, nil
}

// answer is what an evaluation gives: a value, nothing, or an error.
type answer struct {
	value ast.Value // nil: undefined
	fault string
}

func (a answer) equal(b answer) bool {
	if a.value == nil || b.value == nil {
		return a.value == nil && b.value == nil && a.fault == b.fault
	}
	return a.value.Compare(b.value) == 0
}

func (a answer) String() string {
	switch {
	case a.fault != "":
		return "error: " + a.fault
	case a.value == nil:
		return "undefined"
	default:
		return a.value.String()
	}
}

// decide evaluates an input, nil for none, with stock OPA.
func (s *specimen) decide(ctx context.Context, in ast.Value, mode int) answer {
	results, err := s.queries[mode].Eval(ctx, rego.EvalParsedInput(in))
	if err != nil {
		if e, ok := errors.AsType[*topdown.Error](err); ok {
			return answer{fault: e.Code + " " + e.Message}
		}
		return answer{fault: err.Error()}
	}
	if len(results) == 0 {
		return answer{}
	}
	v, _ := results[0].Expressions[0].Value.(ast.Value)
	return answer{value: v}
}

// document is an input that is there as a whole; nil is none.
type document struct{ ast.Value }

func (d document) Lookup(path ast.Ref) (ast.Value, bool) {
	if d.Value == nil {
		return nil, false
	}
	v, err := d.Find(path)
	return v, err == nil
}

// question is one input with what stock OPA says to it.
type question struct {
	in      ast.Value
	answers [modes]answer
}

// ask decides inputs in some modes.
func (s *specimen) ask(ctx context.Context, inputs []ast.Value, modes ...int) []question {
	questions := make([]question, len(inputs))
	for i, in := range inputs {
		questions[i].in = in
		for _, mode := range modes {
			questions[i].answers[mode] = s.decide(ctx, in, mode)
		}
	}
	return questions
}

// Nearby looks at this many answers, and at this many questions with each.
const (
	maxAnswers = 8
	perAnswer  = 3
)

// nearby asks about the neighbors of the first questions with each answer: a rare answer
// depends on most.
func (s *specimen) nearby(ctx context.Context, words policies.Vocabulary, questions []question, modes ...int) []question {
	answers, seen := map[string]int{}, map[int]bool{}
	var list []ast.Value
	for _, q := range questions {
		answer := q.answers[modes[0]].String()
		if q.in == nil || answers[answer] == perAnswer || answers[answer] == 0 && len(answers) == maxAnswers {
			continue
		}
		answers[answer]++
		doc, err := ast.JSON(q.in)
		if err != nil {
			continue
		}
		for _, near := range words.Neighbors(doc) {
			if v, err := ast.InterfaceToValue(near); err == nil && !seen[v.Hash()] {
				seen[v.Hash()] = true
				list = append(list, v)
			}
		}
	}
	return s.ask(ctx, list, modes...)
}

// varied says whether the questions have several answers.
func varied(questions []question, mode int) bool {
	return slices.ContainsFunc(questions, func(q question) bool { return !q.answers[mode].equal(questions[0].answers[mode]) })
}

// verdict is what a comparison found.
type verdict struct {
	pairs int    // of different inputs with equal keys, both evaluated as they are
	fault string // the first one that is wrong; "" for none
}

// group is inputs with one key.
type group struct {
	first  question
	pruned ast.Value
	answer [modes]answer // to the pruned input
}

// compare holds a plan against questions: inputs with one key have one answer, it is
// the answer to the pruned input, and that has the same key.
func (s *specimen) compare(ctx context.Context, plan *Plan, questions []question, modes ...int) verdict {
	var v verdict
	groups := map[string]*group{}
	for _, q := range questions {
		values := plan.Read(document{q.in})
		key := string(plan.AppendKey(nil, values))
		g := groups[key]
		if g == nil {
			g = &group{first: q, pruned: plan.Build(values)}
			groups[key] = g
			if again := string(plan.AppendKey(nil, plan.Read(document{g.pruned}))); again != key {
				v.fault = fmt.Sprintf("the key of the pruned input is another\n   input  %v\n   pruned %v", q.in, g.pruned)
				return v
			}
			for _, mode := range modes {
				g.answer[mode] = s.decide(ctx, g.pruned, mode)
			}
		} else if !same(g.first.in, q.in) {
			v.pairs++
		}
		for _, mode := range modes {
			if v.fault = g.fault(q, mode); v.fault != "" {
				return v
			}
		}
	}
	return v
}

// fault says what is wrong with the answer to one more question of the group.
func (g *group) fault(q question, mode int) string {
	switch {
	case !q.answers[mode].equal(g.first.answers[mode]):
		return fmt.Sprintf("two inputs with one key decide differently (strict: %t)\n   input %v\n   gives %v\n   input %v\n   gives %v",
			mode == strict, g.first.in, g.first.answers[mode], q.in, q.answers[mode])
	case !q.answers[mode].equal(g.answer[mode]):
		return fmt.Sprintf("the pruned input decides otherwise (strict: %t)\n   input  %v\n   gives  %v\n   pruned %v\n   gives  %v",
			mode == strict, q.in, q.answers[mode], g.pruned, g.answer[mode])
	default:
		return ""
	}
}

func same(a, b ast.Value) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Compare(b) == 0
}

// seedNeighbors is how many times as many neighbors a seed has as a random input.
const seedNeighbors = 20

// inputs makes different inputs of a vocabulary: seeds, n at random, and of each some
// neighbors and some disguises. One is the input that is not there.
func inputs(r *rand.Rand, words policies.Vocabulary, plan *Plan, seeds []any, n, neighbors, disguises int) []ast.Value {
	list := []ast.Value{nil}
	seen := map[int]bool{}
	add := func(v ast.Value) {
		if v != nil && !seen[v.Hash()] {
			seen[v.Hash()] = true
			list = append(list, v)
		}
	}
	d := disguise{r: r, words: words}
	for i := range len(seeds) + n {
		doc, times := words.Input(r), 1
		if i < len(seeds) {
			doc, times = seeds[i], seedNeighbors
		}
		v, err := ast.InterfaceToValue(doc)
		if err != nil {
			continue // a word that is no JSON
		}
		add(v)
		for range neighbors * times {
			near := words.Mutate(r, doc)
			if r.IntN(3) == 0 {
				near = words.Mutate(r, near)
			}
			if v, err := ast.InterfaceToValue(near); err == nil {
				add(v)
			}
		}
		values := plan.Read(document{v})
		for range disguises * times {
			add(d.step(plan.root, values))
		}
	}
	return list
}

// maxWords bounds a vocabulary: with too many words nothing is equal to anything.
const maxWords = 40

// vocabulary is what modules and data speak of, found in their text alone: the
// analysis that is tested has no say in what it is tested with. It is to be asked for
// before the modules are compiled.
func vocabulary(modules map[string]*ast.Module, data map[string]any) policies.Vocabulary {
	w := words{seen: map[string]bool{}}
	w.key("z")
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case ast.Ref:
				w.ref(x)
			case *ast.Term:
				w.leaf(x.Value)
			}
			return false
		}).Walk(modules[name])
	}
	if base, err := ast.InterfaceToValue(data); err == nil {
		ast.WalkTerms(base, func(t *ast.Term) bool { w.leaf(t.Value); return false })
	}
	for _, l := range w.Leaves { // a key may be computed from any word
		if k, ok := l.(string); ok {
			w.key(k)
		}
	}
	// What is compared with is frequent; what nobody compares with is there.
	w.Leaves = append(slices.Repeat(w.Leaves, 3), "z", true, false, nil, 0, 1)
	return w.Vocabulary
}

// words collects a vocabulary.
type words struct {
	policies.Vocabulary
	seen map[string]bool
}

// new says whether a word of a kind is seen for the first time and there is room for it.
func (w *words) new(kind string, word any, room int) bool {
	id := fmt.Sprintf("%s %#v", kind, word)
	if w.seen[id] || room >= maxWords {
		return false
	}
	w.seen[id] = true
	return true
}

func (w *words) key(k string) {
	if w.new("key", k, len(w.Keys)) {
		w.Keys = append(w.Keys, k)
	}
}

func (w *words) leaf(v ast.Value) {
	if !ast.IsScalar(v) {
		return
	}
	if x, err := ast.JSON(v); err == nil && w.new("leaf", x, len(w.Leaves)) {
		w.Leaves = append(w.Leaves, x)
	}
}

// ref takes what a reference names: a path of the input, or members of whatever stands
// behind another name.
func (w *words) ref(ref ast.Ref) {
	if _, ok := ast.BuiltinMap[ref.String()]; ok || ref[0].Equal(ast.DefaultRootDocument) {
		return
	}
	var path []any
	constant := true
	for _, t := range ref[1:] {
		switch k := t.Value.(type) {
		case ast.String:
			w.key(string(k))
			if constant {
				path = append(path, string(k))
			}
		case ast.Number:
			if i, ok := k.Int(); ok && i >= 0 && i < 4 && constant {
				path = append(path, i)
				continue
			}
			constant = false
		default:
			constant = false
		}
	}
	switch {
	case len(path) == 0:
	case ref[0].Equal(ast.InputRootDocument):
		if w.new("path", path, len(w.Paths)) {
			w.Paths = append(w.Paths, path)
		}
	case w.new("members", path, len(w.Members)):
		w.Members = append(w.Members, path)
	}
}
