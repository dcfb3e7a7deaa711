package footprint

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxLinks bounds how far a constant is looked for from name to name.
const maxLinks = 8

// constants are the scalars that a function's argument can be. The zero value is none
// so far.
type constants struct {
	list    []*ast.Term
	unknown bool // it can be anything
}

// constantsOf answers the scalars that a term can stand for; false if it can stand for
// anything else. As long as the analysis is under way there may be more to come.
func (a *analysis) constantsOf(r *ast.Rule, t *ast.Term) ([]*ast.Term, bool) {
	return a.constantsAt(r, t, maxLinks)
}

func (a *analysis) constantsAt(r *ast.Rule, t *ast.Term, links int) ([]*ast.Term, bool) {
	if links == 0 {
		return nil, false
	}
	switch v := t.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
		return []*ast.Term{t}, true
	case ast.Var:
		o := a.reached[r]
		if o == nil || o.binding[v] != 1 {
			return nil, false
		}
		if known := a.arguments[name{r, v}]; known != nil {
			return known.list, !known.unknown
		}
		if t := o.define(v, a.order); t != nil {
			return a.constantsAt(r, t, links-1)
		}
	case ast.Ref:
		if x := a.constantDocument(r, t, links); x != nil {
			return scalars(x)
		}
		if n := len(v); n > 1 {
			if x := a.constantDocument(r, ast.NewTerm(v[:n-1]), links); x != nil {
				return a.elements(r, x, v[n-1], links)
			}
		}
		return a.constantRule(v)
	}
	return nil, false
}

// constantDocument answers the literal or the base data that a term stands for; nil if
// it stands for anything else.
func (a *analysis) constantDocument(r *ast.Rule, t *ast.Term, links int) ast.Value {
	if links == 0 {
		return nil
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		return v
	case ast.Set:
		if !v.Until(notScalar) {
			return v
		}
	case ast.Object:
		if !v.Until(func(k, _ *ast.Term) bool { return notScalar(k) }) {
			return v
		}
	case ast.Var:
		o := a.reached[r]
		if o == nil {
			return nil
		}
		if t := o.define(v, a.order); t != nil {
			return a.constantDocument(r, t, links-1)
		}
	case ast.Ref:
		if len(v) == 1 {
			return a.constantDocument(r, v[0], links-1)
		}
		if a.constant == nil || len(a.mocked) > 0 || !v[0].Equal(ast.DefaultRootDocument) {
			return nil
		}
		ground := ast.Ref{v[0]}
		for _, k := range v[1:] {
			one, known := a.constantsAt(r, k, links-1)
			if !known || len(one) != 1 {
				return nil
			}
			ground = append(ground, one[0])
		}
		if len(a.rulesFor(ground)) == 0 {
			return a.constant(ground)
		}
	}
	return nil
}

// constantRule answers the scalars that a complete document is defined as.
func (a *analysis) constantRule(ref ast.Ref) ([]*ast.Term, bool) {
	if len(a.mocked) > 0 || !ref[0].Equal(ast.DefaultRootDocument) || !ref.IsGround() {
		return nil, false
	}
	var list []*ast.Term
	for _, r := range a.rulesFor(ref) {
		if len(r.Head.Args) > 0 || r.Head.RuleKind() != ast.SingleValue || !r.Ref().Equal(ref) {
			return nil, false
		}
		for ; r != nil; r = r.Else {
			if r.Head.Value == nil || !ast.IsScalar(r.Head.Value.Value) {
				return nil, false
			}
			list = append(list, r.Head.Value)
		}
	}
	return list, len(list) > 0
}

// elements answers the scalars that a document holds under a key, or, of a key that is
// not known, under any. A document that is there holds nothing but what it holds.
func (a *analysis) elements(r *ast.Rule, of ast.Value, key *ast.Term, links int) ([]*ast.Term, bool) {
	if keys, known := a.constantsAt(r, key, links-1); known {
		var values []ast.Value
		for _, k := range keys {
			if x, err := of.Find(ast.Ref{k}); err == nil {
				values = append(values, x)
			}
		}
		return scalars(values...)
	}
	var values []ast.Value
	add := func(t *ast.Term) { values = append(values, t.Value) }
	switch of := of.(type) {
	case *ast.Array:
		of.Foreach(add)
	case ast.Set:
		of.Foreach(add)
	case ast.Object:
		of.Foreach(func(_, v *ast.Term) { add(v) })
	default:
		return nil, false
	}
	return scalars(values...)
}

func notScalar(t *ast.Term) bool { return !ast.IsScalar(t.Value) }

func scalars(values ...ast.Value) ([]*ast.Term, bool) {
	if len(values) > maxAliases {
		return nil, false
	}
	list := make([]*ast.Term, len(values))
	for i, v := range values {
		if !ast.IsScalar(v) {
			return nil, false
		}
		list[i] = ast.NewTerm(v)
	}
	return list, true
}

// argue adds what is passed as an argument to the constants that it can be.
func (a *analysis) argue(argument name, r *ast.Rule, t *ast.Term) {
	known := a.argumentsOf(argument)
	if known.unknown {
		return
	}
	list, ok := a.constantsOf(r, t)
	if !ok || len(known.list) > maxAliases {
		known.unknown, a.changed = true, true
		return
	}
	for _, k := range list {
		if !slices.ContainsFunc(known.list, k.Equal) {
			known.list, a.changed = append(known.list, k), true
		}
	}
}

func (a *analysis) argumentsOf(argument name) *constants {
	known := a.arguments[argument]
	if known == nil {
		known = &constants{}
		a.arguments[argument] = known
	}
	return known
}

// anyArguments notes that a function may be called with anything.
func (a *analysis) anyArguments(f *ast.Rule) {
	for ; f != nil; f = f.Else {
		for _, t := range f.Head.Args {
			v, ok := t.Value.(ast.Var)
			if !ok {
				continue
			}
			if known := a.argumentsOf(name{f, v}); !known.unknown {
				known.unknown, a.changed = true, true
			}
		}
	}
}
