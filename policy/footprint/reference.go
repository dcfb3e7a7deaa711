package footprint

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// alias answers the places that a term stands for, if it can be followed.
func (a *analysis) alias(r *ast.Rule, t *ast.Term) (*places, bool) {
	switch v := t.Value.(type) {
	case ast.Var:
		return a.pointsTo(name{r, v}), true
	case ast.Ref:
		return a.resolve(r, v), true
	default:
		return nil, false
	}
}

// resolve answers the places that a reference stands for. That they are there has
// then been observed. (What a name stands for was observed when it got its name.)
func (a *analysis) resolve(r *ast.Rule, ref ast.Ref) *places {
	var base places
	rest := ref[1:]
	switch {
	case ref[0].Equal(ast.InputRootDocument):
		base.add(a.root)
	case ref[0].Equal(ast.DefaultRootDocument):
		rest = ref[a.document(r, ref, &base):]
	default:
		v, ok := ref[0].Value.(ast.Var)
		if !ok {
			a.escape(r, ref[0])
			break
		}
		if _, ok := a.builtins[ref.String()]; ok {
			a.builtin(ref.String())
			return &places{}
		}
		base.list = a.pointsTo(name{r, v}).list
	}
	for _, t := range rest {
		a.escape(r, t)
	}
	found := &places{}
	for _, p := range base.list {
		for _, p := range a.follow(r, p, rest) {
			a.raise(p, Defined)
			found.add(p)
		}
	}
	return found
}

// follow walks keys down from a place: all the places that they can lead to. At a key
// that is not known what was reached is read in full, and the answer is none.
func (a *analysis) follow(r *ast.Rule, p *place, keys []*ast.Term) []*place {
	reached := []*place{p}
	for _, t := range keys {
		constants, known := a.constantsOf(r, t)
		if !known || len(reached)*len(constants) > maxAliases {
			for _, p := range reached {
				a.raise(p, Full)
			}
			return nil
		}
		var below []*place
		for _, p := range reached {
			for _, k := range constants {
				below = append(below, a.child(p, k))
			}
		}
		reached = below
	}
	return reached
}

// refKey is a reference by where it stands in memory: every expression is looked at
// more than once.
type refKey struct {
	first **ast.Term
	n     int
}

// rulesFor answers the rules that a reference may reach, in the order of the source.
func (a *analysis) rulesFor(ref ast.Ref) []*ast.Rule {
	key := refKey{&ref[0], len(ref)}
	rules, ok := a.found[key]
	if !ok {
		rules = a.compiler.GetRulesDynamicWithOpts(ref, ast.RulesOptions{IncludeHiddenModules: true})
		slices.SortFunc(rules, func(x, y *ast.Rule) int { return comparePositions(x.Location, y.Location) })
		a.found[key] = rules
	}
	return rules
}

// document handles a reference into data: it reaches the rules behind it, and
// answers how much of the reference was spent on them. The value of a complete
// document with a ground path is followed, into base; any other is read.
func (a *analysis) document(r *ast.Rule, ref ast.Ref, base *places) int {
	rules := a.rulesFor(ref)
	spent, complete := completeDocument(rules, ref)
	for _, rule := range rules {
		a.reach(rule)
		a.anyArguments(rule)
		if !complete {
			a.escapeValue(rule)
			continue
		}
		for ; rule != nil; rule = rule.Else {
			for _, p := range a.pointsTo(name{rule, ""}).list {
				base.add(p)
			}
		}
	}
	if complete {
		return spent
	}
	for _, t := range ref[1:] {
		if !ast.IsConstant(t.Value) {
			a.escape(r, t)
		}
	}
	return len(ref)
}

// completeDocument says whether all rules define one complete document at one ground
// prefix of ref, and how long that prefix is.
func completeDocument(rules []*ast.Rule, ref ast.Ref) (length int, ok bool) {
	length = -1
	for _, rule := range rules {
		path := rule.Ref()
		switch {
		case rule.Head.RuleKind() != ast.SingleValue, !path.IsGround(), len(rule.Head.Args) > 0, !ref.HasPrefix(path),
			length >= 0 && length != len(path):
			return 0, false
		}
		length = len(path)
	}
	return length, length >= 0
}

func (a *analysis) escapeRef(r *ast.Rule, ref ast.Ref) {
	a.readAll(a.resolve(r, ref))
}

// escape reads in full all that a term stands for.
func (a *analysis) escape(r *ast.Rule, t *ast.Term) {
	switch v := t.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
	case ast.Var:
		if v.Equal(ast.InputRootDocument.Value) {
			a.raise(a.root, Full)
		}
		a.escapeName(name{r, v})
	case ast.Ref:
		a.escapeRef(r, v)
	case *ast.Array:
		v.Foreach(func(x *ast.Term) { a.escape(r, x) })
	case ast.Object:
		v.Foreach(func(k, x *ast.Term) { a.escape(r, k); a.escape(r, x) })
	case ast.Set:
		v.Foreach(func(x *ast.Term) { a.escape(r, x) })
	case *ast.ArrayComprehension:
		a.escape(r, v.Term)
		a.body(r, v.Body)
	case *ast.SetComprehension:
		a.escape(r, v.Term)
		a.body(r, v.Body)
	case *ast.ObjectComprehension:
		a.escape(r, v.Key)
		a.escape(r, v.Value)
		a.body(r, v.Body)
	case *ast.Not:
		a.body(r, v.Body)
	default:
		a.escapeAny(r, t.Value)
	}
}

// escapeAny takes all that an unknown piece of syntax holds.
func (a *analysis) escapeAny(r *ast.Rule, x any) {
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			a.escapeRef(r, x)
			if b := a.builtins[x.String()]; b != nil {
				a.builtin(b.Name)
			}
			for _, rule := range a.rulesFor(x) {
				a.reach(rule)
				a.anyArguments(rule)
				for _, t := range rule.Head.Args {
					a.escape(rule, t)
				}
			}
		case ast.Var:
			a.escapeName(name{r, x})
			if x.Equal(ast.InputRootDocument.Value) {
				a.raise(a.root, Full)
			}
		case ast.Call:
			for _, t := range x {
				a.escape(r, t)
			}
		case ast.Body:
			a.body(r, x)
			return true
		case *ast.Expr:
			a.expr(r, x)
			return true
		}
		return false
	}).Walk(x)
}
