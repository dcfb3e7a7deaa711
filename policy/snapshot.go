package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	"github.com/rolegate/rolegate/policy/footprint"
	"github.com/rolegate/rolegate/policy/route"
)

// DefaultEntrypoint is the role library's answer to a request.
const DefaultEntrypoint = "rolegate/decision"

// maxCompileErrors is how many faults of Rego are told at once: enough for one
// editing round, few enough to be read.
const maxCompileErrors = 20

// Source is what a snapshot is built from: the modules and the data of every
// bundle, the embedded role library among them.
type Source struct {
	Modules    map[string]*ast.Module // by file name as an author knows it
	Data       map[string]any         // decoded JSON, numbers as json.Number; not changed afterwards
	Entrypoint string                 // with slashes; "" means DefaultEntrypoint
	Revisions  map[string]string      // bundle → revision
	// Lenient is for policies written for OPA: builtin errors are undefined, `allowed` is
	// the whole verdict of a result, and a segment of Entrypoint that is an integer is an
	// index. false: a builtin error is a denial.
	Lenient bool
	// Builtins are allowed though they reach beyond input and data (http.send).
	Builtins []string
}

// Snapshot is compiled Rego with its data, routes and aliases. It never changes.
type Snapshot struct {
	compiler   *ast.Compiler
	store      storage.Store
	data       map[string]any
	routes     *route.Table
	aliases    map[string]string
	revisions  map[string]string
	entrypoint string
	lenient    bool
	values     cache.InterQueryValueCache // compiled regular expressions and globs

	mu      sync.Mutex
	queries map[string]*query // by entry point; derived, made at first use
}

// query is one entry point, ready to be evaluated.
type query struct {
	entrypoint string
	prepared   rego.PreparedEvalQuery
	analysis   func() analysis // made at first use: tools that only evaluate do without
	// distrusted is set when an audit found the footprint wanting: from then on the
	// entry point sees whole inputs and nothing is remembered.
	distrusted atomic.Bool
}

// analysis is what an entry point can read, and what follows from that.
type analysis struct {
	footprint *footprint.Footprint
	plan      *footprint.Plan
	reuse     Reuse
}

// ErrEntrypoint means that no rule or data stands at an entry point.
var errEntrypoint = errors.New("no such entry point")

// ErrUndefined means that an entry point has no value for an input.
var ErrUndefined = errors.New("the entry point is undefined for this input")

// Compile builds a snapshot. The error is [Problems] where a bundle is at fault.
func Compile(ctx context.Context, src Source) (*Snapshot, error) {
	s := &Snapshot{
		revisions:  src.Revisions,
		entrypoint: cmp.Or(src.Entrypoint, DefaultEntrypoint),
		lenient:    src.Lenient,
		values:     cache.NewInterQueryValueCache(ctx, nil),
	}
	if err := s.compile(src.Modules, src.Builtins); err != nil {
		return nil, err
	}
	if err := s.hold(ctx, src.Data); err != nil {
		return nil, err
	}
	return s, nil
}

// WithData is a snapshot of the same Rego over other data: the compiler is shared,
// everything that data decides is made anew. The error is [Problems] where the data is
// at fault.
func (s *Snapshot) WithData(ctx context.Context, data map[string]any) (*Snapshot, error) {
	next := &Snapshot{
		compiler: s.compiler, revisions: s.revisions, entrypoint: s.entrypoint, lenient: s.lenient, values: s.values,
	}
	if err := next.hold(ctx, data); err != nil {
		return nil, err
	}
	return next, nil
}

func (s *Snapshot) compile(modules map[string]*ast.Module, allowed []string) error {
	s.compiler = ast.NewCompiler().WithCapabilities(capabilities(allowed)).SetErrorLimit(maxCompileErrors)
	s.compiler.Compile(modules)
	if s.compiler.Failed() {
		return CompileProblems(s.compiler.Errors)
	}
	return nil
}

// hold takes data in: the store, the routes, the aliases and the entry point.
func (s *Snapshot) hold(ctx context.Context, data map[string]any) error {
	s.data, s.queries = data, map[string]*query{}
	s.store = inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	if err := s.conflicts(ctx); err != nil {
		return err
	}
	if err := s.readRoutes(); err != nil {
		return err
	}
	s.aliases = aliasesOf(data)
	if _, err := s.query(ctx, s.entrypoint); err != nil {
		return Problems{{Code: "bad_entrypoint", Subject: s.entrypoint, Message: err.Error()}}
	}
	return nil
}

// conflicts refuses data where a rule stands: one would hide the other.
func (s *Snapshot) conflicts(ctx context.Context) error {
	txn, err := s.store.NewTransaction(ctx)
	if err != nil {
		return fmt.Errorf("open the data: %w", err)
	}
	defer s.store.Abort(ctx, txn)
	if errs := ast.CheckPathConflicts(s.compiler, storage.NonEmpty(ctx, s.store, txn)); len(errs) > 0 {
		return CompileProblems(errs)
	}
	return nil
}

