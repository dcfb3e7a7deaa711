package policy

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// slotsPerCPU is how many evaluations run at a time for each processor: enough that
	// one which waits for its turn costs nothing, few enough that those which run end in
	// time. Without a bound, an overloaded server ends none of them in time.
	slotsPerCPU = 4
	// defaultQueueWait is what a burst after a new generation needs, when nothing is
	// remembered yet, and a fifth of what callers usually wait.
	defaultQueueWait = 50 * time.Millisecond
	// overdueAfter is how long after its time limit an evaluation is looked at again:
	// most builtins notice within microseconds that their time is up, some never do.
	overdueAfter = time.Second
)

// ErrOverloaded means that as many evaluations as may run were running, for so long that
// this one did not begin.
var ErrOverloaded = errors.New("too many evaluations are running")

// slots bound how many evaluations run at a time. Answers from memory need none.
type slots struct {
	free    chan struct{} // holds one for each evaluation that runs
	wait    time.Duration
	shed    atomic.Uint64
	overdue atomic.Uint64
}

func newSlots(cfg Config) *slots {
	n := cfg.Concurrency
	if n <= 0 {
		n = slotsPerCPU * runtime.GOMAXPROCS(0)
	}
	wait := cfg.QueueWait
	if wait == 0 {
		wait = defaultQueueWait
	}
	return &slots{free: make(chan struct{}, n), wait: wait}
}

// take waits for a slot, in the order of coming, and not for a caller who is gone.
// give must follow it.
func (s *slots) take(ctx context.Context) error {
	select {
	case s.free <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(s.wait)
	defer patience.Stop()
	select {
	case s.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		s.shed.Add(1)
		return ErrOverloaded
	}
}

func (s *slots) give() { <-s.free }
