package footprint

import (
	"context"
	"math/rand/v2"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/internal/lab/policies"
)

// weakening is a place of a footprint with less than the analysis found.
type weakening struct {
	footprint *Footprint
	place     *place
	from, to  Level
	// parent: nothing but whether the place is there is read, and a member of it is read
	// too. Where that is asked for, the member mostly says it all.
	parent bool
}

// weakenings lists every way to make one place weaker.
func (f *Footprint) weakenings() []weakening {
	var list []weakening
	var walk func(p *place)
	walk = func(p *place) {
		for to := Nothing; to < p.level; to++ {
			list = append(list, weakening{
				footprint: f, place: p, from: p.level, to: to, parent: p.level == Defined && len(p.children) > 0,
			})
		}
		if p.level == Full {
			return
		}
		for _, c := range p.sorted() {
			walk(c)
		}
	}
	walk(f.root)
	return list
}

// plan is the plan of the weaker footprint.
func (w weakening) plan() *Plan {
	children := w.place.children
	if w.from == Full {
		w.place.children = nil // what was found below before all of it was read
	}
	w.place.level = w.to
	plan := w.footprint.Plan()
	w.place.level, w.place.children = w.from, children
	return plan
}

// with is the plan of a footprint that has other places than one of its own.
func (f *Footprint) with(at *place, others map[string]Level) *Plan {
	level, children := at.level, at.children
	defer func() { at.level, at.children = level, children }()
	at.level, at.children = Nothing, map[string]*place{}
	for path, level := range others {
		p := f.root
		for _, key := range ast.MustParseRef(path)[1:] {
			k := key.Value.String()
			if p.children[k] == nil {
				p.children[k] = &place{parent: p, key: key, depth: p.depth + 1, children: map[string]*place{}}
			}
			p = p.children[k]
		}
		p.level = level
	}
	return f.Plan()
}

// notices says whether the comparison fails with another plan, on the questions that
// the real one passed, or on more of the kind.
func (s *specimen) notices(ctx context.Context, r *rand.Rand, words policies.Vocabulary, seeds []any, plan *Plan, questions []question) bool {
	if s.compare(ctx, plan, questions, lenient, strict).fault != "" {
		return true
	}
	for _, n := range []int{30, 90, 270} {
		more := s.ask(ctx, inputs(r, words, plan, seeds, n, 3, 3), lenient, strict)
		if s.compare(ctx, plan, more, lenient, strict).fault != "" {
			return true
		}
	}
	return false
}
