package cases

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/footprint"
)

// pruner rewrites tests so that each document which they give as input is cut to what the
// footprint of the rule holds in which it is given: `with input as x` becomes
// `with input as pruned(x, place, path)`.
type pruner struct {
	tests    map[string]*ast.Module // rewritten copies
	compiler *ast.Compiler          // that will compile them
	decl     *ast.Builtin
	analyze  func(*ast.Compiler, ast.Ref, func(ast.Ref) ast.Value) *footprint.Footprint // [footprint.Analyze]

	mu    sync.Mutex // tests run side by side
	rules map[int]ast.Ref
	known *plans
}

// plans are what was found of the places in one set of modules and tests: to find it takes
// longer than to run the tests.
type plans struct {
	byPlace map[int]*footprint.Plan
	byRule  map[string]*footprint.Plan // by the reference to it
}

func newPlans() *plans {
	return &plans{byPlace: map[int]*footprint.Plan{}, byRule: map[string]*footprint.Plan{}}
}

var errPlace = errors.New("no rule is known for a place where a test gives an input")

func newPruner(tests map[string]*ast.Module, known *plans) *pruner {
	p := &pruner{
		tests:   map[string]*ast.Module{},
		known:   known,
		analyze: footprint.Analyze,
		decl: &ast.Builtin{
			Name: "__pruned__", // no import can hide it
			Decl: types.NewFunction(types.Args(types.A, types.N, types.A), types.A),
		},
	}
	// Tests may mock what decisions must not call.
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.Builtins = append(capabilities.Builtins, p.decl)
	p.compiler = ast.NewCompiler().WithCapabilities(capabilities)
	places := 0
	for _, name := range slices.Sorted(maps.Keys(tests)) { // places have the same numbers each time
		m := tests[name].Copy()
		p.tests[name] = m
		ast.WalkWiths(m, func(w *ast.With) bool {
			target, ok := w.Target.Value.(ast.Ref)
			if ok && target.HasPrefix(ast.InputRootRef) {
				path := ast.NewTerm(ast.NewArray(target[1:]...))
				w.Value = ast.NewTerm(ast.Call{
					ast.NewTerm(p.decl.Ref()), w.Value, ast.IntNumberTerm(places), path,
				}).SetLocation(w.Value.Location)
				places++
			}
			return false
		})
	}
	return p
}

// builtin is what the rewritten tests call.
func (p *pruner) builtin() []*tester.Builtin {
	return []*tester.Builtin{{Decl: p.decl, Func: rego.Function3(
		&rego.Function{Name: p.decl.Name, Decl: p.decl.Decl},
		func(_ rego.BuiltinContext, value, place, path *ast.Term) (*ast.Term, error) {
			plan, err := p.plan(place)
			at, ok := path.Value.(*ast.Array)
			if err != nil || !ok {
				return nil, errors.Join(err, errPlace)
			}
			return pruned(plan, value, at), nil
		})}}
}

// plan is that of the rule in which an input is given.
func (p *pruner) plan(place *ast.Term) (*footprint.Plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, _ := place.Value.(ast.Number)
	i, _ := n.Int()
	if plan := p.known.byPlace[i]; plan != nil {
		return plan, nil
	}
	if p.rules == nil {
		p.find()
	}
	ref, ok := p.rules[i]
	if !ok {
		return nil, errPlace
	}
	plan := p.known.byRule[ref.String()]
	if plan == nil {
		// Tests bring data of their own: nothing in it is taken for constant.
		plan = p.analyze(p.compiler, ref, nil).Plan()
		p.known.byRule[ref.String()] = plan
	}
	p.known.byPlace[i] = plan
	return plan, nil
}

// find notes in which compiled rule each place is.
func (p *pruner) find() {
	p.rules = map[int]ast.Ref{}
	for name := range p.tests {
		for _, rule := range p.compiler.Modules[name].Rules {
			ast.WalkTerms(rule, func(t *ast.Term) bool {
				if call, ok := t.Value.(ast.Call); ok {
					p.note(call, rule)
				}
				return false
			})
			ast.WalkExprs(rule, func(e *ast.Expr) bool {
				if terms, ok := e.Terms.([]*ast.Term); ok {
					p.note(terms, rule)
				}
				return false
			})
		}
	}
}

// note notes a call of the builtin.
func (p *pruner) note(call []*ast.Term, rule *ast.Rule) {
	const place = 2
	if len(call) <= place || call[0].Value.Compare(p.decl.Ref()) != 0 {
		return
	}
	if n, ok := call[place].Value.(ast.Number); ok {
		if i, ok := n.Int(); ok {
			p.rules[i] = rule.Ref().GroundPrefix()
		}
	}
}

// pruned is what a plan holds of a value that stands at a path of the input. What it does
// not read at all is emptied: nobody looks at it.
func pruned(plan *footprint.Plan, value *ast.Term, path *ast.Array) *ast.Term {
	doc := value
	for i := path.Len() - 1; i >= 0; i-- {
		doc = ast.ObjectTerm(ast.Item(path.Elem(i), doc))
	}
	built := plan.Build(plan.Read(policy.Whole{Value: doc.Value}))
	ref := make(ast.Ref, 0, path.Len())
	path.Foreach(func(t *ast.Term) { ref = append(ref, t) })
	if v, ok := (policy.Whole{Value: built}).Lookup(ref); ok {
		return ast.NewTerm(v)
	}
	if len(ref) == 0 {
		return ast.ObjectTerm()
	}
	return ast.NullTerm()
}
