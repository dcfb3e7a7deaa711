package loader

import (
	"context"
	"fmt"
	"math/rand/v2"
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
		wait(ctx, min(max(eventPause, time.Since(start)), maxEventPause), nil)
		wait(ctx, time.Until(due), w.dirty)
	}
	return nil
}

// eventPause is how long further events are gathered before the next look, on a
// small directory and on a large one.
const (
	eventPause    = 5 * time.Millisecond
	maxEventPause = 100 * time.Millisecond
)

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
		if t.good != nil {
			continue
		}
		if given := t.goneAt.Add(maxSettle); now.Before(given) {
			again = given
		} else {
			delete(l.bundles, name)
			l.fewer = true
		}
	}
	return again // when one of them is over, the others are looked at too
}

// around lists the folders whose events may mean that the directory is another one.
func around(dir string) []string {
	target, folders, err := resolve(dir)
	if err == nil {
		folders = append(folders, target)
	}
	return folders
}
