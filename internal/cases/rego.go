package cases

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
)

var (
	// errFailed stands for a test whose body is not true.
	errFailed = errors.New("the test is not true")
	// errPruned stands for an answer that the footprint is to blame for.
	errPruned = errors.New("the answer is another one on what the footprint holds of the input: the analysis of this policy is wrong, please report it")
)

// RegoTests are Rego tests with all that they can see. Nothing of it is changed.
type RegoTests struct {
	Modules map[string]*ast.Module // of the bundles and of the role library
	Tests   map[string]*ast.Module // the *_test.rego among the bundles' files
	Store   storage.Store          // of the data
	Match   string                 // a regular expression of names, data.pkg.test_x; "" matches all
	Lenient bool                   // builtin errors are undefined, as in OPA
}

// Rego runs tests (rules whose names begin with test_) as `opa test` does, and calls
// yield for each, in the order of packages. A test passes if it does on the input that it
// names and on what the footprint of the test holds of that input: what a decision is
// made on.
func Rego(ctx context.Context, t RegoTests, yield func(Result) error) error {
	return t.compare(ctx, newPruner(t.Tests, newPlans()), yield)
}

func (t RegoTests) compare(ctx context.Context, p *pruner, yield func(Result) error) error {
	passed := map[string]bool{}
	err := t.run(ctx, p.tests, p.compiler, p.builtin(), func(r *tester.Result) error {
		passed[nameOf(r)] = r.Pass()
		return nil
	})
	if err != nil {
		return err
	}
	tests := map[string]*ast.Module{}
	for name, m := range t.Tests {
		tests[name] = m.Copy() // compiling changes it
	}
	return t.run(ctx, tests, ast.NewCompiler(), nil, func(r *tester.Result) error {
		return yield(resultOf(r, passed[nameOf(r)]))
	})
}

// run runs tests once.
func (t RegoTests) run(ctx context.Context, tests map[string]*ast.Module, c *ast.Compiler, extra []*tester.Builtin, yield func(*tester.Result) error) error {
	modules := maps.Clone(tests)
	for name, m := range t.Modules {
		modules[name] = m.Copy() // compiling changes it
	}
	txn, err := t.Store.NewTransaction(ctx)
	if err != nil {
		return fmt.Errorf("open the data: %w", err)
	}
	defer t.Store.Abort(ctx, txn)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results, err := tester.NewRunner().
		SetCompiler(c.WithPathConflictsCheck(storage.NonEmpty(ctx, t.Store, txn))).
		AddCustomBuiltins(extra).
		SetStore(t.Store).
		SetModules(modules).
		RaiseBuiltinErrors(!t.Lenient). // as decisions are evaluated
		SetTimeout(evaluationTime).
		Filter(t.Match).
		RunTests(ctx, txn)
	if err != nil {
		return err
	}
	var stopped error
	for r := range results { // to its end, so that the runner's goroutine ends
		if stopped == nil {
			stopped = yield(r)
		}
	}
	return stopped
}

func nameOf(r *tester.Result) string { return r.Package + "." + r.Name }

// resultOf is a result on the input as it stands, and whether it passed on what the
// footprint holds of it.
func resultOf(r *tester.Result, pruned bool) Result {
	result := Result{Name: nameOf(r), Skipped: r.Skip, Passed: r.Pass() && pruned, Err: r.Error, Took: r.Duration}
	if r.Location != nil {
		result.File, result.Line = r.Location.File, r.Location.Row
	}
	switch {
	case result.Passed || result.Skipped:
		return result
	case r.Pass():
		result.Err = errPruned
	case r.Fail && r.Error == nil:
		result.Err = errFailed
	}
	result.Want, result.Got = true, false
	return result
}
