package cases

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// Result is what became of one case.
type Result struct {
	Name    string
	File    string
	Line    int
	Passed  bool
	Skipped bool // a Rego test whose name begins with todo_
	Want    any
	Got     any // what the policy answered; nil when Err is set
	Err     error
	Took    time.Duration
}

// Runner runs cases over one bundle, and over data of their own. It is for one
// goroutine.
type Runner struct {
	bundle  *policy.Snapshot
	library *policy.Snapshot
	now     func() time.Time
	pruned  func(policy.View, context.Context, string, policy.Input, time.Time) (ast.Value, error) // [policy.View.EvalPruned]

	// Cases that follow each other often bring the same data: what was made of it is
	// kept for the next.
	inline map[string]any
	over   *policy.Engine
	own    *policy.Engine
}

// NewRunner runs cases without data of their own over bundle (nil: there is none),
// and those with data on library. now is the time of questions that name none.
// Close ends it.
func NewRunner(bundle, library *policy.Snapshot, now func() time.Time) (*Runner, error) {
	r := &Runner{bundle: bundle, library: library, now: now, pruned: policy.View.EvalPruned}
	var err error
	if bundle != nil {
		if r.own, err = engine(bundle); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// evaluationTime bounds one case: a report over a large catalog takes its time.
const evaluationTime = time.Minute

func engine(s *policy.Snapshot) (*policy.Engine, error) {
	e, err := policy.NewEngine(policy.Config{Entries: -1, Timeout: evaluationTime})
	if err != nil {
		return nil, err
	}
	e.Install(s)
	return e, nil
}

// Close ends what the runner holds.
func (r *Runner) Close() {
	for _, e := range []*policy.Engine{r.own, r.over} {
		if e != nil {
			e.Close()
		}
	}
}

// errNoData means that a case has no data and no bundle was given.
var errNoData = errors.New("the case has no data, and no bundle was named (-b DIR)")

// Run runs one case.
func (r *Runner) Run(ctx context.Context, c Case) Result {
	began := time.Now()
	result := Result{Name: c.Name, File: c.File, Line: c.Line, Want: c.Expect}
	view, err := r.view(ctx, c)
	if err == nil {
		result.Got, err = r.answer(ctx, view, c)
	}
	if err != nil {
		result.Got, result.Err = nil, err
	} else {
		result.Passed = satisfies(c.Op, result.Got, c.Expect)
	}
	result.Took = time.Since(began)
	return result
}

func (r *Runner) view(ctx context.Context, c Case) (policy.View, error) {
	if c.Data == nil {
		if r.own == nil {
			return policy.View{}, errNoData
		}
		return r.own.View(), nil
	}
	if r.over != nil && reflect.DeepEqual(r.inline, c.Data) {
		return r.over.View(), nil
	}
	// Inline data is decided on as it stands: it is not checked.
	s, err := r.library.WithData(ctx, map[string]any{"rbac": c.Data})
	if err != nil {
		return policy.View{}, err
	}
	if r.over != nil {
		r.over.Close()
	}
	if r.over, err = engine(s); err != nil {
		return policy.View{}, err
	}
	r.inline = c.Data
	return r.over.View(), nil
}

func (r *Runner) answer(ctx context.Context, view policy.View, c Case) (any, error) {
	in, at, err := policy.Notated(c.Request)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = r.now()
	}
	switch c.Op {
	case "decide":
		// What is remembered is the answer of what requests are asked.
		if _, err := r.both(ctx, view, view.Entrypoint(), in, at); errors.Is(err, errPruned) {
			return nil, err
		}
		return r.eval(ctx, view, "rolegate/report", in, at)
	case "validate":
		return r.problems(ctx, view, map[string]any{}, at, "rolegate/admin/validation", "rolegate/admin/member_validation")
	case "validate_change":
		return r.problems(ctx, view, map[string]any{"old": c.Old}, at, "rolegate/admin/change_validation")
	}
	request, err := ast.InterfaceToValue(without(c.Request, "time"))
	if err != nil {
		return nil, err
	}
	entrypoint := map[string]string{
		"assign": "rolegate/admin/assignment", "signup": "rolegate/admin/signup", "search": "rolegate/admin/search",
	}[c.Op]
	return r.eval(ctx, view, entrypoint, policy.Whole{Value: request}, at)
}

func without(m map[string]any, key string) map[string]any {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

// eval answers an entry point's value on the whole input, which must be that on what its
// footprint holds of the input.
func (r *Runner) eval(ctx context.Context, view policy.View, entrypoint string, in policy.Input, at time.Time) (any, error) {
	v, err := r.both(ctx, view, entrypoint, in, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", entrypoint, err)
	}
	// ast.JSON keeps numbers as json.Number and makes sets lists.
	return ast.JSON(v)
}

// both evaluates on the whole input and on what the footprint holds of it, and answers
// errPruned where that is not the same. What throws dice differs anyway.
func (r *Runner) both(ctx context.Context, view policy.View, entrypoint string, in policy.Input, at time.Time) (ast.Value, error) {
	v, err := view.Eval(ctx, entrypoint, in, at)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	_, reuse, unknown := view.Snapshot().Footprint(ctx, entrypoint)
	if unknown != nil || reuse.Label == policy.BypassNondeterministic {
		return v, err
	}
	pruned, prunedErr := r.pruned(view, ctx, entrypoint, in, at)
	if (err == nil) != (prunedErr == nil) || err == nil && v.Compare(pruned) != 0 {
		return nil, cmp.Or(ctx.Err(), errPruned)
	}
	return v, err
}

// problems answers validation results as cases write them: "code:subject", or "code".
func (r *Runner) problems(ctx context.Context, view policy.View, input map[string]any, at time.Time, entrypoints ...string) (any, error) {
	doc, err := ast.InterfaceToValue(input)
	if err != nil {
		return nil, err
	}
	found := []string{}
	for _, entrypoint := range entrypoints {
		v, err := r.eval(ctx, view, entrypoint, policy.Whole{Value: doc}, at)
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		var list []struct{ Code, Subject string }
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", entrypoint, err)
		}
		for _, p := range list {
			text := p.Code
			if p.Subject != "" {
				text += ":" + p.Subject
			}
			found = append(found, text)
		}
	}
	slices.Sort(found)
	result := make([]any, 0, len(found))
	for _, text := range slices.Compact(found) {
		result = append(result, text)
	}
	return result, nil
}
