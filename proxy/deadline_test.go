package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func withDeadline(ctx context.Context, limit time.Duration) *deadline {
	d := &deadline{}
	d.begin(ctx, time.Now(), limit)
	return d
}

func TestDeadlineIsTheEarlierOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			caller, limit, want time.Duration // caller 0: it has none
		}{
			{0, 200 * time.Millisecond, 200 * time.Millisecond},
			{250 * time.Millisecond, 200 * time.Millisecond, 200 * time.Millisecond},
			{50 * time.Millisecond, 200 * time.Millisecond, 45 * time.Millisecond},
			{600 * time.Second, time.Second, time.Second},
			{3 * time.Millisecond, time.Second, -2 * time.Millisecond},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			if c.caller > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), c.caller)
			}
			d := withDeadline(ctx, c.limit)
			if at, ok := d.Deadline(); !ok || time.Until(at) != c.want {
				t.Errorf("caller %v, limit %v: got %v, want %v", c.caller, c.limit, time.Until(at), c.want)
			}
			d.end()
			cancel()
		}
	})
}

// TestDeadlineIsAContext: it does what a context of package context does, whether or
// not somebody waits.
func TestDeadlineIsAContext(t *testing.T) {
	for _, waits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithCancelCause(t.Context())
			d := withDeadline(parent, time.Second)
			defer d.end()
			if waits {
				_ = d.Done()
			}
			if err := d.Err(); err != nil {
				t.Errorf("waits=%t: at once: %v", waits, err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if err := d.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waits=%t: after its time: %v", waits, err)
			}
			<-d.Done() // closed, also if nobody waited before

			other := withDeadline(parent, time.Second)
			defer other.end()
			if waits {
				_ = other.Done()
			}
			cancel(errors.New("gone"))
			synctest.Wait()
			if err := other.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("waits=%t: canceled by the parent: %v", waits, err)
			}
		})
	}
}

func TestEndedDeadlineLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d := withDeadline(t.Context(), time.Hour)
		d.end()
		<-d.Done() // a straggler's wait ends at once
		if d.Err() == nil || time.Since(began) > 0 {
			t.Errorf("ended: got error %v after %v, want one at once", d.Err(), time.Since(began))
		}
		d.end()
	})
}

// TestWaitingForADeadline: all who wait wait for the same, also after somebody asked
// whether anybody does, and the end of the request is the end of their wait.
func TestWaitingForADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d := withDeadline(t.Context(), time.Hour)
		if d.waitedFor() {
			t.Error("somebody waits before anybody did")
		}
		first := d.Done()
		for range 2 {
			if !d.waitedFor() {
				t.Error("nobody waits after somebody did")
			}
		}
		if d.Done() != first {
			t.Error("two who wait wait for two things")
		}
		d.end()
		<-first
		if err := d.Err(); !errors.Is(err, context.Canceled) || time.Since(began) > 0 {
			t.Errorf("ended: got %v after %v, want it canceled at once", err, time.Since(began))
		}
		if !d.waitedFor() {
			t.Error("who waited once may still hold the context")
		}
	})
}