// capabilities are OPA's without what a decision must not do: reach the network,
// look at the process, throw dice, make tokens, or do in one call that nothing stops what
// takes memory or time without end: shift, fill in a template with loops, list each path
// through a graph (eight nodes that know each other take 14 seconds). But for what is
// allowed by name.
func capabilities(allowed []string) *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool { return refused(b.Name) && !slices.Contains(allowed, b.Name) })
	if !slices.Contains(allowed, ast.HTTPSend.Name) && !slices.Contains(allowed, ast.NetLookupIPAddr.Name) {
		c.AllowNet = []string{} // empty is none; nil is every host
	}
	return c
}

func refused(builtin string) bool {
	switch builtin {
	case ast.HTTPSend.Name, ast.NetLookupIPAddr.Name, ast.OPARuntime.Name, ast.RandIntn.Name,
		ast.UUIDRFC4122.Name, ast.BitsShiftLeft.Name, ast.RenderTemplate.Name, ast.ReachablePathsBuiltin.Name:
		return true
	default:
		return strings.HasPrefix(builtin, "io.jwt.encode")
	}
}

// CompileProblems are what the compiler says, by place, with what would help.
func CompileProblems(errs ast.Errors) Problems {
	problems := make(Problems, 0, len(errs))
	for _, e := range errs {
		p := Problem{Code: e.Code, Message: e.Message}
		if e.Location != nil {
			p.File, p.Line, p.Column = e.Location.File, e.Location.Row, e.Location.Col
		}
		if name, ok := strings.CutPrefix(e.Message, "undefined function "); ok && refused(name) {
			p.Hint = name + " is not available to policies: a decision reaches nothing outside its data, and ends (loader.builtins: [" + name + "] allows it)"
		}
		problems = append(problems, p)
	}
	problems.Sort()
	return problems
}

func (s *Snapshot) readRoutes() error {
	doc, ok := s.data["routes"].(map[string]any)
	if !ok && s.data["routes"] != nil {
		return Problems{{Code: "bad_shape", Path: []string{"routes"}, Message: "want an object of route sets"}}
	}
	table, faults := route.Parse(doc)
	if len(faults) > 0 {
		problems := make(Problems, len(faults))
		for i, f := range faults {
			problems[i] = Problem{
				Code: f.Code, Subject: f.Subject, Path: append([]string{"routes"}, f.Path...),
				Message: f.Message, Hint: f.Hint,
			}
		}
		return problems
	}
	s.routes = table
	return nil
}

// aliasesOf reads data.rbac.aliases; what is not a string is no alias.
func aliasesOf(data map[string]any) map[string]string {
	rbac, _ := data["rbac"].(map[string]any)
	raw, _ := rbac["aliases"].(map[string]any)
	aliases := make(map[string]string, len(raw))
	for from, to := range raw {
		if to, ok := to.(string); ok {
			aliases[from] = to
		}
	}
	return aliases
}

// Routes is the snapshot's route table, never nil.
func (s *Snapshot) Routes() *route.Table { return s.routes }

// Revisions is the revision of each bundle; not to be changed.
func (s *Snapshot) Revisions() map[string]string { return s.revisions }

// Entrypoint is what a request is asked, with slashes.
func (s *Snapshot) Entrypoint() string { return s.entrypoint }

// Data is the decoded data of all bundles; not to be changed.
func (s *Snapshot) Data() map[string]any { return s.data }

// Store holds the data, for tools that evaluate by themselves; not to be written to.
func (s *Snapshot) Store() storage.Store { return s.store }

// Compiler is the compiled Rego, for tools that look into it; not to be changed.
func (s *Snapshot) Compiler() *ast.Compiler { return s.compiler }

// query prepares an entry point once.
func (s *Snapshot) query(ctx context.Context, entrypoint string) (*query, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queries[entrypoint]; q != nil {
		return q, nil
	}
	ref := entrypointRef(entrypoint, s.lenient)
	if len(s.compiler.GetRules(ref)) == 0 && !s.hasData(ctx, ref) {
		return nil, fmt.Errorf("%w: %s", errEntrypoint, entrypoint)
	}
	prepared, err := rego.New(
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(ref)))),
		rego.Compiler(s.compiler),
		rego.Store(s.store),
		rego.StrictBuiltinErrors(!s.lenient),
		rego.InterQueryBuiltinValueCache(s.values),
		// The result stays what the evaluator made: nothing is converted and copied.
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
	).PrepareForEval(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", entrypoint, err)
	}
	q := &query{entrypoint: entrypoint, prepared: prepared, analysis: sync.OnceValue(func() analysis {
		reads := footprint.Analyze(s.compiler, ref, s.constant)
		plan := reads.Plan()
		return analysis{reads, plan, reuseOf(s.compiler, reads)}
	})}
	s.queries[entrypoint] = q
	return q, nil
}

func (s *Snapshot) hasData(ctx context.Context, ref ast.Ref) bool {
	path, err := storage.NewPathForRef(ref)
	if err != nil {
		return false
	}
	_, err = storage.ReadOne(ctx, s.store, path)
	return err == nil
}

