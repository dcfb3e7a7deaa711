package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
)

// The operators. What is subsumed by another (a negated condition, by one that always
// and one that never holds) is left out: it would cost a run and find nothing.
const (
	opAlways  = "always"         // a condition holds
	opNever   = "never"          // a condition does not hold
	opWithout = "without"        // one side of && or || is left out
	opBound   = "move the bound" // < for <=, and so on
	opDelete  = "delete"         // a statement
	opNothing = "return nothing" // zero values
	opNoError = "return no error"
	opInvert  = "invert" // true for false
	opCount   = "count on from"
	opWord    = "another word for"
	opEmpty   = "leave empty" // a field of a composite literal
)

// instrumenter puts the mutants of one file in, each behind a question for its number.
type instrumenter struct {
	*source
	catalog *catalog
	info    *types.Info
	fset    *token.FileSet
	pkg     *types.Package
	imports map[*types.Package]string // as this file names them
	name    string                    // of the file, in names
	where   string                    // the function at hand
	results []*ast.FuncType           // of the functions around the node
}

// instrument rewrites a file and adds its mutants to the catalog.
func instrument(c *catalog, fset *token.FileSet, pkg *types.Package, info *types.Info, file *ast.File, text []byte, name string) []byte {
	in := &instrumenter{
		source: newSource(text, fset.File(file.Pos())), catalog: c, info: info, fset: fset, pkg: pkg,
		imports: map[*types.Package]string{}, name: name,
	}
	for _, spec := range file.Imports {
		if p := info.PkgNameOf(spec); p != nil {
			in.imports[p.Imported()] = p.Name()
		}
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			in.where = functionName(f)
			in.function(f.Type, f.Body)
		}
	}
	return in.bytes()
}

// mutant adds one and answers its number.
func (in *instrumenter) mutant(n ast.Node, operator, text string) int {
	return in.catalog.add(in.name, in.fset.Position(n.Pos()).Line, in.where, operator, text)
}

func (in *instrumenter) function(t *ast.FuncType, body *ast.BlockStmt) {
	in.results = append(in.results, t)
	in.block(body.List)
	in.results = in.results[:len(in.results)-1]
}

func (in *instrumenter) block(list []ast.Stmt) {
	for _, s := range list {
		in.listed(s)
	}
}

// listed is a statement of a list: it can be left out, or have another before it.
func (in *instrumenter) listed(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.ReturnStmt:
		in.returns(s)
		return
	case *ast.ExprStmt:
		if call, ok := s.X.(*ast.CallExpr); !ok || in.isLog(call) || in.isPanic(call) {
			return
		}
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE || onlyBlanks(s) || in.isMake(s.Rhs[0]) {
			in.statement(s)
			return
		}
	case *ast.IncDecStmt, *ast.GoStmt, *ast.DeferStmt, *ast.SendStmt:
	case *ast.BranchStmt:
		if s.Tok != token.BREAK && s.Tok != token.CONTINUE || s.Label != nil {
			return
		}
	default:
		in.statement(s)
		return
	}
	n := in.mutant(s, opDelete, in.of(s))
	in.before(s.Pos(), fmt.Sprintf("if !mutateIs(%d) { ", n))
	in.statement(s)
	in.after(s.End(), " }")
}

// isMake says whether an expression is of make: room for what follows.
func (in *instrumenter) isMake(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	id, ok := call.Fun.(*ast.Ident)
	return ok && in.info.Uses[id] == types.Universe.Lookup("make")
}

