package unary

import (
	"context"
	"sync"
	"time"
)

// stage is who a call's goroutine is.
type stage uint8

const (
	reading  stage = iota // it goes on reading the connection when the call is answered
	detached              // another one reads
	ended                 // the call is answered
)

// call is one request under way, and the context of its answer. To ask for Done is to
// wait: then another goroutine goes on reading the connection.
type call struct {
	stream   *stream
	deadline time.Time // zero: none

	mu     sync.Mutex
	stage  stage
	cancel context.CancelFunc
	inner  context.Context //nolint:containedctx // this is a context; nil until somebody waits
	over   bool            // nobody wants the answer any more
}

// Deadline implements [context.Context].
func (c *call) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements [context.Context].
func (c *call) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage == reading {
		c.stage = detached
		c.stream.conn.goOn()
	}
	return c.waited().Done()
}

// waited is the context that ends. mu is held.
func (c *call) waited() context.Context {
	if c.inner == nil {
		switch {
		case c.deadline.IsZero():
			c.inner, c.cancel = context.WithCancel(context.Background())
		default:
			c.inner, c.cancel = context.WithDeadline(context.Background(), c.deadline)
		}
		if c.over || c.stage == ended {
			c.cancel()
		}
	}
	return c.inner
}

// Err implements [context.Context].
func (c *call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.inner != nil:
		return c.inner.Err()
	case c.over, c.stage == ended:
		return context.Canceled
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements [context.Context]. Contexts that are made of this one find the one
// that ends by it, and need no goroutine to follow it.
func (c *call) Value(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		return nil
	}
	return c.inner.Value(key)
}

// abandon says that nobody wants the answer any more.
func (c *call) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// end says that the call is answered, and whether its goroutine is still the one that
// reads.
func (c *call) end() (reads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reads = c.stage == reading
	c.stage = ended
	if c.cancel != nil {
		c.cancel()
	}
	return reads
}
