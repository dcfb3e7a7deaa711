package spiffe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// maxID is the longest id, in bytes (SPIFFE ID, section 2.3).
const maxID = 2048

const scheme = "spiffe://"

// Pattern is a form of ids: a trust domain, or some, and segments, of which some have
// names. It is immutable. The zero value matches nothing.
type Pattern struct {
	domain   string   // the name of the domain in braces; "" if there is one domain
	domains  []string // that are trusted
	segments []segment
}

type segment struct {
	name string // in braces; "" for a literal
	text string
}

// Values are the parts of an id by the names in a pattern.
type Values map[string]string

// ParsePattern reads spiffe://{domain}/ns/{ns}/sa/{sa}, or with the domain written out.
// domains are those that one in braces may be.
func ParsePattern(text string, domains []string) (Pattern, error) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return Pattern{}, errors.New("want spiffe://, a trust domain and a path such as /ns/{ns}/sa/{sa}")
	}
	parts := strings.Split(rest, "/")
	var p Pattern
	names := map[string]bool{}
	for i, part := range parts {
		name, inBraces, err := braces(part)
		switch {
		case err != nil:
			return Pattern{}, err
		case inBraces && names[name]:
			return Pattern{}, fmt.Errorf("names {%s} twice", name)
		case inBraces:
			names[name] = true
		}
		if i == 0 {
			p.domain, p.domains = name, domains
			if !inBraces {
				p.domains = []string{part}
			}
			continue
		}
		if !inBraces && spiffeid.ValidatePathSegment(part) != nil {
			return Pattern{}, fmt.Errorf("segment %q cannot be in an id", part)
		}
		p.segments = append(p.segments, segment{name: name, text: part})
	}
	switch {
	case p.domain != "" && len(domains) == 0:
		return Pattern{}, fmt.Errorf("want the trust domains that {%s} may be in domains", p.domain)
	case p.domain == "" && len(domains) > 0:
		return Pattern{}, errors.New("names its trust domain itself, want no domains, or {domain} in its place")
	}
	for _, domain := range p.domains {
		if td, err := spiffeid.TrustDomainFromString(domain); err != nil || td.Name() != domain {
			return Pattern{}, fmt.Errorf("%q is no trust domain: want lower-case letters, digits, dots, dashes and underscores", domain)
		}
	}
	return p, nil
}

// braces reads a part that may be a name in braces.
func braces(part string) (name string, inBraces bool, err error) {
	if !strings.ContainsAny(part, "{}") {
		return "", false, nil
	}
	name, ok := strings.CutPrefix(part, "{")
	name, end := strings.CutSuffix(name, "}")
	if !ok || !end || !isName(name) {
		return "", false, fmt.Errorf("%q: want a whole segment {name} of lower-case letters, digits and underscores", part)
	}
	return name, true, nil
}

func isName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// Names are those in braces, in order.
func (p Pattern) Names() []string {
	var names []string
	if p.domain != "" {
		names = append(names, p.domain)
	}
	for _, s := range p.segments {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	return names
}

// Domain is the name of the trust domain; "" where the pattern writes it out.
func (p Pattern) Domain() string { return p.domain }

// Match reads an id. A text that is none, or not of this form, or not of a trusted
// domain, does not match.
func (p Pattern) Match(text string) (Values, bool) {
	if len(text) > maxID {
		return nil, false
	}
	id, err := spiffeid.FromString(text)
	// What reads otherwise than it is written is no id: ids are compared as they are.
	if err != nil || id.String() != text {
		return nil, false
	}
	domain := id.TrustDomain().Name()
	if !slices.Contains(p.domains, domain) {
		return nil, false
	}
	values := Values{}
	if p.domain != "" {
		values[p.domain] = domain
	}
	rest := id.Path()
	for _, s := range p.segments {
		var part string
		if rest == "" {
			return nil, false
		}
		part, rest = cutSegment(rest)
		if s.name == "" && part != s.text {
			return nil, false
		}
		if s.name != "" {
			values[s.name] = part
		}
	}
	return values, rest == ""
}

// cutSegment takes the first segment off a path that begins with a slash.
func cutSegment(path string) (part, rest string) {
	path = path[1:]
	if at := strings.IndexByte(path, '/'); at >= 0 {
		return path[:at], path[at:]
	}
	return path, ""
}

// Template makes a text of values: "{ns}/{sa}". The zero value makes the empty text.
type Template struct {
	parts []segment
}

// ParseTemplate reads a template whose names are among those of a pattern.
func ParseTemplate(text string, names []string) (Template, error) {
	var t Template
	for text != "" {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			at = len(text)
		}
		if at > 0 {
			if strings.Contains(text[:at], "}") {
				return Template{}, errors.New("has a } without its {")
			}
			t.parts = append(t.parts, segment{text: text[:at]})
			text = text[at:]
			continue
		}
		name, rest, ok := strings.Cut(text[1:], "}")
		if !ok || !slices.Contains(names, name) {
			return Template{}, fmt.Errorf("{%s} is no name in match", name)
		}
		t.parts = append(t.parts, segment{name: name})
		text = rest
	}
	return t, nil
}

// Uses says whether a name stands in the template.
func (t Template) Uses(name string) bool {
	return slices.ContainsFunc(t.parts, func(s segment) bool { return s.name == name })
}

// Text is the template with values in it, each put through escape first; nil is as they
// are.
func (t Template) Text(values Values, escape func(string) string) string {
	var b strings.Builder
	for _, part := range t.parts {
		switch {
		case part.name == "":
			b.WriteString(part.text)
		case escape == nil:
			b.WriteString(values[part.name])
		default:
			b.WriteString(escape(values[part.name]))
		}
	}
	return b.String()
}
