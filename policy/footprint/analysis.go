package footprint

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxAliases bounds how many places one variable is followed to; beyond it they are
// read in full.
const maxAliases = 24

// Footprint is what one entry point can read.
type Footprint struct {
	Paths            []Path // in the order of the document
	Nondeterministic []Call // by name
	Rules            []*ast.Rule
	root             *place
}

// name is a variable of a rule, or, with v empty, the value that the rule gives.
type name struct {
	rule *ast.Rule
	v    ast.Var
}

// analysis is the state of one fixed point: places only grow, levels only rise.
type analysis struct {
	compiler *ast.Compiler
	builtins map[string]*ast.Builtin
	constant func(ast.Ref) ast.Value

	root      *place
	arguments map[name]*constants    // what a function's argument can be
	points    map[name]*places       // what a name can stand for
	escaped   map[name]*ast.Location // names whose places are read in full, and what made it so
	reached   map[*ast.Rule]*occurrences
	known     map[*ast.Rule]*occurrences // of all rules that were ever looked at
	rules     []*ast.Rule                // in the order in which they were reached
	mocked    map[string]bool            // targets of `with` outside the input
	calls     map[string]*Call
	found     map[refKey][]*ast.Rule // rules by the references to them
	at        *ast.Location          // the expression being looked at
	order     int                    // its number among its rule's
	changed   bool
}

// Analyze finds the footprint of an entry point in compiled modules. constant
// answers the value of a ground reference into base data, nil when there is none: for
// one generation of data it is as good as a literal. It may be nil.
func Analyze(c *ast.Compiler, entrypoint ast.Ref, constant func(ast.Ref) ast.Value) *Footprint {
	return analyze(c, entrypoint, constant).footprint()
}

func analyze(c *ast.Compiler, entrypoint ast.Ref, constant func(ast.Ref) ast.Value) *analysis {
	a := newAnalysis(c, constant)
	for _, b := range ast.Builtins {
		a.builtins[b.Name] = b
	}
	a.settle(func() {
		if rules := a.rulesFor(entrypoint); len(rules) > 0 {
			a.at = rules[0].Location
		}
		a.escapeRef(nil, entrypoint)
	})
	return a
}

func newAnalysis(c *ast.Compiler, constant func(ast.Ref) ast.Value) *analysis {
	return &analysis{
		compiler:  c,
		builtins:  make(map[string]*ast.Builtin, len(ast.Builtins)),
		constant:  constant,
		root:      &place{children: map[string]*place{}},
		arguments: map[name]*constants{},
		points:    map[name]*places{},
		escaped:   map[name]*ast.Location{},
		reached:   map[*ast.Rule]*occurrences{},
		known:     map[*ast.Rule]*occurrences{},
		mocked:    map[string]bool{},
		calls:     map[string]*Call{},
		found:     map[refKey][]*ast.Rule{},
	}
}

// settle looks at what begin reaches, and at what is reached from there, until nothing
// changes.
func (a *analysis) settle(begin func()) {
	for a.changed = true; a.changed; {
		a.changed = false
		a.at, a.order = nil, 0
		begin()
		for done := 0; done < len(a.rules); { // there may be more after each
			a.rule(a.rules[done])
			done++
		}
		for _, r := range slices.Backward(a.rules) { // values flow from the rules reached last
			a.rule(r)
		}
	}
}

// footprint is what was found.
func (a *analysis) footprint() *Footprint {
	f := &Footprint{Paths: a.root.paths(), Rules: a.rules, root: a.root}
	for _, n := range slices.Sorted(maps.Keys(a.calls)) {
		f.Nondeterministic = append(f.Nondeterministic, *a.calls[n])
	}
	return f
}

// raise brings a place to at least a level.
func (a *analysis) raise(p *place, l Level) {
	if p.level < l {
		p.level, p.at = l, a.at
		a.changed = true
	}
}