func onlyBlanks(s *ast.AssignStmt) bool {
	for _, e := range s.Lhs {
		if id, ok := e.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// statement looks into a statement.
func (in *instrumenter) statement(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.BlockStmt:
		in.block(s.List)
	case *ast.IfStmt:
		in.simple(s.Init)
		in.condition(s.Cond, true)
		in.block(s.Body.List)
		if s.Else != nil {
			in.statement(s.Else)
		}
	case *ast.ForStmt:
		in.simple(s.Init)
		if s.Cond != nil {
			in.condition(s.Cond, false) // one that always holds does not end
		}
		in.simple(s.Post)
		in.block(s.Body.List)
	case *ast.RangeStmt:
		in.expr(s.X)
		in.block(s.Body.List)
	case *ast.SwitchStmt:
		in.simple(s.Init)
		if s.Tag != nil {
			in.expr(s.Tag)
		}
		for _, c := range s.Body.List {
			in.clause(c, s.Tag == nil)
		}
	case *ast.TypeSwitchStmt:
		in.simple(s.Init)
		for _, c := range s.Body.List {
			if c, ok := c.(*ast.CaseClause); ok {
				in.block(c.Body)
			}
		}
	case *ast.SelectStmt:
		for _, c := range s.Body.List {
			if c, ok := c.(*ast.CommClause); ok {
				in.block(c.Body)
			}
		}
	case *ast.LabeledStmt:
		in.statement(s.Stmt)
	case *ast.DeclStmt:
		in.declaration(s)
	default:
		in.simple(s)
	}
}

func (in *instrumenter) clause(s ast.Stmt, conditions bool) {
	c, ok := s.(*ast.CaseClause)
	if !ok {
		return
	}
	for _, e := range c.List {
		if conditions {
			in.condition(e, true)
		} else {
			in.expr(e)
		}
	}
	in.block(c.Body)
}

func (in *instrumenter) declaration(s *ast.DeclStmt) {
	d, ok := s.Decl.(*ast.GenDecl)
	if !ok || d.Tok != token.VAR {
		return
	}
	for _, spec := range d.Specs {
		if v, ok := spec.(*ast.ValueSpec); ok {
			in.exprs(v.Values)
		}
	}
}

func (in *instrumenter) simple(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.ExprStmt:
		in.expr(s.X)
	case *ast.AssignStmt:
		for _, e := range s.Lhs {
			if s.Tok != token.DEFINE {
				in.expr(e)
			}
		}
		for _, e := range s.Rhs {
			in.value(e)
		}
	case *ast.IncDecStmt:
		in.expr(s.X)
	case *ast.GoStmt:
		in.expr(s.Call)
	case *ast.DeferStmt:
		in.expr(s.Call)
	case *ast.SendStmt:
		in.expr(s.Chan)
		in.expr(s.Value)
	}
}

// returns puts other returns before one.
func (in *instrumenter) returns(s *ast.ReturnStmt) {
	defer func() {
		for i, e := range s.Results {
			if in.info.Types[e].Value != nil && i < len(s.Results)-1 && in.isFailure(s.Results[len(s.Results)-1]) {
				continue // nobody reads what is beside an error
			}
			in.value(e)
		}
	}()
	results := in.results[len(in.results)-1].Results
	if results == nil {
		return // what follows is mostly nothing
	}
	zeros, last := in.zeros(results)
	allZero := len(s.Results) > 0
	for _, e := range s.Results {
		allZero = allZero && in.isZero(e)
	}
	if allZero {
		return
	}
	one := len(s.Results) == 1 && len(zeros) == 1
	if !one || !in.isBool(s.Results[0]) {
		n := in.mutant(s, opNothing, in.of(s))
		in.before(s.Pos(), fmt.Sprintf("if mutateIs(%d) { return %s }; ", n, strings.Join(zeros, ", ")))
	}
	if len(s.Results) < 2 || !isError(last) || in.isZero(s.Results[len(s.Results)-1]) {
		return
	}
	rest := s.Results[:len(s.Results)-1]
	for _, e := range rest {
		if !in.isZero(e) {
			n := in.mutant(s, opNoError, in.of(s))
			kept := in.between(rest[0].Pos(), rest[len(rest)-1].End())
			in.before(s.Pos(), fmt.Sprintf("if mutateIs(%d) { return %s, nil }; ", n, kept))
			return
		}
	}
}

// isFailure says whether an expression is false, or an error that is not nil.
func (in *instrumenter) isFailure(e ast.Expr) bool {
	tv := in.info.Types[e]
	if tv.Value != nil {
		return tv.Value.Kind() == constant.Bool && !constant.BoolVal(tv.Value)
	}
	return isError(tv.Type) && !tv.IsNil()
}

// zeros are the zero values of results, and the type of the last.
func (in *instrumenter) zeros(results *ast.FieldList) (texts []string, last types.Type) {
	for _, field := range results.List {
		last = in.info.TypeOf(field.Type)
		text := "nil"
		switch u := last.Underlying().(type) {
		case *types.Basic:
			switch {
			case u.Info()&types.IsBoolean != 0:
				text = "false"
			case u.Info()&types.IsString != 0:
				text = `""`
			default:
				text = "0"
			}
		case *types.Struct, *types.Array:
			text = "*new(" + in.of(field.Type) + ")"
		}
		if _, ok := last.(*types.TypeParam); ok {
			text = "*new(" + in.of(field.Type) + ")"
		}
		for range max(1, len(field.Names)) {
			texts = append(texts, text)
		}
	}
	return texts, last
}

func isError(t types.Type) bool {
	return t != nil && types.Identical(t, types.Universe.Lookup("error").Type())
}

