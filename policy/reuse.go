package policy

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy/footprint"
)

// Labels of why an answer is not remembered.
const (
	BypassClock            = "clock"            // the policy reads it and promises no bound
	BypassNondeterministic = "nondeterministic" // the policy calls what is no function of input and data
	BypassAudit            = "audit"            // an audit found another answer in this generation
)

// Reuse says whether an entry point's answers may be remembered.
type Reuse struct {
	Bypass string        // why not; "" when they may
	Label  string        // the same as a metric label: [BypassClock] or [BypassNondeterministic]; "" when they may
	At     *ast.Location // the Rego that is the reason; may be nil
	Clock  bool          // it reads the clock: an answer that does not say how long it holds is not remembered
}

// reuseOf decides that from what the entry point reaches. What reads anything but
// its input, its data and the clock is never remembered. Who reads the clock outside
// the role library must promise that valid_until names its next change.
func reuseOf(c *ast.Compiler, f *footprint.Footprint) Reuse {
	var r Reuse
	for _, call := range f.Nondeterministic {
		if call.Name == footprint.Clock {
			r.Clock = true
			continue
		}
		return Reuse{
			Bypass: fmt.Sprintf("it reaches %s, whose result is not a function of input and data", call.Name),
			Label:  "nondeterministic", At: call.At,
		}
	}
	if !r.Clock {
		return Reuse{}
	}
	readers := clockReaders{compiler: c, seen: map[*ast.Rule]bool{}}
	for _, rule := range f.Rules {
		if !libraryRule(rule) && readers.reads(rule) && !bounded(c, rule) {
			return Reuse{
				Bypass: fmt.Sprintf("%s reads the clock and has no METADATA custom: {bounded: true}", rule.Ref()),
				Label:  "clock", At: rule.Location, Clock: true,
			}
		}
	}
	return r
}

// libraryRule says whether a rule is the role library's: no other bundle may own its root.
func libraryRule(r *ast.Rule) bool {
	path := r.Module.Package.Path
	return len(path) > 1 && path[1].Value.Compare(ast.String("rolegate")) == 0
}

// clockReaders finds the rules outside the library that reach the clock: by a call,
// by data.rolegate.now, or through another rule outside the library. What the library
// itself makes of the clock is bounded by its own valid_until.
type clockReaders struct {
	compiler *ast.Compiler
	seen     map[*ast.Rule]bool
}

func (cr clockReaders) reads(r *ast.Rule) bool {
	if known, ok := cr.seen[r]; ok {
		return known
	}
	cr.seen[r] = false
	found := false
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		found = found || ref.Equal(ast.NowNanos.Ref())
		return false
	})
	for next := range cr.compiler.Graph.Dependencies(r) {
		if next, ok := next.(*ast.Rule); ok {
			found = found || libraryClock(next) || !libraryRule(next) && cr.reads(next)
		}
	}
	cr.seen[r] = found
	return found
}

func libraryClock(r *ast.Rule) bool {
	return r.Ref().String() == "data.rolegate.now"
}

// bounded says whether the author of a rule, or of the document it is a part of,
// promised that valid_until names its next change.
func bounded(c *ast.Compiler, r *ast.Rule) bool {
	set := c.GetAnnotationSet() // nil has no notes
	notes := slices.Clone(set.GetRuleScope(r))
	if doc := set.GetDocumentScope(r.Ref().GroundPrefix()); doc != nil {
		notes = append(notes, doc)
	}
	return slices.ContainsFunc(notes, func(a *ast.Annotations) bool {
		promise, _ := a.Custom["bounded"].(bool)
		return promise
	})
}
