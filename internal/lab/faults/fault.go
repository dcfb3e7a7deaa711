package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	signalContinue = syscall.SIGCONT
	// Lengths of faults: long enough for Envoy to notice, short enough for many.
	outage   = 150 * time.Millisecond
	pause    = 200 * time.Millisecond
	overload = 500 * time.Millisecond
	keysGone = 300 * time.Millisecond
	// tenfold is how many more ask during an overload.
	tenfold = 10
	few     = 20 // requests of a kind in one fault
)

// fault breaks something and mends it again.
type fault struct {
	name string
	do   func(ctx context.Context, c *campaign, r *rand.Rand) error
}

// all faults there are.
func all() []fault {
	return []fault{
		{"kill -9", crash},
		{"SIGTERM", term},
		{"takeover", takeover},
		{"SIGSTOP", hang},
		{"slow policy", slowPolicy},
		{"overload", overloaded},
		{"key file gone", keysLost},
		{"issuer away", issuerHas(away)},
		{"issuer answers 500", issuerHas(failing)},
		{"issuer hangs", issuerHas(hanging)},
		{"keys too old", keysTooOld},
		{"keys rotated", keysRotated},
		{"swap", swap},
		{"broken bundle", broken},
		{"half a body", truncated},
		{"body too long", tooLong},
		{"canceled", cancelMany},
	}
}

// back waits until rolegate serves again.
func (b *bed) back(ctx context.Context) error {
	if err := b.await(ctx, "rolegate is ready", b.gate.Ready); err != nil {
		return err
	}
	if err := b.await(ctx, "Envoy finds it healthy", b.healthy); err != nil {
		return err
	}
	return b.confirm(ctx)
}

// crash ends rolegate as the kernel does when memory ends.
func crash(ctx context.Context, c *campaign, _ *rand.Rand) error {
	if err := c.bed.gate.Kill(); err != nil {
		return err
	}
	rest(ctx, outage)
	if err := c.bed.start(ctx); err != nil {
		return err
	}
	return c.bed.back(ctx)
}

// term ends it as an orchestrator does, and starts it afterwards.
func term(ctx context.Context, c *campaign, _ *rand.Rand) error {
	if err := c.bed.stop(c.bed.gate); err != nil {
		return err
	}
	if err := c.bed.start(ctx); err != nil {
		return err
	}
	return c.bed.back(ctx)
}

// takeover starts a new one on the same socket and ends the old one once it serves.
func takeover(ctx context.Context, c *campaign, _ *rand.Rand) error {
	old := c.bed.gate
	if err := c.bed.start(ctx); err != nil {
		return err
	}
	if err := c.bed.back(ctx); err != nil {
		return err
	}
	return c.bed.stop(old)
}

// hang stops it without ending it.
func hang(ctx context.Context, c *campaign, _ *rand.Rand) error {
	if err := c.bed.gate.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	rest(ctx, pause)
	if err := c.bed.gate.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	return c.bed.back(ctx)
}

// slowPolicy asks what no evaluation comes to the end of.
func slowPolicy(ctx context.Context, c *campaign, r *rand.Rand) error {
	c.beside(ctx, few, r, func(ctx context.Context, r *rand.Rand) string {
		return c.bed.ask(ctx, c.bed.as(r.IntN(members), slow, "/slow/"+strconv.Itoa(r.IntN(few)))).outcome
	})
	return c.bed.back(ctx)
}

// overloaded has ten times as many ask what memory does not know.
func overloaded(ctx context.Context, c *campaign, r *rand.Rand) error {
	end := time.Now().Add(overload)
	c.beside(ctx, tenfold*c.cfg.Askers, r, func(ctx context.Context, r *rand.Rand) string {
		for ctx.Err() == nil && time.Now().Before(end) {
			c.count(c.bed.ask(ctx, c.bed.unique(r)).outcome)
		}
		return ""
	})
	return c.bed.back(ctx)
}

// keysLost takes the file with the first issuer's keys away.
func keysLost(ctx context.Context, c *campaign, _ *rand.Rand) error {
	aside := c.bed.keys + ".aside"
	if err := os.Rename(c.bed.keys, aside); err != nil {
		return err
	}
	rest(ctx, keysGone)
	if err := os.Rename(aside, c.bed.keys); err != nil {
		return err
	}
	return c.bed.back(ctx)
}

// swap brings the next world.
func swap(ctx context.Context, c *campaign, _ *rand.Rand) error {
	if err := c.bed.write(c.bed.checker.written.Load() + 1); err != nil {
		return err
	}
	return c.bed.confirm(ctx)
}

// broken brings what is no bundle, then the next world.
func broken(ctx context.Context, c *campaign, r *rand.Rand) error {
	b := c.bed
	whole, err := document(b.checker.written.Load())
	if err != nil {
		return err
	}
	junk := [][]byte{whole[:len(whole)/2], nil, []byte("{}{}"), []byte(`{"world": {"grants": {}, "grants": {}}}`), []byte(`{"rbac": {"roles": {}}}`)}
	if err := b.put(b.worldFile(), junk[r.IntN(len(junk))]); err != nil {
		return err
	}
	rest(ctx, pause)
	return swap(ctx, c, r)
}

// truncated sends bodies that end too soon.
func truncated(ctx context.Context, c *campaign, r *rand.Rand) error {
	c.beside(ctx, few, r, func(ctx context.Context, r *rand.Rand) string {
		q := c.bed.any(r)
		q.action = write
		if r.IntN(2) == 0 {
			q.action, q.path, q.body = pay, "/pay/1", &body{sins: "never came whole"}
		}
		return c.bed.truncate(ctx, q)
	})
	return nil
}

// tooLong sends bodies of which rolegate is shown a part.
func tooLong(ctx context.Context, c *campaign, r *rand.Rand) error {
	c.beside(ctx, few, r, func(ctx context.Context, r *rand.Rand) string {
		return c.bed.ask(ctx, c.bed.withBody(r)).outcome
	})
	return nil
}

// cancelMany sends requests and goes before they are answered.
func cancelMany(ctx context.Context, c *campaign, r *rand.Rand) error {
	c.beside(ctx, few, r, func(ctx context.Context, r *rand.Rand) string {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, cancel).Stop()
		return c.bed.ask(ctx, c.bed.unique(r)).outcome
	})
	return nil
}

// rest lets the load feel a fault.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// beside has n more ask at a time, and counts what they get; "" is not counted.
func (c *campaign) beside(ctx context.Context, n int, r *rand.Rand, ask func(ctx context.Context, r *rand.Rand) string) {
	var wg sync.WaitGroup
	for range n {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		wg.Go(func() {
			if outcome := ask(ctx, own); outcome != "" {
				c.count(outcome)
			}
		})
	}
	wg.Wait()
}

// wrap says in which fault an error was.
func (f fault) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", f.name, err)
}
