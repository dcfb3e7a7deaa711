package footprint

import "github.com/open-policy-agent/opa/v1/ast"

func (a *analysis) body(r *ast.Rule, b ast.Body) {
	for _, e := range b {
		a.expr(r, e)
	}
}

func (a *analysis) expr(r *ast.Rule, e *ast.Expr) {
	if e.Location != nil {
		a.at = e.Location
	}
	if o := a.reached[r]; o != nil {
		outer := a.order
		a.order = o.order[e]
		defer func() { a.order = outer }()
	}
	for _, w := range e.With {
		a.with(r, w)
	}
	switch terms := e.Terms.(type) {
	case *ast.Term: // a truth test: false fails
		a.escape(r, terms)
	case []*ast.Term:
		a.call(r, e, terms)
	case *ast.SomeDecl:
		for _, t := range terms.Symbols {
			if _, ok := t.Value.(ast.Var); !ok {
				a.escape(r, t)
			}
		}
	case *ast.Every:
		a.escape(r, terms.Domain)
		for _, t := range []*ast.Term{terms.Key, terms.Value} {
			if t != nil {
				a.escape(r, t) // bound by iteration
			}
		}
		a.body(r, terms.Body)
	case *ast.LogicalAnd:
		a.body(r, terms.Lhs)
		a.body(r, terms.Rhs)
	case *ast.LogicalOr:
		a.body(r, terms.Lhs)
		a.body(r, terms.Rhs)
	default:
		a.escapeAny(r, e.Terms)
	}
}

// with reads the replacing value in full, and remembers that data or a function is
// replaced: then no reference into it is a constant and no call is what it seems.
func (a *analysis) with(r *ast.Rule, w *ast.With) {
	a.escape(r, w.Value)
	if rootedInInput(w.Target) {
		return // ordinary reads of the input still count
	}
	target := w.Target.String()
	if !a.mocked[target] {
		a.mocked[target] = true
		a.changed = true
	}
	if ref, ok := w.Target.Value.(ast.Ref); ok {
		for _, t := range ref[1:] {
			if !ast.IsConstant(t.Value) {
				a.escape(r, t)
			}
		}
	}
}

func rootedInInput(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Ref:
		return len(v) > 0 && v[0].Equal(ast.InputRootDocument)
	case ast.Var:
		return v.Equal(ast.InputRootDocument.Value)
	default:
		return false
	}
}

func (a *analysis) call(r *ast.Rule, e *ast.Expr, terms []*ast.Term) {
	op, ok := terms[0].Value.(ast.Ref)
	switch {
	case !ok:
		a.escapeAny(r, terms)
	case e.IsEquality() && len(terms) == 3:
		a.unify(r, e, terms[1], terms[2])
	case op[0].Equal(ast.DefaultRootDocument):
		a.function(r, op, terms[1:])
	default:
		a.builtin(op.String())
		if !a.followed(r, op.String(), terms[1:]) {
			for _, t := range terms[1:] {
				a.escape(r, t)
			}
		}
	}
}

// followed says whether a builtin was one that reads less than all of its operands.
func (a *analysis) followed(r *ast.Rule, builtin string, operands []*ast.Term) bool {
	if a.mocked[builtin] {
		return false
	}
	switch builtin {
	case ast.ObjectGet.Name:
		return a.objectGet(r, operands)
	case ast.TypeNameBuiltin.Name, ast.IsObject.Name, ast.IsArray.Name, ast.IsString.Name, ast.IsNumber.Name,
		ast.IsBoolean.Name, ast.IsNull.Name, ast.IsSet.Name:
		return a.typeTest(r, operands)
	default:
		return false
	}
}

// function follows a call of a function of the policy: operands flow into its
// arguments, its value flows into the output.
func (a *analysis) function(r *ast.Rule, op ast.Ref, operands []*ast.Term) {
	rules := a.compiler.GetRulesExact(op)
	if len(rules) == 0 {
		rules = a.rulesFor(op)
	}
	arity := -1
	for _, f := range rules {
		a.reach(f)
		if n := len(f.Head.Args); n > 0 {
			arity = n
		}
	}
	if arity < 0 || a.mocked[op.String()] || len(operands) < arity {
		for _, t := range operands {
			a.escape(r, t)
		}
		for _, f := range rules {
			a.anyArguments(f)
			a.escapeValue(f)
		}
		return
	}
	for i, t := range operands[:arity] {
		a.argument(r, rules, i, t)
	}
	if len(operands) != arity+1 { // no output: its truth is tested
		for _, f := range rules {
			a.escapeValue(f)
		}
		return
	}
	a.output(r, rules, operands[arity])
}

