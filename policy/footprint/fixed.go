package footprint

import "github.com/open-policy-agent/opa/v1/ast"

// fixed are variables of one rule that have one value in all solutions of its body,
// for the same arguments, input and data. A rule that gives several values fails:
// they are compared, although no expression of the policy does it.
type fixed map[ast.Var]bool

// fixedOf finds them as a least fixed point over the body itself. What is bound in a
// disjunction or by iteration is not fixed, and what is bound in a closure is not seen
// outside of it.
func (a *analysis) fixedOf(r *ast.Rule) fixed {
	f := fixed{}
	for _, arg := range r.Head.Args {
		f.bind(arg)
	}
	for n := -1; n < len(f); {
		n = len(f)
		for _, e := range r.Body {
			a.fix(f, e)
		}
	}
	return f
}

// fix adds what an expression binds to one value.
func (a *analysis) fix(f fixed, e *ast.Expr) {
	terms, ok := e.Terms.([]*ast.Term)
	if !ok || e.Negated {
		return
	}
	for _, w := range e.With {
		if !f.term(w.Value) {
			return
		}
	}
	if e.IsEquality() && len(terms) == 3 {
		if f.term(terms[1]) {
			f.bind(terms[2])
		}
		if f.term(terms[2]) {
			f.bind(terms[1])
		}
		return
	}
	if b := a.builtins[terms[0].String()]; b != nil && b.Relation || !a.hasOutput(terms) {
		return
	}
	for _, t := range terms[1 : len(terms)-1] {
		if !f.term(t) {
			return
		}
	}
	f.bind(terms[len(terms)-1])
}

// bind adds the variables that are found by taking a value apart.
func (f fixed) bind(t *ast.Term) {
	switch v := t.Value.(type) {
	case ast.Var:
		f[v] = true
	case *ast.Array:
		v.Foreach(f.bind)
	case ast.Object:
		v.Foreach(func(_, x *ast.Term) { f.bind(x) })
	}
}

// term says whether a term has one value.
func (f fixed) term(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
		return true
	case ast.Var:
		return f[v] || v.Equal(ast.InputRootDocument.Value) || v.Equal(ast.DefaultRootDocument.Value)
	case ast.Ref:
		return f.all(v...)
	case *ast.Array:
		return !v.Until(func(x *ast.Term) bool { return !f.term(x) })
	case ast.Object:
		return !v.Until(func(k, x *ast.Term) bool { return !f.all(k, x) })
	default:
		return false
	}
}

func (f fixed) all(terms ...*ast.Term) bool {
	for _, t := range terms {
		if !f.term(t) {
			return false
		}
	}
	return true
}
