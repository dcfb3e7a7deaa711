package identity

import (
	"context"
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// longestHeader bounds what one header may say, in bytes.
const longestHeader = 8 << 10

// fromHeaders is the authenticator that believes what trusted peers say. It may be used
// concurrently.
type fromHeaders struct {
	from        Trusted
	names       []string // of all that are read
	id          string
	kind        string
	tenant      string
	email       string
	roles       string
	permissions string
	separator   string
	issuer      string
	memory      *memory // of what headers came to, its own
	metrics     *metrics
}

// Authenticate implements [proxy.Authenticator]. The error is a [token.Error].
func (a *fromHeaders) Authenticate(_ context.Context, _ policy.View, c proxy.Credentials) (policy.Subject, error) {
	if !a.said(c.Headers) {
		return policy.Subject{}, nil
	}
	var subject policy.Subject
	err := error(token.ErrUntrustedPeer)
	if a.from.trusts(c) {
		subject, err = a.remembered(c.Headers)
	}
	a.metrics.credential("headers", err)
	return subject, err
}

// usualText is room for what is usually said, in bytes. More than that is not remembered.
const usualText = 512

// remembered answers as subject does, which depends on nothing but what the headers say:
// no time passes for it, and whether to believe them was asked before.
func (a *fromHeaders) remembered(h proxy.Headers) (policy.Subject, error) {
	var room [usualText]byte
	var still time.Time
	text, fits := a.appendSaid(room[:0], h)
	if fits {
		if subject, ok := a.memory.getBytes(text, still); ok {
			return subject, nil
		}
	}
	subject, err := a.subject(h)
	if err != nil || !fits {
		return subject, err
	}
	subject = subject.Ready()
	a.memory.put(entry{token: string(text), source: lasting{}, until: still.Add(longestMemory), subject: subject}, still)
	return subject, nil
}

// appendSaid writes all that the headers say, so that two texts are the same only if they
// say the same. fits is false where there is no room for it.
func (a *fromHeaders) appendSaid(b []byte, h proxy.Headers) (text []byte, fits bool) {
	for _, name := range a.names {
		values := h.Values(name)
		b = binary.AppendUvarint(b, uint64(len(values)))
		for _, value := range values {
			if len(b)+binary.MaxVarintLen64+len(value) > cap(b) {
				return b, false
			}
			b = append(binary.AppendUvarint(b, uint64(len(value))), value...)
		}
	}
	return b, len(b) <= usualText
}

// said says whether any of the headers says anything.
func (a *fromHeaders) said(h proxy.Headers) bool {
	for _, name := range a.names {
		for _, value := range h.Values(name) {
			if strings.Trim(value, " \t") != "" {
				return true
			}
		}
	}
	return false
}

func (a *fromHeaders) subject(h proxy.Headers) (policy.Subject, error) {
	id, err := one(h, a.id, false)
	if err != nil {
		return policy.Subject{}, err
	}
	if id == "" {
		return policy.Subject{}, token.ErrBadSubject
	}
	claims := members{}
	claims.addText("iss", a.issuer)
	for _, text := range [...]struct{ claim, header string }{{"tenant", a.tenant}, {"email", a.email}} {
		v, err := one(h, text.header, false)
		if err != nil {
			return policy.Subject{}, err
		}
		claims.addText(text.claim, v)
	}
	for _, each := range [...]struct{ claim, header string }{{"roles", a.roles}, {"permissions", a.permissions}} {
		v, err := one(h, each.header, a.separator == ",")
		if err != nil {
			return policy.Subject{}, err
		}
		if len(h.Values(each.header)) == 0 {
			continue
		}
		claims.add(each.claim, list(split(v, a.separator)))
	}
	return policy.Subject{ID: id, Type: a.kind, Claims: claims.object()}, nil
}

// split divides a list; white space around a value is no part of it, and an empty value
// is none.
func split(text, separator string) []string {
	var values []string
	for value := range strings.SplitSeq(text, separator) {
		if value = strings.Trim(value, " \t"); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// one is what a header says that was sent once; "" where it was not. Envoy joins copies
// with a comma, so a comma is a second copy, unless commas are asked for.
func one(h proxy.Headers, name string, commas bool) (string, error) {
	if name == "" {
		return "", nil
	}
	values := h.Values(name)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || !commas && strings.Contains(values[0], ","):
		return "", token.ErrAmbiguous
	case len(values[0]) > longestHeader:
		return "", token.ErrTooLarge
	}
	value := strings.Trim(values[0], " \t")
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return "", token.ErrMalformed
	}
	return strings.Clone(value), nil
}
