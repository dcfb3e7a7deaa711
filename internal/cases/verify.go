package cases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// Verifier runs tests and cases before bundles decide. library makes the snapshot of the
// role library alone, for cases with data of their own.
func Verifier(library func(context.Context) (*policy.Snapshot, error), now func() time.Time) loader.Verifier {
	v := &verifier{library: library, now: now}
	return v.verify
}

type verifier struct {
	library func(context.Context) (*policy.Snapshot, error)
	now     func() time.Time
	made    *policy.Snapshot // of the library, kept from trial to trial
	rego    string           // of the last trial
	plans   *plans           // of that Rego: data changes more often
}

func (v *verifier) verify(ctx context.Context, t loader.Trial) (policy.Problems, error) {
	var found policy.Problems
	add := func(r Result) error {
		if !r.Passed && !r.Skipped {
			found = append(found, policy.Problem{File: r.File, Line: r.Line, Column: 1, Subject: r.Name, Message: r.failure()})
		}
		return ctx.Err()
	}
	if match := matching(t); match != "" {
		tests := RegoTests{Modules: t.Modules, Tests: t.Tests, Store: t.Snapshot.Store(), Match: match, Lenient: t.Lenient}
		if v.plans == nil || v.rego != t.Rego {
			v.rego, v.plans = t.Rego, newPlans()
		}
		err := tests.compare(ctx, newPruner(t.Tests, v.plans), func(r Result) error {
			if !t.Chosen(r.File) {
				return nil
			}
			return add(r)
		})
		if faults, ok := errors.AsType[ast.Errors](err); ok {
			found = append(found, policy.CompileProblems(faults)...)
		} else if err != nil {
			return nil, err
		}
	}
	err := v.cases(ctx, t, func(p policy.Problem) { found = append(found, p) }, add)
	return found, err
}

// matching is a regular expression of the names of the chosen tests; "" when there are
// none.
func matching(t loader.Trial) string {
	var packages []string
	for file, m := range t.Tests {
		if t.Chosen(file) {
			packages = append(packages, regexp.QuoteMeta(m.Package.Path.String()))
		}
	}
	if len(packages) == 0 {
		return ""
	}
	return `^(` + strings.Join(packages, "|") + `)\.`
}

// cases runs the case files. One that cannot be read is a problem of its own.
func (v *verifier) cases(ctx context.Context, t loader.Trial, report func(policy.Problem), add func(Result) error) error {
	if len(t.Cases) == 0 {
		return nil
	}
	if v.made == nil {
		library, err := v.library(ctx)
		if err != nil {
			return err
		}
		v.made = library
	}
	runner, err := NewRunner(t.Snapshot, v.made, v.now)
	if err != nil {
		return err
	}
	defer runner.Close()
	for _, file := range t.Cases {
		err := Read(bytes.NewReader(file.Text), file.Name, func(c Case) error { return add(runner.Run(ctx, c)) })
		if fault, ok := errors.AsType[*Error](err); ok {
			report(policy.Problem{File: fault.File, Line: fault.Line, Column: 1, Message: fault.Message})
		} else if err != nil {
			return err
		}
	}
	return nil
}

// failure says in one line what is wrong.
func (r Result) failure() string {
	if r.Err != nil {
		return fmt.Sprintf("%s: %v", r.Name, r.Err)
	}
	return fmt.Sprintf("%s: %s", r.Name, strings.Join(r.Differences(), "; "))
}
