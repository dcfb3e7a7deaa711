package loader

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// codeTest is of a bundle whose own tests or cases say that something is wrong.
const codeTest = "failed_test"

// trialTime bounds the tests of one set of bundles: longer, and what is revoked would
// wait for them.
const trialTime = time.Minute

// Trial is a set of bundles that would decide, and those tests and cases of it that are
// to pass first. Nothing of it is to be changed.
type Trial struct {
	Snapshot *policy.Snapshot
	Rego     string                 // equal for sets with the same modules and tests
	Modules  map[string]*ast.Module // of all bundles and of the role library
	Tests    map[string]*ast.Module // of all bundles: they may name each other
	Chosen   func(file string) bool // whether the tests of a file are to be run
	Cases    []CaseText             // to be run
	Lenient  bool                   // builtin errors are undefined, as in OPA
}

// CaseText is a file of worked cases.
type CaseText struct {
	Name string // as an author knows it
	Text []byte
}

// Verifier runs the tests and cases of a trial. The problems name what failed, with its
// file and line; the error means that something could not be run.
type Verifier func(context.Context, Trial) (policy.Problems, error)

// trials runs the tests of bundles, each when the bundle is new or somebody's Rego is.
// Data of another bundle alone does not have them run again: a case that expects what was
// just revoked would keep it from being revoked. It is used by one goroutine.
type trials struct {
	verify Verifier
	done   map[string]trialResult // by the key of the bundle
}

// trialResult is what the tests of one bundle came to beside the Rego of a set.
type trialResult struct {
	rego     string // [regoOf] the set
	problems policy.Problems
}

// run answers what the tests of a set say is wrong. A nil trials says nothing.
func (t *trials) run(ctx context.Context, snapshot *policy.Snapshot, src policy.Source, set []*bundle) (policy.Problems, error) {
	if t == nil {
		return nil, nil
	}
	rego := regoOf(set)
	trial := Trial{Snapshot: snapshot, Rego: rego, Modules: src.Modules, Tests: map[string]*ast.Module{}, Lenient: src.Lenient}
	var fresh []*bundle
	for _, b := range set {
		maps.Copy(trial.Tests, b.tests)
		if known, ok := t.done[b.key()]; (!ok || known.rego != rego) && len(b.tests)+len(b.cases) > 0 {
			fresh = append(fresh, b)
			trial.Cases = append(trial.Cases, b.cases...)
		}
	}
	trial.Chosen = func(file string) bool {
		return slices.ContainsFunc(fresh, func(b *bundle) bool { return b.tests[file] != nil })
	}
	var found policy.Problems
	if len(fresh) > 0 {
		limited, cancel := context.WithTimeout(ctx, trialTime)
		defer cancel()
		var err error
		found, err = t.verify(limited, trial)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case limited.Err() != nil:
			return policy.Problems{{
				Code: codeTest, Subject: fresh[0].name, Message: fmt.Sprintf("the tests and cases of the bundles do not end within %s", trialTime), Hint: trialHint,
			}}, nil
		case err != nil:
			return nil, fmt.Errorf("run the tests of the bundles: %w", err)
		}
	}
	for i := range found {
		found[i].Code, found[i].Hint = codeTest, trialHint
	}
	results := make(map[string]trialResult, len(fresh))
	for _, b := range fresh {
		var own policy.Problems
		own, found = owned(found, b)
		results[b.key()] = trialResult{rego: rego, problems: own}
	}
	if len(found) > 0 { // nobody's of the fresh ones, and wrong all the same: it is looked at again
		return found, nil
	}
	maps.Copy(t.done, results)
	for _, b := range set {
		found = append(found, t.done[b.key()].problems...)
	}
	found.Sort()
	return found, nil
}

// owned tells problems in the tests and cases of a bundle from others.
func owned(found policy.Problems, b *bundle) (own, others policy.Problems) {
	for _, p := range found {
		if b.holds(p.File) {
			own = append(own, p)
		} else {
			others = append(others, p)
		}
	}
	return own, others
}

// key tells bundles of the same content apart: their files have other names.
func (b *bundle) key() string { return b.prefix + b.digest }

const trialHint = "`rolegate test DIR` shows the same; `loader.run_tests: false` loads bundles without a look at their tests"

// holds says whether a file, as an author knows it, is a test or a case of the bundle.
func (b *bundle) holds(file string) bool {
	return b.tests[file] != nil || slices.ContainsFunc(b.cases, func(c CaseText) bool { return c.Name == file })
}

// regoOf tells sets with different Rego apart, tests included.
func regoOf(set []*bundle) string {
	var lines []string
	for _, b := range set {
		for name, sum := range b.sums {
			if k := kindOf(name); k == kindRego || k == kindTest || k == kindManifest {
				lines = append(lines, fmt.Sprintf("%s%s %x", b.prefix, name, sum))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// forget drops what was remembered of bundles that are gone.
func (t *trials) forget(kept []*bundle) {
	if t != nil {
		maps.DeleteFunc(t.done, func(key string, _ trialResult) bool {
			return !slices.ContainsFunc(kept, func(b *bundle) bool { return b.key() == key })
		})
	}
}
