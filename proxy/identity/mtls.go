package identity

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/spiffe"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// forwardedHeader is where a proxy says whose certificate it verified.
const forwardedHeader = "x-forwarded-client-cert"

// mtls is the authenticator of verified certificates. It may be used concurrently.
type mtls struct {
	ids       []spiffeID
	forwarded Trusted
	memory    *memory // its own: there are no places in it
	metrics   *metrics
}

// spiffeID is [SPIFFE], compiled.
type spiffeID struct {
	pattern spiffe.Pattern
	id      spiffe.Template
	kind    string
	tenant  spiffe.Template
	issuer  string
}

// Authenticate implements [proxy.Authenticator]. The error is a [token.Error].
func (a *mtls) Authenticate(_ context.Context, _ policy.View, c proxy.Credentials) (policy.Subject, error) {
	subject, err := a.subject(c)
	if err != nil || subject.ID != "" {
		a.metrics.credential("mtls", err)
	}
	return subject, err
}

func (a *mtls) subject(c proxy.Credentials) (policy.Subject, error) {
	principal, certificate := c.Principal, c.Certificate
	if a.forwarded.trusts(c) {
		certificate = ""
		var err error
		// A trusted proxy speaks for its clients; where it says nothing there was no
		// certificate. It is never itself the caller: whoever it let in without one would be it.
		if principal, err = forwarded(c.Headers.Values(forwardedHeader)); err != nil {
			return policy.Subject{}, err
		}
	}
	if principal == "" && certificate == "" {
		return policy.Subject{}, nil
	}
	now, text := time.Now(), principal
	if certificate != "" {
		text += " " + certificate // no id has a space
	}
	if subject, ok := a.memory.get(text, nil, now); ok {
		return subject, nil
	}
	var ends time.Time
	if certificate != "" {
		uri, notAfter, err := spiffe.Certificate(certificate)
		switch {
		case errors.Is(err, spiffe.ErrNoURI) || err == nil && uri != principal:
			return policy.Subject{}, token.ErrUnknownPrincipal
		case err != nil:
			return policy.Subject{}, token.ErrMalformed
		}
		ends = notAfter
	}
	for i := range a.ids {
		values, ok := a.ids[i].pattern.Match(principal)
		if !ok {
			continue
		}
		subject := a.ids[i].subject(values, ends).Ready()
		a.memory.put(entry{token: text, source: lasting{}, until: now.Add(longestMemory), subject: subject}, now)
		return subject, nil
	}
	return policy.Subject{}, token.ErrUnknownPrincipal
}

// forwarded is whom the last proxy saw; "" where it saw no certificate.
func forwarded(values []string) (string, error) {
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", nil
	case len(values) > 1:
		return "", token.ErrAmbiguous
	}
	uri, err := spiffe.LastURI(values[0])
	switch {
	case errors.Is(err, spiffe.ErrNoURI):
		return "", token.ErrUnknownPrincipal
	case err != nil:
		return "", token.ErrMalformed
	}
	return uri, nil
}

// subject is whom an id stands for, until its certificate ends: a connection may last
// longer. The zero time is no end that we know.
func (s *spiffeID) subject(values spiffe.Values, ends time.Time) policy.Subject {
	claims := members{}
	if !ends.IsZero() {
		claims.add("exp", millisValue(ends.UnixMilli()))
	}
	claims.addText("iss", s.issuer)
	// A tenant is one segment of a path of tenants, as in routes.
	claims.addText("tenant", s.tenant.Text(values, func(v string) string { return strings.ReplaceAll(v, ".", "%2E") }))
	return policy.Subject{ID: s.id.Text(values, nil), Type: s.kind, Claims: claims.object()}
}

// addText adds a text that is not empty.
func (m *members) addText(name, text string) {
	if text != "" {
		m.add(name, ast.String(text))
	}
}

// lasting is the keeper of what no key verified: it does not change.
type lasting struct{}

func (lasting) current(time.Time) *keys.Set { return nil }
