package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// keysNoticed waits until rolegate counts so many issuers as down.
func (b *bed) keysNoticed(ctx context.Context, down int) error {
	want := fmt.Sprintf("\nrolegate_jwks_broken %d\n", down)
	return b.await(ctx, fmt.Sprintf("rolegate finds %d issuers down", down), func(ctx context.Context) error {
		_, text, err := b.gate.Get(ctx, "/metrics")
		if err == nil && !strings.Contains(text, want) {
			err = errors.New("it does not")
		}
		return err
	})
}

// issuerHas has the second issuer be in trouble until rolegate has noticed. The last good
// keys serve meanwhile.
func issuerHas(t trouble) func(context.Context, *campaign, *rand.Rand) error {
	return func(ctx context.Context, c *campaign, _ *rand.Rand) error {
		b := c.bed
		if err := errors.Join(b.keysNoticed(ctx, 0), b.issuer.set(ctx, t)); err != nil {
			return err
		}
		err := b.keysNoticed(ctx, 1)
		rest(ctx, outage)
		return errors.Join(err, b.issuer.set(ctx, well))
	}
}

// keysTooOld has the second issuer be in one trouble after the other, until nobody may be
// believed any more, and then be well again.
func keysTooOld(ctx context.Context, c *campaign, r *rand.Rand) error {
	b := c.bed
	if err := b.keysNoticed(ctx, 0); err != nil {
		return err
	}
	kinds := []trouble{away, failing, hanging}
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, t := range kinds {
		if err := b.issuer.set(ctx, t); err != nil {
			return err
		}
		rest(ctx, maxStale/time.Duration(len(kinds)))
	}
	rest(ctx, time.Until(b.checker.keys.tooOld()))
	current := b.current.Load()
	err := b.await(ctx, "tokens of keys that are too old are refused", func(ctx context.Context) error {
		return b.decidedAs(ctx, b.remote(current.tokens[always], current.key), false)
	})
	if err != nil {
		return err
	}
	rest(ctx, outage) // for the checker to see that it is so for everybody
	keys := &b.checker.keys
	keys.known.Store(current.key - 1) // what is handed out is not yet in use
	if err := b.issuer.set(ctx, well); err != nil {
		return err
	}
	err = b.await(ctx, "tokens are believed again", func(ctx context.Context) error {
		return b.decidedAs(ctx, b.remote(current.tokens[always], current.key), true)
	})
	keys.known.Store(current.key)
	return err
}

// keysRotated has the second issuer publish its next key beside the last one, and then
// alone.
func keysRotated(ctx context.Context, c *campaign, _ *rand.Rand) error {
	b, keys := c.bed, &c.bed.checker.keys
	last := b.current.Load()
	next, err := b.wallet.issue(last.key + 1)
	if err != nil {
		return err
	}
	keys.published.Store(next.key)
	if err := b.issuer.publish(b.wallet.issuers[last.key-1], b.wallet.issuers[next.key-1]); err != nil {
		return err
	}
	err = b.await(ctx, "the next key is known", func(ctx context.Context) error {
		return b.decidedAs(ctx, b.remote(next.tokens[always], next.key), true)
	})
	if err != nil {
		return err
	}
	keys.known.Store(next.key)
	b.current.Store(next)
	rest(ctx, outage) // both are good
	keys.withdrawn.Store(last.key)
	if err := b.issuer.publish(b.wallet.issuers[next.key-1]); err != nil {
		return err
	}
	err = b.await(ctx, "the last key is forgotten", func(ctx context.Context) error {
		return b.decidedAs(ctx, b.remote(last.tokens[always], last.key), false)
	})
	if err == nil {
		keys.retired.Store(last.key)
		rest(ctx, outage) // for the checker to see that it is so for everybody
	}
	return err
}

// remote is a question of the member who may always read, whom the second issuer vouches
// for.
func (b *bed) remote(credential string, key int64) question {
	return question{member: always, action: read, path: "/w/probe", credential: credential, key: key}
}

// decidedAs is nil when a question is decided so.
func (b *bed) decidedAs(ctx context.Context, q question, allowed bool) error {
	got := b.ask(ctx, q).outcome
	switch got {
	case "200":
		if allowed {
			return nil
		}
	case "401", "403", wronglyDenied:
		if !allowed {
			return nil
		}
	}
	return fmt.Errorf("got %s", got)
}
