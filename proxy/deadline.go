package proxy

import (
	"context"
	"sync"
	"time"
)

// deadline ends a request's context early: at a time of its own, which is not after
// the parent's. It makes no timer until somebody waits for it, and an answer from
// memory waits for nothing: a context of package context costs as much as that answer.
type deadline struct {
	context.Context           //nolint:containedctx // the parent: this is a context
	began           time.Time // a reading of the system's clock
	limit           time.Duration

	mu      sync.Mutex
	waiting context.Context //nolint:containedctx // with a timer; nil until somebody waits
	cancel  context.CancelFunc
	ended   bool
}

// begin makes a zero deadline one of ctx, that ends a head start before its own and within
// limit of now, which the system's clock says. The caller must end it.
func (d *deadline) begin(ctx context.Context, now time.Time, limit time.Duration) {
	d.Context, d.began, d.limit = ctx, now, limit
}

// at is when the request must be answered. It is not worked out before somebody asks.
func (d *deadline) at() time.Time {
	at := d.began.Add(d.limit)
	if own, ok := d.Context.Deadline(); ok && own.Add(-headStart).Before(at) {
		at = own.Add(-headStart)
	}
	return at
}

// waitedFor says whether somebody waited, and may still do.
func (d *deadline) waitedFor() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting != nil
}

// Deadline implements [context.Context].
func (d *deadline) Deadline() (time.Time, bool) { return d.at(), true }

// Done implements [context.Context].
func (d *deadline) Done() <-chan struct{} { return d.waited().Done() }

// Err implements [context.Context].
func (d *deadline) Err() error {
	d.mu.Lock()
	waiting := d.waiting
	d.mu.Unlock()
	switch {
	case waiting != nil:
		return waiting.Err()
	case !time.Now().Before(d.at()):
		return context.DeadlineExceeded
	default:
		return d.Context.Err()
	}
}

func (d *deadline) waited() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting, d.cancel = context.WithDeadline(d.Context, d.at())
		if d.ended {
			d.cancel()
		}
	}
	return d.waiting
}

// end frees the timer, if there is one.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel()
	}
}
