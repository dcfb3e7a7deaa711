package identity

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// jwt is the authenticator of signed tokens. It may be used concurrently.
type jwt struct {
	places  []*place // in the order in which the issuers name them
	memory  *memory
	metrics *metrics
}

// issuer is [Issuer], compiled. Only the keys of its source change.
type issuer struct {
	name        string
	algorithms  []string
	types       []string
	audiences   []string
	anyAudience bool
	leeway      int64 // in milliseconds
	source      source
	mapping     mapping
}

// Authenticate implements [proxy.Authenticator]. The error is a [token.Error].
func (a *jwt) Authenticate(ctx context.Context, _ policy.View, c proxy.Credentials) (policy.Subject, error) {
	for _, p := range a.places {
		text, found, err := p.where.find(c)
		if err != nil {
			a.metrics.bad(err)
			return policy.Subject{}, err
		}
		if found {
			return a.subject(ctx, p, text)
		}
	}
	return policy.Subject{}, nil
}

func (a *jwt) subject(ctx context.Context, p *place, text string) (policy.Subject, error) {
	now := time.Now()
	if subject, ok := a.memory.get(text, p, now); ok {
		a.metrics.remembered.Inc()
		return subject, nil
	}
	_ = ctx.Done() // a signature takes a while: whose goroutine this is may have it read on elsewhere
	e, err := p.verify(ctx, text, now)
	if err != nil {
		a.metrics.bad(err)
		return policy.Subject{}, err
	}
	a.metrics.verified.Inc()
	a.memory.put(e, now)
	return e.subject, nil
}

// verify checks everything of a token but its issuer's authority and its times.
func (p *place) verify(ctx context.Context, text string, now time.Time) (entry, error) {
	t, err := token.Parse(text)
	if err != nil {
		return entry{}, err
	}
	name, _ := t.Payload["iss"].(string) // no issuer has the empty name
	iss, ok := p.issuers[name]
	if !ok {
		return entry{}, token.ErrUnknownIssuer
	}
	if !slices.Contains(iss.algorithms, t.Algorithm) {
		return entry{}, token.ErrAlgorithm
	}
	if !iss.isType(t.Type) {
		return entry{}, token.ErrWrongType
	}
	// Loaded once: the keys that verify are the keys that are remembered.
	set, err := iss.verify(ctx, t, now)
	if err != nil {
		return entry{}, err
	}
	until, subject, err := iss.believe(t.Payload)
	if err != nil {
		return entry{}, err
	}
	return entry{token: text, place: p, source: iss.source, keys: set, until: until, subject: subject.Ready()}, nil
}

// verify checks the signature, and answers the keys that did it.
func (i *issuer) verify(ctx context.Context, t token.Token, now time.Time) (*keys.Set, error) {
	set := i.source.current(now)
	if set == nil {
		return nil, i.source.without(now)
	}
	err := set.Verify(t)
	if errors.Is(err, token.ErrUnknownKey) && t.HasKeyID {
		set = i.source.renewed(ctx, set, t)
		err = set.Verify(t)
	}
	return set, err
}

// believe reads a payload whose signature is good: the subject, and when it expires.
func (i *issuer) believe(payload map[string]any) (time.Time, policy.Subject, error) {
	if !i.isAudience(payload["aud"]) {
		return time.Time{}, policy.Subject{}, token.ErrWrongAudience
	}
	t, err := timesOf(payload, i.leeway)
	if err != nil {
		return time.Time{}, policy.Subject{}, err
	}
	claims := members{}
	claims.add("iss", ast.String(i.name))
	claims.add("exp", millisValue(t.exp))
	if t.hasNBF {
		claims.add("nbf", millisValue(t.nbf))
	}
	switch jti := payload["jti"].(type) {
	case nil:
	case string:
		claims.add("jti", ast.String(jti))
	default: // a token that cannot be named cannot be revoked
		return time.Time{}, policy.Subject{}, token.ErrBadClaim
	}
	subject, err := i.mapping.subject(payload, &claims)
	return time.UnixMilli(t.exp), subject, err
}

func (i *issuer) isType(typ string) bool {
	return len(i.types) == 0 || slices.ContainsFunc(i.types, func(one string) bool { return strings.EqualFold(one, typ) })
}

func millisValue(ms int64) ast.Value {
	return ast.Number(strconv.FormatInt(ms, 10))
}

// isAudience says whether aud, a string or a list of strings, names us.
func (i *issuer) isAudience(aud any) bool {
	if i.anyAudience {
		return true
	}
	switch aud := aud.(type) {
	case string:
		return slices.Contains(i.audiences, aud)
	case []any:
		found := false
		for _, v := range aud {
			name, ok := v.(string)
			if !ok {
				return false
			}
			found = found || slices.Contains(i.audiences, name)
		}
		return found
	default:
		return false
	}
}
