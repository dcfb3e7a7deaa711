package loader

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
)

// maxToldProblems is how many problems one line of the log names.
const maxToldProblems = 20

// Loader watches a directory of bundles and installs the newest good version of
// each. Each bundle keeps its own last good version: what is wrong with one never
// freezes the others.
type Loader struct {
	cfg     Config
	install func(*policy.Snapshot) uint64
	log     *zap.Logger
	watcher func() (*fsnotify.Watcher, error) // fsnotify.NewWatcher; tests have none

	// What follows is Run's alone.
	builder    *builder
	bundles    map[string]*tracked
	generation uint64
	dirErr     error     // what is wrong with the directory itself; nil when it was listed
	dirBadAt   time.Time // since when
	dirTold    string    // what of it was told
	coldFault  string    // why nothing was ever installed, as told last
	fewer      bool      // a bundle that never decided is not expected any more
	warnings   policy.Problems
	events     []Event // to be delivered
	resyncAt   time.Time
	resyncs    int

	mu     sync.Mutex
	status Status
}

// New makes a loader of the bundles in cfg.Dir. install takes a new snapshot into
// use and answers its generation; it is called by the goroutine of Run.
func New(cfg Config, install func(*policy.Snapshot) uint64, log *zap.Logger) *Loader {
	return &Loader{
		cfg: cfg.withDefaults(), install: install, log: log.Named("loader"),
		watcher: fsnotify.NewWatcher, bundles: map[string]*tracked{},
	}
}

// Run brings bundles in until the context ends, which is no error. It is called once.
func (l *Loader) Run(ctx context.Context) error {
	b, err := newBuilder(l.cfg)
	if err != nil {
		return err
	}
	l.builder = b
	w := newWatch(l.watcher, l.log)
	defer func() { w.close() }()
	for ctx.Err() == nil {
		start := time.Now()
		due := l.round(ctx, start, w)
		// Events come by the thousand: between two rounds passes as long as one takes.
		wait(ctx, max(eventPause, time.Since(start)), nil)
		wait(ctx, time.Until(due), w.dirty)
	}
	return nil
}

// eventPause is how long further events are gathered before the next look.
const eventPause = 5 * time.Millisecond

// wait passes time, until there is something to do.
func wait(ctx context.Context, d time.Duration, dirty <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-dirty:
	case <-timer.C:
	}
}

// round looks at everything once and installs what is new and good. due is when
// the next look is needed even without an event.
func (l *Loader) round(ctx context.Context, now time.Time, w *watch) (due time.Time) {
	l.resync(now, w)
	due = l.resyncAt
	folders := around(l.cfg.Dir)
	there, err := locations(l.cfg.Dir)
	sooner := func(at time.Time) {
		if !at.IsZero() && at.Before(due) {
			due = at
		}
	}
	sooner(l.note(err, now))
	if err == nil {
		sooner(l.meet(there, now))
		for _, t := range l.sorted() {
			if !t.gone {
				sooner(t.look(ctx, l.cfg, now))
				folders = append(folders, t.folders...)
			}
		}
	}
	if w.sync(folders) {
		w.notify() // what happened before the new watches were there was not seen
	}
	if ctx.Err() == nil {
		l.attempt(ctx, now)
	}
	l.publish(w.complete())
	l.deliver()
	return due
}

// resync counts the rounds that come by time. Every so often everything is read
// again, and a watcher that could not be had is asked for again.
func (l *Loader) resync(now time.Time, w *watch) {
	if now.Before(l.resyncAt) {
		return
	}
	jitter := 0.8 + 0.4*rand.Float64() // so that a fleet does not look at one disk at once
	l.resyncAt = now.Add(time.Duration(float64(l.cfg.Resync) * jitter))
	l.resyncs++
	if l.resyncs%hashEvery != 0 {
		return
	}
	w.renew()
	for _, t := range l.bundles {
		if t.rereadAt.IsZero() {
			t.rereadAt = now
		}
	}
}

// note tells once what is wrong with the directory itself, if it stays: one that is
// being replaced is not there for a moment. again is when to look once more.
func (l *Loader) note(err error, now time.Time) (again time.Time) {
	if err == nil {
		l.dirErr, l.dirTold = nil, ""
		return time.Time{}
	}
	if l.dirErr == nil {
		l.dirBadAt = now
	}
	l.dirErr = err
	if patience := l.dirBadAt.Add(4 * firstRetry); now.Before(patience) {
		return now.Add(firstRetry)
	}
	if l.dirTold != err.Error() {
		l.dirTold = err.Error()
		l.log.Error("bundles cannot be listed", zap.Error(err), zap.Uint64("deciding", l.generation))
		l.tell(Event{Generation: l.generation, Err: fmt.Errorf("list the bundles: %w", err)})
	}
	return time.Time{}
}

// meet holds the list of what is there against what was there.
func (l *Loader) meet(there []location, now time.Time) (again time.Time) {
	present := map[string]bool{}
	for _, at := range there {
		present[at.name] = true
		t, known := l.bundles[at.name]
		if !known {
			t = &tracked{location: at}
			l.bundles[at.name] = t
		}
		if t.location != at { // the same name, one level up or down
			t.vanish(now)
			t.location = at
		}
		if t.gone {
			t.gone, t.changed = false, true
		}
	}
	for name, t := range l.bundles {
		if present[name] {
			continue
		}
		t.vanish(now)
		// What never decided and stays away was never meant; what decides stays.
		if t.good == nil {
			if again = t.goneAt.Add(maxSettle); !now.Before(again) {
				delete(l.bundles, name)
				l.fewer = true
			}
		}
	}
	return again
}

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
	var all []*tracked
	for _, name := range slices.Sorted(maps.Keys(l.bundles)) {
		t := l.bundles[name]
		if t.gone || !t.settled() {
			return
		}
		all = append(all, t)
	}
	faults := l.report(all)
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
		case len(t.faults) > 0 && l.generation > 0:
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

// around lists the folders whose events may mean that the directory is another one.
func around(dir string) []string {
	target, folders, err := resolve(dir)
	if err == nil {
		folders = append(folders, target)
	}
	return folders
}

// told is the first problems as a field of a line of the log.
func told(problems policy.Problems) zap.Field { return zap.Strings("problems", lines(problems)) }
