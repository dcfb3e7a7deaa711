package footprint

import (
	"maps"
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
}

// pair is an equality of two variables.
type pair struct {
	expr        *ast.Expr
	left, right ast.Var
}

func (a *analysis) occurrencesOf(r *ast.Rule) *occurrences {
	o := &occurrences{
		binding: map[ast.Var]int{}, meets: map[ast.Var]*ast.Location{}, copies: map[*ast.Expr]ast.Var{},
		definitions: map[ast.Var]definition{}, order: map[*ast.Expr]int{}, fixed: a.fixedOf(r),
	}
	for _, arg := range r.Head.Args {
		o.bind(arg, r.Location)
	}
	var pairs []pair
	closures := ast.NewGenericVisitor(func(x any) bool {
		e, ok := x.(*ast.Expr)
		if !ok {
			return false
		}
		o.order[e] = len(o.order)
		if every, ok := e.Terms.(*ast.Every); ok {
			o.element(every, e)
		}
		terms, ok := e.Terms.([]*ast.Term)
		if !ok || len(terms) < 2 {
			return false
		}
		switch {
		case e.IsEquality() && len(terms) == 3:
			if p, ok := o.equality(e, terms[1], terms[2]); ok {
				pairs = append(pairs, p)
			}
		case a.hasOutput(terms):
			o.bind(terms[len(terms)-1], e.Location)
		}
		return false
	})
	closures.Walk(r.Body)
	closures.Walk(r.Head)
	o.settle(pairs)
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

func (o *occurrences) equality(e *ast.Expr, left, right *ast.Term) (pair, bool) {
	o.bind(left, e.Location)
	o.bind(right, e.Location)
	l, isLeft := left.Value.(ast.Var)
	r, isRight := right.Value.(ast.Var)
	switch {
	case isLeft && isRight:
		return pair{e, l, r}, true
	case isLeft:
		o.definitions[l] = definition{right, o.order[e]}
	case isRight:
		o.definitions[r] = definition{left, o.order[e]}
	}
	return pair{}, false
}

// element counts the variable of an `every` that is bound to the elements.
func (o *occurrences) element(every *ast.Every, e *ast.Expr) {
	if v, ok := every.Value.Value.(ast.Var); ok {
		o.bind(every.Value, e.Location)
		o.definitions[v] = definition{ast.NewTerm(ast.Ref{every.Domain, ast.VarTerm(ast.WildcardPrefix)}), o.order[e]}
	}
}

// define answers what a variable is equal to where an expression is evaluated; nil if
// that is not known there. A variable that is bound only later may be bound by that
// expression itself, to anything.
func (o *occurrences) define(v ast.Var, at int) *ast.Term {
	if d, ok := o.definitions[v]; ok && o.binding[v] == 1 && d.at < at {
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
				o.copy(p.expr, p.left, p.right)
				again = true
			case o.binding[p.right] == 1:
				o.copy(p.expr, p.right, p.left)
				again = true
			}
		}
	}
}

func (o *occurrences) copy(e *ast.Expr, to, from ast.Var) {
	o.copies[e] = to
	o.definitions[to] = definition{ast.NewTerm(from), o.order[e]}
	o.binding[from]--
}
