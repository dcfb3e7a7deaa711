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
	context.Context //nolint:containedctx // the parent: this is a context
	at              time.Time

	mu      sync.Mutex
	waiting context.Context //nolint:containedctx // with a timer; nil until somebody waits
	cancel  context.CancelFunc
	ended   bool
}

// withDeadline ends ctx a head start before its own deadline, and within limit. The
// caller must end it.
func withDeadline(ctx context.Context, limit time.Duration) *deadline {
	d := &deadline{}
	d.begin(ctx, limit)
	return d
}

// begin makes a zero deadline one of ctx.
func (d *deadline) begin(ctx context.Context, limit time.Duration) {
	d.Context, d.at = ctx, time.Now().Add(limit)
	if own, ok := ctx.Deadline(); ok && own.Add(-headStart).Before(d.at) {
		d.at = own.Add(-headStart)
	}
}

// waitedFor says whether somebody waited, and may still do.
func (d *deadline) waitedFor() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting != nil
}

// Deadline implements [context.Context].
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

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
	case !time.Now().Before(d.at):
		return context.DeadlineExceeded
	default:
		return d.Context.Err()
	}
}

func (d *deadline) waited() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting, d.cancel = context.WithDeadline(d.Context, d.at)
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