// child is the place under a key. What is read in full covers all below it.
func (a *analysis) child(p *place, key *ast.Term) *place {
	if p.level == Full {
		return p
	}
	if p.depth >= maxDepth {
		a.raise(p, Full)
		return p
	}
	if n, ok := key.Value.(ast.Number); ok {
		if i, ok := n.Int(); ok {
			key = ast.IntNumberTerm(i) // -0 is 0
		}
	}
	k := key.Value.String()
	c := p.children[k]
	if c == nil {
		c = &place{parent: p, key: key, depth: p.depth + 1, children: map[string]*place{}}
		p.children[k] = c
		a.changed = true
	}
	return c
}

// pointsTo is what a name stands for so far; never nil.
func (a *analysis) pointsTo(n name) *places {
	s := a.points[n]
	if s == nil {
		s = &places{}
		a.points[n] = s
	}
	return s
}

// flow makes dst stand for all of src too.
func (a *analysis) flow(dst name, src *places) {
	s := a.pointsTo(dst)
	for _, p := range slices.Clone(src.list) { // src may be s
		if s.add(p) {
			a.changed = true
		}
	}
	if len(s.list) > maxAliases {
		a.escapeName(dst)
	}
	a.readEscaped(dst)
}

// readEscaped reads in full what an escaped name stands for.
func (a *analysis) readEscaped(n name) {
	at, ok := a.escaped[n]
	if !ok {
		return
	}
	here := a.at
	a.at = at
	a.readAll(a.pointsTo(n))
	a.at = here
}

// readAll reads places in full.
func (a *analysis) readAll(s *places) {
	for _, p := range s.list {
		a.raise(p, Full)
	}
}

// escapeName reads in full all that a name stands for, now and later.
func (a *analysis) escapeName(n name) {
	if _, ok := a.escaped[n]; !ok {
		a.escaped[n] = a.at
		a.changed = true
	}
	a.readEscaped(n)
}

// escapeValue reads in full the values that a rule and its else branches give.
func (a *analysis) escapeValue(r *ast.Rule) {
	for ; r != nil; r = r.Else {
		a.escapeName(name{r, ""})
	}
}

// reach adds a rule and its else branches to what is looked at.
func (a *analysis) reach(r *ast.Rule) {
	for ; r != nil; r = r.Else {
		if a.reached[r] != nil {
			continue
		}
		if a.known[r] == nil {
			a.known[r] = a.occurrencesOf(r)
		}
		a.reached[r] = a.known[r]
		for _, t := range r.Head.Args {
			if v, ok := t.Value.(ast.Var); ok {
				a.argumentsOf(name{r, v})
			}
		}
		a.rules = append(a.rules, r)
		a.changed = true
	}
}

// rule looks at one rule: its body, then what its head gives away.
func (a *analysis) rule(r *ast.Rule) {
	o := a.reached[r]
	for _, v := range o.meeting {
		a.at = o.meets[v]
		a.escapeName(name{r, v})
	}
	a.at = r.Location
	a.body(r, r.Body)
	a.at, a.order = r.Location, len(o.order) // the head is evaluated last
	if r.Head.Key != nil {
		a.escape(r, r.Head.Key)
	}
	for i, t := range r.Head.Ref() {
		if i > 0 && !ast.IsConstant(t.Value) {
			a.escape(r, t)
		}
	}
	for _, t := range r.Head.Args {
		if _, ok := t.Value.(ast.Var); !ok {
			a.escape(r, t) // a pattern compares
		}
	}
	a.value(r, o)
}

// value follows what a rule's head gives. The values of several definitions of one
// document and of several solutions of one body are compared, those of partial
// documents are iterated: all of them are read.
func (a *analysis) value(r *ast.Rule, o *occurrences) {
	result := name{r, ""}
	if t := r.Head.Value; t != nil {
		switch v := t.Value.(type) {
		case ast.Var:
			a.flow(result, a.pointsTo(name{r, v}))
		case ast.Ref:
			a.flow(result, a.resolve(r, v))
		default:
			a.escape(r, t)
		}
	}
	several := o.several || r.Head.Value != nil && !o.fixed.term(r.Head.Value)
	if several || r.Head.RuleKind() != ast.SingleValue || !r.Ref().IsGround() {
		a.escapeName(result)
	}
}