// isZero says whether an expression is written as a zero value.
func (in *instrumenter) isZero(e ast.Expr) bool {
	tv := in.info.Types[e]
	switch {
	case tv.IsNil():
		return true
	case tv.Value != nil:
		switch tv.Value.Kind() {
		case constant.Bool:
			return !constant.BoolVal(tv.Value)
		case constant.String:
			return constant.StringVal(tv.Value) == ""
		default:
			return constant.Sign(tv.Value) == 0
		}
	}
	lit, ok := e.(*ast.CompositeLit)
	if !ok || len(lit.Elts) > 0 {
		return false
	}
	_, isStruct := in.info.TypeOf(e).Underlying().(*types.Struct)
	return isStruct
}

func (in *instrumenter) isBool(e ast.Expr) bool {
	t := in.info.TypeOf(e)
	return t != nil && (types.Identical(t, types.Typ[types.Bool]) || types.Identical(t, types.Typ[types.UntypedBool]))
}

// condition has one hold always, and never. always: the first is of use.
func (in *instrumenter) condition(e ast.Expr, always bool) {
	if in.info.Types[e].Value != nil || !in.isBool(e) {
		in.expr(e)
		return
	}
	binary, ok := ast.Unparen(e).(*ast.BinaryExpr)
	and := ok && binary.Op == token.LAND
	or := ok && binary.Op == token.LOR
	if !and && always { // else one side left out is noticed by less
		in.forced(e, true, opAlways)
	}
	if !or {
		in.forced(e, false, opNever)
	}
	if and || or {
		in.sides(binary)
	} else {
		in.expr(e)
	}
	if !or {
		in.after(e.End(), "))")
	}
	if !and && always {
		in.after(e.End(), "))")
	}
}

// forced opens what makes a boolean constant; two parentheses close it.
func (in *instrumenter) forced(e ast.Expr, to bool, operator string) {
	n := in.mutant(e, operator, in.of(e))
	if to {
		in.before(e.Pos(), fmt.Sprintf("(mutateIs(%d) || (", n))
	} else {
		in.before(e.Pos(), fmt.Sprintf("(!mutateIs(%d) && (", n))
	}
}

// sides leaves out each side of && and ||.
func (in *instrumenter) sides(e *ast.BinaryExpr) {
	for _, side := range []ast.Expr{e.X, e.Y} {
		if inner, ok := ast.Unparen(side).(*ast.BinaryExpr); ok && inner.Op == e.Op {
			in.sides(inner)
			continue
		}
		n := in.mutant(side, opWithout, in.of(side)+"` of `"+in.of(e))
		if e.Op == token.LAND {
			in.before(side.Pos(), fmt.Sprintf("(mutateIs(%d) || (", n))
		} else {
			in.before(side.Pos(), fmt.Sprintf("(!mutateIs(%d) && (", n))
		}
		if inner, ok := ast.Unparen(side).(*ast.BinaryExpr); ok && (inner.Op == token.LAND || inner.Op == token.LOR) {
			in.sides(inner)
		} else {
			in.expr(side)
		}
		in.after(side.End(), "))")
	}
}

// value is an expression whose value is kept or returned.
func (in *instrumenter) value(e ast.Expr) {
	if in.isBool(e) {
		in.condition(e, true)
		return
	}
	in.expr(e)
}

func (in *instrumenter) exprs(list []ast.Expr) {
	for _, e := range list {
		in.expr(e)
	}
}

// expr looks into an expression.
func (in *instrumenter) expr(e ast.Expr) {
	if e == nil {
		return
	}
	tv := in.info.Types[e]
	if tv.IsType() {
		return
	}
	if tv.Value != nil {
		in.constant(e, tv)
		return
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		in.expr(e.X)
	case *ast.UnaryExpr:
		in.expr(e.X)
	case *ast.StarExpr:
		in.expr(e.X)
	case *ast.SelectorExpr:
		in.expr(e.X)
	case *ast.IndexExpr:
		in.expr(e.X)
		in.expr(e.Index)
	case *ast.SliceExpr:
		in.exprs([]ast.Expr{e.X, e.Low, e.High, e.Max})
	case *ast.TypeAssertExpr:
		in.expr(e.X)
	case *ast.BinaryExpr:
		in.binary(e)
	case *ast.CallExpr:
		in.call(e)
	case *ast.FuncLit:
		in.function(e.Type, e.Body)
	case *ast.CompositeLit:
		in.composite(e)
	}
}

func (in *instrumenter) binary(e *ast.BinaryExpr) {
	switch e.Op {
	case token.LAND, token.LOR:
		in.sides(e)
		return
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
	default:
		in.exprs([]ast.Expr{e.X, e.Y})
		return
	}
	name := map[token.Token]string{token.LSS: "Less", token.LEQ: "LessEqual", token.GTR: "Greater", token.GEQ: "GreaterEqual"}[e.Op]
	n := in.mutant(e, opBound, in.of(e))
	in.before(e.Pos(), fmt.Sprintf("mutate%s(%d, ", name, n))
	in.comma(e.OpPos, e.Op.String())
	for _, side := range []ast.Expr{e.X, e.Y} {
		if in.info.Types[side].Value == nil { // a constant is moved with the bound
			in.expr(side)
		}
	}
	in.after(e.End(), ")")
}

