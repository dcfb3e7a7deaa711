package identity

import (
	"context"
	"time"

	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// source is where an issuer's keys come from. It may be used concurrently.
type source interface {
	keeper // current is the keys in use at now; nil when there are none
	// without says why there are no keys at now, a [token.Error].
	without(now time.Time) error
	// renewed is asked for a key that set does not have. It answers newer keys, if it got
	// some in time, or set itself.
	renewed(ctx context.Context, set *keys.Set, t token.Token) *keys.Set
}

// current implements [source].
func (f *keyFile) current(time.Time) *keys.Set { return f.inUse() }

// without implements [source].
func (f *keyFile) without(time.Time) error { return token.ErrUnknownKey }

// renewed implements [source]: files are looked at often enough.
func (f *keyFile) renewed(_ context.Context, set *keys.Set, _ token.Token) *keys.Set { return set }
