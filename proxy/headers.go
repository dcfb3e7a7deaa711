package proxy

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// The headers that the upstream learns the caller from. On an allow each is set,
// or removed when there is nothing to say: a copy that the client sent never
// reaches the upstream. Values are escaped by [Escape]; roles are joined by commas.
const (
	HeaderSubject = "x-rolegate-subject"
	HeaderTenant  = "x-rolegate-tenant"
	HeaderRoles   = "x-rolegate-roles"
)

// HeaderDecisionID tells a denied client which decision it was, so that support can
// look it up.
const HeaderDecisionID = "x-rolegate-decision-id"

// reservedPrefix begins every name that only this server sets.
const reservedPrefix = "x-rolegate-"

// Bounds of what one answer carries, identity headers included. Envoy answers 500
// to a mutation of 200 headers or of 70 KB.
const (
	maxHeaders     = 32
	maxHeaderBytes = 8 << 10
)

// Header is one mutation of a header.
type Header struct {
	Name   string // in lower case
	Value  string
	Append bool // false: replaces every copy there is; true: one more copy
}

// Escape writes a value of an identity header: visible ASCII stands as it is, all
// else, "%" and "," are percent-encoded byte by byte. So a list splits at its
// commas whatever its values hold; each part is percent-decoded then.
func Escape(s string) string {
	plain := func(c byte) bool { return ' ' < c && c < 0x7f && c != '%' && c != ',' }
	escapes := 0
	for i := range len(s) {
		if !plain(s[i]) {
			escapes++
		}
	}
	if escapes == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*escapes)
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// spelling is a header's name as a lax upstream reads it: CGI and its heirs make
// one variable of "x-role", "X-Role" and "x_role".
func spelling(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// reserved says whether a spelling is of a name that only this server sets.
func reserved(spelling string) bool { return strings.HasPrefix(spelling, reservedPrefix) }

// unsettable says whether a header decides how a message is framed, routed or
// attributed, so that no policy may touch it. Envoy would let it: a content-length
// of 5 on a body of 10 reaches the upstream as it is. No configuration shortens
// this list.
func unsettable(spelling string) bool {
	switch spelling {
	case "host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "keep-alive", "trailer",
		"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-client-cert":
		return true
	}
	return strings.HasPrefix(spelling, ":") || strings.HasPrefix(spelling, "proxy-") ||
		strings.HasPrefix(spelling, "x-envoy-") || reserved(spelling)
}

// validName says whether a header can have this name: a token of RFC 9110.
func validName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return name != ""
}

// validValue says whether a header or a query parameter can have this value without
// ending early or breaking the message that carries it.
func validValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.ValidString(value)
}

// spoofs are the names of headers that the client sent and only this server, or
// whoever stands before it, may set: those that begin with x-rolegate- and those of
// the configuration, in any case and with "_" for "-".
type spoofs []string

// Why a request is malformed, in logs.
var (
	errHeaderName     = errors.New("header name")
	errContentTypes   = errors.New("more than one content-type")
	errMethodOverride = errors.New("method override")
)

// add takes a name in if it is one. own are the spellings of the configuration. The
// error means that it is one and could not be taken out again.
func (s *spoofs) add(name string, own []string) error {
	if !begins(name, reservedPrefix) && (len(own) == 0 || !slices.Contains(own, spelling(name))) {
		return nil
	}
	if !validName(name) {
		return errHeaderName
	}
	lower := strings.ToLower(name)
	if at, found := slices.BinarySearch(*s, lower); !found {
		*s = slices.Insert(*s, at, lower)
	}
	return nil
}

// begins says whether the spelling of a name begins with prefix, without making the
// spelling: it is asked of every header of every request.
func begins(name, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := name[i]
		switch {
		case c == '_':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

const contentType = "content-type"

// isContentType says whether a name is read as content-type, by whomever.
func isContentType(name string) bool {
	return len(name) == len(contentType) && begins(name, contentType)
}

// isMethodOverride says whether frameworks take a request's method from a header of this
// spelling.
func isMethodOverride(spelling string) bool {
	switch spelling {
	case "x-http-method-override", "x-http-method", "x-method-override":
		return true
	}
	return false
}

// several says whether a value is of several headers that Envoy joined: there is a comma
// that is not between quotes.
func several(value string) bool {
	quoted := false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++ // what follows is itself
		case c == ',' && !quoted:
			return true
		}
	}
	return false
}
