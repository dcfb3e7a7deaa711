package loader

import (
	"cmp"
	"context"
	"slices"

	"github.com/rolegate/rolegate/policy"
)

// result is what building one set came to: a snapshot with warnings, or why not.
type result struct {
	snapshot *policy.Snapshot
	problems policy.Problems
	err      error // not the bundles' fault
}

// unit is bundles that change together: those of one group, or one alone.
type unit []*tracked

// rejection is a unit that does not go with the others.
type rejection struct {
	unit   unit
	result result
}

// unitsOf gathers what is new. A group waits until all of its bundles are good.
func unitsOf(all []*tracked) (units []unit) {
	groups := map[string]int{}
	for _, t := range all {
		if t.next == nil || t.gone {
			continue
		}
		group := t.next.group
		if group == "" {
			units = append(units, unit{t})
			continue
		}
		if slices.ContainsFunc(all, func(o *tracked) bool { return o.waits() && o.groupIs(group) }) {
			continue
		}
		if i, ok := groups[group]; ok {
			units[i] = append(units[i], t)
			continue
		}
		groups[group] = len(units)
		units = append(units, unit{t})
	}
	return units
}

// waits says whether the disk holds something of the bundle that is not read, or bad.
func (t *tracked) waits() bool { return !t.gone && (!t.settled() || len(t.faults) > 0) }

func (t *tracked) groupIs(name string) bool {
	b := t.newest()
	return b != nil && b.group == name
}

// selection grows a set by what is new, as far as it stays good.
type selection struct {
	build    func(context.Context, []*bundle) result
	set      map[*tracked]*bundle
	best     result // of the set; without a snapshot while nothing was added
	admitted []*tracked
}

// admit adds the units that go with the set and with one another. Usually all of
// them do, in one attempt; else halves are tried, so that few bad ones among many
// cost few attempts, and those that wanted another one first are tried again.
func (s *selection) admit(ctx context.Context, units []unit) []rejection {
	rejected := s.halves(ctx, units)
	for len(rejected) > 0 && len(rejected) < len(units) {
		units = make([]unit, len(rejected))
		for i, r := range rejected {
			units[i] = r.unit
		}
		rejected = s.halves(ctx, units)
	}
	return rejected
}

func (s *selection) halves(ctx context.Context, units []unit) []rejection {
	if len(units) == 0 {
		return nil
	}
	r := s.try(ctx, units)
	switch {
	case r.snapshot != nil:
		return nil
	case len(units) == 1 || ctx.Err() != nil:
		rejected := make([]rejection, len(units))
		for i, u := range units {
			rejected[i] = rejection{unit: u, result: r}
		}
		return rejected
	}
	half := len(units) / 2
	return append(s.halves(ctx, units[:half]), s.halves(ctx, units[half:])...)
}

// try builds the set with the units, and keeps it if it is good.
func (s *selection) try(ctx context.Context, units []unit) result {
	var added []*tracked
	for _, u := range units {
		added = append(added, u...)
	}
	set := make([]*bundle, 0, len(s.set)+len(added))
	for t, b := range s.set {
		if !slices.Contains(added, t) {
			set = append(set, b)
		}
	}
	slices.SortFunc(set, func(a, b *bundle) int { return cmp.Compare(a.name, b.name) })
	// The new ones stand last: they are blamed where two are at odds.
	for _, t := range added {
		set = append(set, t.next)
	}
	r := s.build(ctx, set)
	if r.snapshot == nil {
		return r
	}
	for _, t := range added {
		s.set[t] = t.next
	}
	s.best, s.admitted = r, append(s.admitted, added...)
	return r
}
