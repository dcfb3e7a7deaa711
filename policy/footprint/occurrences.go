package footprint

import "github.com/open-policy-agent/opa/v1/ast"

// occurrences is what one rule's variables are used for, found once a rule.
type occurrences struct {
	// binding counts, for each variable, the places that can bind or compare it. With
	// exactly one the variable is a name for what is bound there; with more, values meet.
	binding map[ast.Var]int
	// meets is, for each variable, the last of those places.
	meets map[ast.Var]*ast.Location
	// copies names, for an equality of two variables, the one that only copies the other.
	copies map[*ast.Expr]ast.Var
	// constants are variables that were bound to a scalar or to a ground reference into
	// data; they are constants if nothing else binds them.
	constants map[ast.Var]*ast.Term
	// fixed are the variables that have one value in all solutions of the body.
	fixed fixed
	// several: the document that the rule defines has more than one definition, so that
	// their values are compared.
	several bool
}

// pair is an equality of two variables.
type pair struct {
	expr        *ast.Expr
	left, right ast.Var
}

func (a *analysis) occurrencesOf(r *ast.Rule) *occurrences {
	o := &occurrences{
		binding: map[ast.Var]int{}, meets: map[ast.Var]*ast.Location{}, copies: map[*ast.Expr]ast.Var{},
		constants: map[ast.Var]*ast.Term{}, fixed: a.fixedOf(r),
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
	closures.Walk(r.Head)
	closures.Walk(r.Body)
	o.settle(pairs)

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
	if isLeft && constant(right) {
		o.constants[l] = right
	}
	if isRight && constant(left) {
		o.constants[r] = left
	}
	return pair{e, l, r}, isLeft && isRight
}

// constant says whether a term may be one for a generation of data: a scalar, or a
// ground reference into data.
func constant(t *ast.Term) bool {
	ref, ok := t.Value.(ast.Ref)
	return ast.IsScalar(t.Value) || ok && ref.IsGround() && ref[0].Equal(ast.DefaultRootDocument)
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
				o.copies[p.expr] = p.left
				o.binding[p.right]--
				again = true
			case o.binding[p.right] == 1:
				o.copies[p.expr] = p.right
				o.binding[p.left]--
				again = true
			}
		}
	}
}
