package identity

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rolegate/rolegate/proxy/identity/issue"
	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// published is a source that answers other keys once it is asked for them.
type published struct {
	now, next *keys.Set
	asked     int
}

func (p *published) current(time.Time) *keys.Set { return p.now }
func (p *published) without(time.Time) error     { return token.ErrNoKeys }
func (p *published) renewed(context.Context, *keys.Set, token.Token) *keys.Set {
	p.asked++
	return p.next
}

// TestNewerKeysAreAskedFor: only for a token that names a key which is not there, and what
// verifies then is the newer set.
func TestNewerKeysAreAskedFor(t *testing.T) {
	var named []*issue.Key
	for range 3 {
		k, err := issue.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, k)
	}
	set := func(of ...*issue.Key) *keys.Set {
		doc, err := issue.JWKS(of...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := keys.ParseJWKS(doc)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	by := func(k *issue.Key) token.Token {
		text, err := k.Sign(map[string]any{"sub": "u"})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := token.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	forged := by(named[0])
	forged.Signature = by(named[1]).Signature
	nameless := by(named[0])
	nameless.KeyID, nameless.HasKeyID = "", false
	older, newer := set(named[0], named[1]), set(named[0], named[1], named[2])
	for _, tt := range []struct {
		name      string
		now, next *keys.Set
		tok       token.Token
		want      error
		verified  *keys.Set
		asked     int
	}{
		{"a key that is there", older, newer, by(named[0]), nil, older, 0},
		{"a key that is there by now", older, newer, by(named[2]), nil, newer, 1},
		{"a key that is nowhere", older, older, by(named[2]), token.ErrUnknownKey, older, 1},
		{"a bad signature", older, newer, forged, token.ErrBadSignature, older, 0},
		{"no name among several", older, newer, nameless, token.ErrUnknownKey, older, 0},
		{"no keys", nil, newer, by(named[2]), token.ErrNoKeys, nil, 0},
	} {
		source := &published{now: tt.now, next: tt.next}
		got, err := (&issuer{source: source}).verify(t.Context(), tt.tok, time.Now())
		if !errors.Is(err, tt.want) || got != tt.verified || source.asked != tt.asked {
			t.Errorf("%s: got keys %p, error %v, asked %d times\nwant keys %p, error %v, asked %d times",
				tt.name, got, err, source.asked, tt.verified, tt.want, tt.asked)
		}
	}
}