// call looks into what is called with what. What goes to a log, into the text of an
// error or into the size of a buffer is not a decision.
func (in *instrumenter) call(e *ast.CallExpr) {
	if in.isLog(e) || in.isMessage(e) || in.isPanic(e) {
		return
	}
	if id, ok := e.Fun.(*ast.Ident); ok {
		if b, ok := in.info.Uses[id].(*types.Builtin); ok && (b.Name() == "make" || b.Name() == "new") {
			return
		}
	}
	if in.info.Types[e.Fun].IsType() {
		in.exprs(e.Args)
		return
	}
	in.expr(e.Fun)
	in.exprs(e.Args)
}

func (in *instrumenter) callee(e *ast.CallExpr) *types.Func {
	var id *ast.Ident
	switch f := ast.Unparen(e.Fun).(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return nil
	}
	f, _ := in.info.Uses[id].(*types.Func)
	return f
}

func (in *instrumenter) isLog(e *ast.CallExpr) bool {
	f := in.callee(e)
	return f != nil && f.Pkg() != nil && strings.HasPrefix(f.Pkg().Path(), "go.uber.org/zap")
}

func (in *instrumenter) isMessage(e *ast.CallExpr) bool {
	f := in.callee(e)
	if f == nil || f.Pkg() == nil {
		return false
	}
	switch f.Pkg().Path() {
	case "fmt", "errors":
		return true
	case "github.com/prometheus/client_golang/prometheus":
		return true
	}
	return f.Name() == "Grow"
}

func (in *instrumenter) isPanic(e *ast.CallExpr) bool {
	id, ok := e.Fun.(*ast.Ident)
	if !ok {
		return false
	}
	b, ok := in.info.Uses[id].(*types.Builtin)
	return ok && b.Name() == "panic"
}

func (in *instrumenter) composite(e *ast.CompositeLit) {
	t := in.info.TypeOf(e)
	if n, ok := types.Unalias(t).(*types.Named); ok && n.Obj().Pkg() != nil && strings.Contains(n.Obj().Pkg().Path(), "prometheus") {
		return
	}
	_, isStruct := t.Underlying().(*types.Struct)
	_, isMap := t.Underlying().(*types.Map)
	for _, element := range e.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			in.expr(element)
			continue
		}
		if isMap {
			in.expr(pair.Key)
		}
		value := pair.Value
		tv := in.info.Types[value]
		if _, literal := value.(*ast.CompositeLit); !isStruct || tv.Value != nil || tv.IsNil() || literal || in.isFuncLit(value) {
			in.expr(value)
			continue
		}
		if in.isBool(value) {
			in.condition(value, true)
			continue
		}
		n := in.mutant(value, opEmpty, in.of(pair))
		in.before(value.Pos(), fmt.Sprintf("mutateEmpty(%d, ", n))
		in.expr(value)
		in.after(value.End(), ")")
	}
}

func (in *instrumenter) isFuncLit(e ast.Expr) bool {
	_, ok := e.(*ast.FuncLit)
	return ok
}

// constant changes one, where its type can be written.
func (in *instrumenter) constant(e ast.Expr, tv types.TypeAndValue) {
	t := tv.Type
	basic, ok := t.Underlying().(*types.Basic)
	if !ok || isNamed(t, "time", "Duration") {
		return
	}
	text, ok := in.typeName(t)
	if !ok {
		return
	}
	operator, function := "", ""
	switch {
	case basic.Info()&types.IsBoolean != 0:
		operator, function = opInvert, "mutateInvert"
	case basic.Info()&types.IsInteger != 0:
		operator, function = opCount, "mutateCount"
	case basic.Info()&types.IsString != 0:
		operator, function = opWord, "mutateWord"
	default:
		return
	}
	n := in.mutant(e, operator, in.of(e))
	in.before(e.Pos(), fmt.Sprintf("%s[%s](%d, ", function, text, n))
	in.after(e.End(), ")")
}

func isNamed(t types.Type, pkg, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Name() == name && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == pkg
}

// typeName writes a type as this file would; false when it cannot name it.
func (in *instrumenter) typeName(t types.Type) (string, bool) {
	if b, ok := t.(*types.Basic); ok && b.Info()&types.IsUntyped != 0 {
		t = types.Default(t)
	}
	known := true
	text := types.TypeString(t, func(p *types.Package) string {
		if p == in.pkg {
			return ""
		}
		name, ok := in.imports[p]
		known = known && ok
		return name
	})
	return text, known
}