// constant is the scalar at a ground reference into base data; nil when there is none.
func (s *Snapshot) constant(ref ast.Ref) ast.Value {
	var at any = s.data
	for _, t := range ref[1:] {
		key, ok := t.Value.(ast.String)
		object, isObject := at.(map[string]any)
		if !ok || !isObject {
			return nil
		}
		if at, ok = object[string(key)]; !ok {
			return nil
		}
	}
	switch at.(type) {
	case string, bool, json.Number:
		v, err := ast.InterfaceToValue(at)
		if err != nil {
			return nil
		}
		return v
	default:
		return nil
	}
}

// Footprint is what an entry point can read of its input, and whether its answers
// may be remembered.
func (s *Snapshot) Footprint(ctx context.Context, entrypoint string) (*footprint.Footprint, Reuse, error) {
	q, err := s.query(ctx, entrypoint)
	if err != nil {
		return nil, Reuse{}, err
	}
	a := q.analysis()
	return a.footprint, a.reuse, nil
}

// Documents is what each document that an entry point reaches reads by itself, for
// tools: it takes as long as many footprints.
func (s *Snapshot) Documents(ctx context.Context, entrypoint string) ([]footprint.Document, error) {
	if _, err := s.query(ctx, entrypoint); err != nil {
		return nil, err
	}
	return footprint.Documents(s.compiler, entrypointRef(entrypoint, s.lenient), s.constant), nil
}

// entrypointRef is data.a.b for "a/b". Dots stay inside a segment. indexes: a segment
// that is an integer is an index.
func entrypointRef(entrypoint string, indexes bool) ast.Ref {
	ref := ast.Ref{ast.DefaultRootDocument}
	for segment := range strings.SplitSeq(entrypoint, "/") {
		if segment == "" {
			continue
		}
		if i, err := strconv.Atoi(segment); err == nil && indexes {
			ref = append(ref, ast.IntNumberTerm(i))
			continue
		}
		ref = append(ref, ast.StringTerm(segment))
	}
	return ref
}

// eval evaluates one entry point on one input and one reading of the clock.
// in is nil for no input document.
func (s *Snapshot) eval(ctx context.Context, q *query, in ast.Value, now time.Time) (v ast.Value, err error) {
	defer func() {
		// A panic inside an evaluation is a fault of one question, never of the process.
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("evaluation panicked: %v", p)
		}
	}()
	results, err := q.prepared.Eval(ctx, rego.EvalParsedInput(in), rego.EvalTime(now))
	if err != nil {
		return nil, err
	}
	if len(results) == 0 || len(results[0].Expressions) == 0 {
		return nil, ErrUndefined
	}
	v, ok := results[0].Expressions[0].Value.(ast.Value)
	if !ok {
		return nil, fmt.Errorf("result is a %T, want an ast.Value", results[0].Expressions[0].Value)
	}
	return v, nil
}

// Validate runs the library's checks of roles, tenants, rules and the other
// documents; members are checked by who reads them. The error means that the checks
// could not be run.
func (s *Snapshot) Validate(ctx context.Context) (Problems, error) {
	return s.problems(ctx, "rolegate/admin/validation", nil)
}

// ValidateChange runs the library's checks of what may not change. old is data.rbac
// as it was before.
func (s *Snapshot) ValidateChange(ctx context.Context, old map[string]any) (Problems, error) {
	doc, err := ast.InterfaceToValue(map[string]any{"old": old})
	if err != nil {
		return nil, fmt.Errorf("read the data of before: %w", err)
	}
	return s.problems(ctx, "rolegate/admin/change_validation", doc)
}

// problems reads what a check of the library found.
func (s *Snapshot) problems(ctx context.Context, entrypoint string, in ast.Value) (Problems, error) {
	q, err := s.query(ctx, entrypoint)
	if errors.Is(err, errEntrypoint) {
		return nil, nil // a policy set without the library has no roles to check
	}
	if err != nil {
		return nil, err
	}
	v, err := s.eval(ctx, q, in, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("check the roles: %w", err)
	}
	var found []struct {
		Code, Subject, Message string
		Path                   []any
	}
	if err := decode(v, &found); err != nil {
		return nil, fmt.Errorf("check the roles: %w", err)
	}
	problems := make(Problems, len(found))
	for i, f := range found {
		path := []string{"rbac"}
		for _, segment := range f.Path {
			path = append(path, fmt.Sprint(segment))
		}
		problems[i] = Problem{Code: f.Code, Subject: f.Subject, Path: path, Message: f.Message, Warning: Warns(f.Code)}
	}
	problems.Sort()
	return problems, nil
}

// Warns says whether a validation code only warns: what it names has no effect, or
// an effect that the sentences of the model state.
func Warns(code string) bool {
	switch code {
	case "never_in_custom", "shadowed_key", "predefined_unmanaged", "permission_not_in_catalog", "target_outside_owner":
		return true
	default:
		return strings.HasPrefix(code, "grant_") || strings.HasPrefix(code, "rule_")
	}
}

// decode turns a policy's value into a Go value by way of JSON, for tools.
func decode(v ast.Value, into any) error {
	doc, err := ast.JSON(v)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