// argument passes a term to all definitions of a function.
func (a *analysis) argument(r *ast.Rule, rules []*ast.Rule, i int, t *ast.Term) {
	alias, followed := a.alias(r, t)
	if !followed {
		a.escape(r, t)
	}
	for _, f := range rules {
		for ; f != nil; f = f.Else {
			if i < len(f.Head.Args) {
				if v, ok := f.Head.Args[i].Value.(ast.Var); ok {
					a.argue(name{f, v}, r, t)
					if followed {
						a.flow(name{f, v}, alias)
					}
					continue
				}
			}
			if followed {
				a.readAll(alias) // a pattern compares
			}
		}
	}
}

func (a *analysis) output(r *ast.Rule, rules []*ast.Rule, t *ast.Term) {
	v, isVar := t.Value.(ast.Var)
	o := a.reached[r]
	for _, f := range rules {
		for ; f != nil; f = f.Else {
			if isVar && o != nil && o.binding[v] == 1 {
				a.flow(name{r, v}, a.pointsTo(name{f, ""}))
				continue
			}
			a.escapeName(name{f, ""})
			a.escape(r, t)
		}
	}
}

// objectGet follows object.get(x, constant path, default): it reads whether x is an
// object at all, for it fails when x is not one, and whether that path is there. The
// output stands for what is found there, or for the default.
func (a *analysis) objectGet(r *ast.Rule, operands []*ast.Term) bool {
	if len(operands) < 3 {
		return false
	}
	alias, ok := a.alias(r, operands[0])
	if !ok {
		return false
	}
	keys := []*ast.Term{operands[1]}
	if path, ok := operands[1].Value.(*ast.Array); ok {
		if path.Len() == 0 {
			return false
		}
		keys = keys[:0]
		path.Foreach(func(k *ast.Term) { keys = append(keys, k) })
	}
	for _, k := range keys {
		if _, known := a.constantsOf(r, k); !known {
			return false
		}
	}
	a.escape(r, operands[1])
	found := &places{}
	for _, p := range alias.list {
		a.raise(p, Type)
		for _, p := range a.follow(r, p, keys) {
			a.raise(p, Defined)
			found.add(p)
		}
	}
	if otherwise, ok := a.alias(r, operands[2]); ok {
		for _, p := range otherwise.list {
			found.add(p)
		}
	} else {
		a.escape(r, operands[2])
	}
	if len(operands) == 4 {
		if v, ok := operands[3].Value.(ast.Var); ok && a.reached[r] != nil && a.reached[r].binding[v] == 1 {
			a.flow(name{r, v}, found)
			return true
		}
		a.escape(r, operands[3])
	}
	a.readAll(found)
	return true
}

// typeTest follows a builtin that reads the type of its operand alone.
func (a *analysis) typeTest(r *ast.Rule, operands []*ast.Term) bool {
	if len(operands) == 0 {
		return false
	}
	alias, ok := a.alias(r, operands[0])
	if !ok {
		return false
	}
	for _, p := range alias.list {
		a.raise(p, Type)
	}
	for _, t := range operands[1:] {
		a.escape(r, t)
	}
	return true
}

// unify looks at an equality. It is an edge between names only where one side has
// exactly one occurrence that could bind it; otherwise it is a comparison.
func (a *analysis) unify(r *ast.Rule, e *ast.Expr, left, right *ast.Term) {
	l, isLeft := left.Value.(ast.Var)
	rt, isRight := right.Value.(ast.Var)
	switch {
	case isLeft && isRight:
		if o := a.reached[r]; o != nil {
			if to, ok := o.copies[e]; ok {
				from := l
				if to == l {
					from = rt
				}
				a.flow(name{r, to}, a.pointsTo(name{r, from}))
				return
			}
		}
		a.escape(r, left)
		a.escape(r, right)
	case isLeft:
		a.bind(r, l, right)
	case isRight:
		a.bind(r, rt, left)
	default:
		a.escape(r, left)
		a.escape(r, right)
	}
}

// bind gives a variable a name for what a reference reads. A variable that occurs
// elsewhere too is escaped by its rule.
func (a *analysis) bind(r *ast.Rule, v ast.Var, t *ast.Term) {
	if ref, ok := t.Value.(ast.Ref); ok {
		a.flow(name{r, v}, a.resolve(r, ref))
		return
	}
	a.escape(r, t)
	a.escapeName(name{r, v}) // a constant compares, a composite takes apart
}
