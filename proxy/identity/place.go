package identity

import (
	"net/url"
	"strings"

	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// place is one place where tokens are looked for, with the issuers whose tokens
// are taken there.
type place struct {
	where   Place              // of one member
	issuers map[string]*issuer // by iss
}

// The header of bearer tokens, and its scheme.
const (
	authorization = "authorization"
	bearer        = "bearer"
)

// normal fills the defaults in. Names of headers and schemes are in lower case.
func (p Place) normal() Place {
	p.Header = strings.ToLower(p.Header)
	p.Scheme = strings.ToLower(p.Scheme)
	if p.Header == "" && p.Cookie == "" && p.Query == "" {
		p.Header = authorization
	}
	if p.Header == authorization && p.Scheme == "" {
		p.Scheme = bearer
	}
	return p
}

// find answers the token that stands here. More than one is no choice of ours to
// make: what we verify and what the application reads could differ.
func (p Place) find(c proxy.Credentials) (text string, found bool, err error) {
	h := c.Headers
	switch {
	case p.Cookie != "":
		return findCookie(h.Values("cookie"), p.Cookie)
	case p.Query != "":
		return findQuery(c.Path, p.Query)
	case p.Scheme != "":
		return findScheme(h.Values(p.Header), p.Scheme)
	default:
		return findPlain(h.Values(p.Header))
	}
}

// findPlain takes the whole value. An empty one is no credential.
func findPlain(values []string) (string, bool, error) {
	switch {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1 || strings.Contains(values[0], ","):
		return "", false, token.ErrAmbiguous
	}
	text := strings.Trim(values[0], " \t")
	return text, text != "", nil
}

// findScheme takes the value after a scheme. Another scheme's credential is not
// ours, but ours beside another is ambiguous: Envoy joins copies of authorization
// with a comma, and upstreams choose the first or the last.
func findScheme(values []string, scheme string) (string, bool, error) {
	if len(values) == 1 && !strings.Contains(values[0], ",") {
		text, ours := afterScheme(values[0], scheme)
		if ours && text == "" {
			return "", false, token.ErrMalformed
		}
		return text, ours, nil
	}
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			if _, ours := afterScheme(one, scheme); ours {
				return "", false, token.ErrAmbiguous
			}
		}
	}
	return "", false, nil
}

func afterScheme(value, scheme string) (text string, ours bool) {
	value = strings.Trim(value, " \t")
	word, rest := value, ""
	if end := strings.IndexAny(value, " \t"); end >= 0 {
		word, rest = value[:end], value[end:]
	}
	return strings.TrimLeft(rest, " \t"), strings.EqualFold(word, scheme)
}

// findCookie looks through every cookie. A comma divides too: that is how copies of
// the header arrive, and a cookie that only some readers see is ambiguous.
func findCookie(values []string, name string) (string, bool, error) {
	var text string
	n := 0
	for _, value := range values {
		for pair := range strings.SplitSeq(value, ";") {
			for part := range strings.SplitSeq(pair, ",") {
				key, v, ok := strings.Cut(part, "=")
				if !ok || strings.Trim(key, " \t") != name {
					continue
				}
				if text = strings.Trim(v, " \t"); len(part) != len(pair) {
					n++ // counts twice
				}
				n++
			}
		}
	}
	if n > 1 {
		return "", false, token.ErrAmbiguous
	}
	return text, text != "", nil
}

// findQuery looks through the query of the target as it was sent.
func findQuery(path, name string) (string, bool, error) {
	var text string
	n := 0
	path, _, _ = strings.Cut(path, "#")
	_, query, _ := strings.Cut(path, "?")
	for pair := range strings.SplitSeq(query, "&") {
		key, v, _ := strings.Cut(pair, "=")
		if key, _ := url.QueryUnescape(key); key != name { // "" on an error
			continue
		}
		v, err := url.QueryUnescape(v)
		if err != nil {
			return "", false, token.ErrMalformed
		}
		text = v
		n++
	}
	if n > 1 {
		return "", false, token.ErrAmbiguous
	}
	return text, text != "", nil
}
