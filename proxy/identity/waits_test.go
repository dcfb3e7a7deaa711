package identity_test

import (
	"context"
	"testing"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// asked is a context that notes whether somebody asked for its end.
type asked struct {
	context.Context //nolint:containedctx // it is one
	done            int
}

func (a *asked) Done() <-chan struct{} {
	a.done++
	return a.Context.Done()
}

// TestSaysThatItTakesLonger: before a signature is verified, the context is asked for its
// end, so that whoever reads the connection may have it read on elsewhere. A token that is
// remembered takes no longer than the request, and asks for nothing.
func TestSaysThatItTakesLonger(t *testing.T) {
	w := newWorld(t)
	id := load(t, w.config(), nil, zap.NewNop())
	for _, c := range []struct {
		name, text string
		asks       bool
	}{
		{"verified", mustSign(t, w.ed, payload(issuerURL, nil)), true},
		{"remembered", mustSign(t, w.ed, payload(issuerURL, nil)), false},
		{"refused", mustSign(t, w.ed, payload(issuerURL, nil))[1:], true},
	} {
		ctx := &asked{Context: t.Context()}
		_, err := id.Authenticate(ctx, policy.View{}, proxy.Credentials{Headers: bearer(c.text)})
		if (err != nil) != (c.name == "refused") || (ctx.done > 0) != c.asks {
			t.Errorf("%s: %v, asked %d times, want it asked: %t", c.name, err, ctx.done, c.asks)
		}
	}
}
