package cases

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// errFailed stands for a test whose body is not true.
var errFailed = errors.New("the test is not true")

// Rego runs the Rego tests among modules (rules whose names begin with test_) whose
// names match a regular expression, as `opa test` does, and calls yield for each, in
// the order of packages. data is the document that they see. "" matches all.
// modules are changed by compiling them.
func Rego(ctx context.Context, modules map[string]*ast.Module, data map[string]any, match string, yield func(Result) error) error {
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return fmt.Errorf("open the data: %w", err)
	}
	defer store.Abort(ctx, txn)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn))).
		SetStore(store).
		SetModules(modules).
		RaiseBuiltinErrors(true). // as decisions are evaluated
		SetTimeout(evaluationTime).
		Filter(match).
		RunTests(ctx, txn)
	if err != nil {
		return err
	}
	var stopped error
	for r := range results { // to its end, so that the runner's goroutine ends
		if stopped == nil {
			stopped = yield(resultOf(r))
		}
	}
	return stopped
}

func resultOf(r *tester.Result) Result {
	result := Result{Name: r.Package + "." + r.Name, Skipped: r.Skip, Passed: r.Pass(), Err: r.Error, Took: r.Duration}
	if r.Location != nil {
		result.File, result.Line = r.Location.File, r.Location.Row
	}
	if r.Fail && r.Error == nil {
		result.Err = errFailed
	}
	if result.Passed || result.Skipped {
		result.Want, result.Got = nil, nil
	} else {
		result.Want, result.Got = true, false
	}
	return result
}
