package footprint

import (
	"maps"
	"math"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// occurrences is what one rule's variables are used for, found once a rule.
type occurrences struct {
	// binding counts, for each variable, the places that can bind or compare it. With
	// exactly one the variable is a name for what is bound there; with more, values meet.
	binding map[ast.Var]int
	// meets is, for each variable, the last of those places. In the meeting ones values meet.
	meets   map[ast.Var]*ast.Location
	meeting []ast.Var // sorted
	// copies names, for an equality of two variables, the one that only copies the other.
	copies map[*ast.Expr]ast.Var
	// definitions are what variables are equal to; if nothing else binds one, the only one.
	definitions map[ast.Var]definition
	// order numbers the expressions as they are evaluated, closures within what they stand in.
	order map[*ast.Expr]int
	// fixed are the variables that have one value in all solutions of the body.
	fixed fixed
	// several: the document that the rule defines has more than one definition, so that
	// their values are compared.
	several bool
}

// definition is a term that a variable is equal to. That of an element is a reference
// into what it is an element of.
type definition struct {
	term *ast.Term
	at   int // in the order of the expressions
	in   *scope
}

// scope is a body: what is defined in it is known until its end.
type scope struct {
	end int // in the order of the expressions
}

// pair is an equality of two variables.
type pair struct {
	expr        *ast.Expr
	left, right ast.Var
	in          *scope // nil: it is negated, and says nothing of what they are
}

// scan is the walk over one rule.
type scan struct {
	a     *analysis
	o     *occurrences
	open  []*scope // from the outermost to the innermost
	pairs []pair
}

func (a *analysis) occurrencesOf(r *ast.Rule) *occurrences {
	o := &occurrences{
		binding: map[ast.Var]int{}, meets: map[ast.Var]*ast.Location{}, copies: map[*ast.Expr]ast.Var{},
		definitions: map[ast.Var]definition{}, order: map[*ast.Expr]int{}, fixed: a.fixedOf(r),
	}
	for _, arg := range r.Head.Args {
		o.bind(arg, r.Location)
	}
	// What the body defines is known in the head, too.
	s := &scan{a: a, o: o, open: []*scope{{end: math.MaxInt}}}
	walk := ast.NewBeforeAfterVisitor(s.before, s.after)
	for _, e := range r.Body {
		walk.Walk(e)
	}
	walk.Walk(r.Head)
	o.settle(s.pairs)
	for _, v := range slices.Sorted(maps.Keys(o.binding)) {
		if o.binding[v] > 1 {
			o.meeting = append(o.meeting, v)
		}
	}

	definitions := 0
	for _, other := range a.compiler.GetRulesExact(r.Ref().GroundPrefix()) {
		if !other.Default {
			definitions++
		}
	}
	o.several = definitions > 1
	return o
}

// bind counts an occurrence of a term that, if it is a variable, is bound or compared there.
func (o *occurrences) bind(t *ast.Term, at *ast.Location) {
	if v, ok := t.Value.(ast.Var); ok {
		o.binding[v]++
		o.meets[v] = at
	}
}

// before looks at an expression, or at the beginning of a body.
func (s *scan) before(x any) (done bool) {
	switch x := x.(type) {
	case ast.Body:
		s.open = append(s.open, &scope{})
	case *ast.Every:
		s.open = append(s.open, &scope{})
		if v, ok := x.Value.Value.(ast.Var); ok {
			s.o.bind(x.Value, x.Location)
			s.define(v, ast.NewTerm(ast.Ref{x.Domain, ast.VarTerm(ast.WildcardPrefix)}), len(s.o.order)-1)
		}
	case *ast.Expr:
		s.o.order[x] = len(s.o.order)
		if terms, ok := x.Terms.([]*ast.Term); ok {
			s.call(x, terms)
		}
	}
	return false
}

// after ends a body.
func (s *scan) after(x any) {
	switch x.(type) {
	case ast.Body, *ast.Every:
		last := len(s.open) - 1
		s.open[last].end = len(s.o.order)
		s.open = s.open[:last]
	}
}

func (s *scan) call(e *ast.Expr, terms []*ast.Term) {
	switch {
	case e.IsEquality() && len(terms) == 3:
		s.equality(e, terms[1], terms[2])
	case len(terms) > 1 && s.a.hasOutput(terms):
		s.o.bind(terms[len(terms)-1], e.Location)
	}
}

func (s *scan) equality(e *ast.Expr, left, right *ast.Term) {
	s.o.bind(left, e.Location)
	s.o.bind(right, e.Location)
	l, isLeft := left.Value.(ast.Var)
	r, isRight := right.Value.(ast.Var)
	in := s.open[len(s.open)-1]
	if e.Negated {
		in = nil
	}
	switch {
	case isLeft && isRight:
		s.pairs = append(s.pairs, pair{e, l, r, in})
	case in == nil:
	case isLeft:
		s.define(l, right, s.o.order[e])
	case isRight:
		s.define(r, left, s.o.order[e])
	}
}

func (s *scan) define(v ast.Var, t *ast.Term, at int) {
	s.o.definitions[v] = definition{t, at, s.open[len(s.open)-1]}
}

// define answers what a variable is equal to where an expression is evaluated; nil if
// that is not known there. A variable that is bound only later, or elsewhere, may be
// bound by that expression itself, to anything.
func (o *occurrences) define(v ast.Var, at int) *ast.Term {
	if d, ok := o.definitions[v]; ok && o.binding[v] == 1 && d.at < at && at < d.in.end {
		return d.term
	}
	return nil
}

// hasOutput says whether a call's last operand receives its result. Of a function
// that is not known it may.
func (a *analysis) hasOutput(terms []*ast.Term) bool {
	op, ok := terms[0].Value.(ast.Ref)
	if ok && op[0].Equal(ast.DefaultRootDocument) {
		out := true
		for _, f := range a.compiler.GetRulesExact(op) {
			out = len(f.Head.Args) == len(terms)-2
		}
		return out
	}
	b := a.builtins[terms[0].String()]
	return b == nil || len(b.Decl.FuncArgs().Args) == len(terms)-2
}

// settle finds the equalities that are mere copies: one side occurs nowhere else
// that could bind or compare it. Taking one such equality away may make another one.
func (o *occurrences) settle(pairs []pair) {
	for again := true; again; {
		again = false
		for _, p := range pairs {
			if _, done := o.copies[p.expr]; done || p.left == p.right {
				continue
			}
			switch {
			case o.binding[p.left] == 1:
				o.copy(p, p.left, p.right)
				again = true
			case o.binding[p.right] == 1:
				o.copy(p, p.right, p.left)
				again = true
			}
		}
	}
}

func (o *occurrences) copy(p pair, to, from ast.Var) {
	o.copies[p.expr] = to
	if p.in != nil {
		o.definitions[to] = definition{ast.NewTerm(from), o.order[p.expr], p.in}
	}
	o.binding[from]--
}
