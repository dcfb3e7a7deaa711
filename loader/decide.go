package loader

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
)

// attempt tries to decide on what is new.
func (l *Loader) attempt(ctx context.Context, now time.Time) {
	changed := l.fewer
	l.fewer = false
	for _, t := range l.bundles {
		changed = changed || t.changed
	}
	if l.generation == 0 {
		if changed || len(l.bundles) == 0 {
			l.start(ctx, now)
		}
		return
	}
	if changed {
		l.advance(ctx, now)
	}
}

// start makes the first set: every bundle that is there, or nothing. One that is
// missing may hold the denies.
func (l *Loader) start(ctx context.Context, now time.Time) {
	all := l.sorted()
	var faults policy.Problems
	for _, t := range all {
		if t.gone || !t.settled() {
			return
		}
		faults = append(faults, t.faults...)
	}
	if len(all) == 0 && l.dirErr == nil {
		faults = noBundles(l.cfg.Dir)
	}
	if len(all) == 0 || len(faults) > 0 {
		l.blocked(faults, nil)
		return
	}
	began := time.Now()
	set := make([]*bundle, len(all))
	for i, t := range all {
		set[i] = t.next
	}
	r := l.builder.build(ctx, set)
	switch {
	case ctx.Err() != nil:
		return
	case r.snapshot == nil:
		l.blocked(r.problems, r.err)
		return
	}
	l.adopt(r, all, now, began)
}

// blocked tells once why nothing decides yet.
func (l *Loader) blocked(faults policy.Problems, err error) {
	why := cmp.Or(faults.Error(), fmt.Sprint(err))
	for _, t := range l.bundles {
		t.changed = false
	}
	if why == l.coldFault || len(faults) == 0 && err == nil {
		return
	}
	l.coldFault = why
	l.cfg.Metrics.load(resultOf(faults), time.Now())
	l.log.Error("nothing decides yet: the first set of bundles is not good", told(faults), zap.Error(err))
	l.tell(Event{Problems: faults, Err: err})
}

// advance takes the newest good version of each bundle as far as they agree.
func (l *Loader) advance(ctx context.Context, now time.Time) {
	all := l.sorted()
	faults := l.report(all)
	began := time.Now()
	s := &selection{build: l.builder.build, set: map[*tracked]*bundle{}}
	for _, t := range all {
		t.changed = false
		if t.good != nil {
			s.set[t] = t.good
		}
	}
	rejected := s.admit(ctx, unitsOf(all))
	if ctx.Err() != nil {
		return // what was cut short says nothing about the bundles
	}
	if s.best.snapshot != nil {
		l.adopt(s.best, s.admitted, now, began)
	}
	for _, r := range rejected {
		faults = append(faults, l.hold(r)...)
		if r.result.err != nil {
			l.tell(Event{Generation: l.generation, Took: time.Since(began), Err: r.result.err})
		}
	}
	if len(faults) > 0 {
		l.tell(Event{Generation: l.generation, Took: time.Since(began), Problems: faults})
	}
}

func (l *Loader) sorted() []*tracked {
	return slices.SortedFunc(maps.Values(l.bundles), func(a, b *tracked) int { return cmp.Compare(a.name, b.name) })
}

// report tells what is wrong with single bundles, and is new.
func (l *Loader) report(all []*tracked) (faults policy.Problems) {
	for _, t := range all {
		if !t.changed {
			continue
		}
		switch {
		case t.gone:
			l.log.Warn("bundle is gone from the disk: its last good version goes on deciding", zap.String("bundle", t.name))
		case len(t.faults) > 0:
			l.cfg.Metrics.load(resultOf(t.faults), time.Now())
			l.log.Error("bundle is refused: its last good version goes on deciding",
				zap.String("bundle", t.name), zap.Uint64("deciding", l.generation), told(t.faults))
		}
		faults = append(faults, t.faults...)
	}
	return faults
}

// hold notes why a unit does not decide, and tells it if that is new.
func (l *Loader) hold(r rejection) (faults policy.Problems) {
	for _, t := range r.unit {
		if slices.EqualFunc(t.held, r.result.problems, sameProblem) && fmt.Sprint(t.heldErr) == fmt.Sprint(r.result.err) {
			continue
		}
		t.held, t.heldErr = r.result.problems, r.result.err
		l.cfg.Metrics.load(resultConflict, time.Now())
		l.log.Error("bundle is held back: the last good version goes on deciding", zap.String("bundle", t.name),
			zap.Uint64("deciding", l.generation), told(t.held), zap.Error(t.heldErr))
		faults = r.result.problems
	}
	return faults
}

// adopt installs a snapshot and notes whose bundles it decides on.
func (l *Loader) adopt(r result, admitted []*tracked, now, began time.Time) {
	var changed []string
	var names []string
	for _, t := range admitted {
		names = append(names, t.name)
		if l.cfg.Observe != nil {
			changed = append(changed, changes(t.good, t.next)...)
		}
		t.install(now)
	}
	l.generation = l.install(r.snapshot)
	l.coldFault = ""
	took := time.Since(began)
	kept := make([]*bundle, 0, len(l.bundles))
	for _, t := range l.sorted() {
		t.changed = false
		if t.good != nil {
			kept = append(kept, t.good)
		}
	}
	l.builder.forget(kept)
	l.cfg.Metrics.installed(l.generation, kept, took, time.Now())
	l.log.Info("bundles decide", zap.Uint64("generation", l.generation), zap.Strings("changed", names),
		zap.Duration("took", took), zap.Int("warnings", len(r.problems)))
	if len(r.problems) > 0 {
		l.log.Warn("bundles have warnings", told(r.problems))
	}
	l.warnings = r.problems
	l.tell(Event{Generation: l.generation, Installed: true, Changed: changed, Took: took, Problems: r.problems})
}

// tell keeps an event until the status speaks of it too.
func (l *Loader) tell(e Event) {
	if l.cfg.Observe != nil {
		l.events = append(l.events, e)
	}
}

// deliver calls the observer.
func (l *Loader) deliver() {
	for _, e := range l.events {
		l.cfg.Observe(e)
	}
	l.events = nil
}

// told is the first problems as a field of a line of the log.
func told(problems policy.Problems) zap.Field { return zap.Strings("problems", lines(problems)) }
