package canonical

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Target is a request target that has one reading.
type Target struct {
	// Segments are the parts between slashes, each decoded once. Never empty
	// for a Target made by Path: "/" is [""], "/a" is ["a"], and a trailing
	// slash is a last, empty segment: "/a/" is ["a", ""]. Only the last can be
	// empty; none holds a slash, a backslash, a percent sign or a control
	// character.
	Segments []string
	// RawQuery is what follows the first "?", as it was sent.
	RawQuery string

	path string // the canonical form when it is what was sent, else ""
}

// Path reads a request target in origin form, "/path?query". It splits at the
// first "?", then the raw path at each "/", and only then decodes, each segment
// once: an encoded slash can therefore never become a separator. Every error is
// an *Error whose Part is "path".
//
// Raw spaces and raw bytes beyond ASCII are refused as Envoy's parser refuses
// them. Path parameters (";a=b") stay part of their segment, but a segment that
// is empty or a dot segment without them is refused: some servlet containers cut
// them off before they resolve dots.
func Path(raw string) (Target, error) { return PathInto(nil, raw) }

// PathInto is [Path] whose Segments take the place of what is in room, and are as long
// as that has room for them: for whoever reads one target after the other.
func PathInto(room []string, raw string) (Target, error) {
	if raw == "" {
		return Target{}, refusePath(Empty, 0)
	}
	if raw[0] != '/' {
		if strings.Contains(raw, "://") {
			return Target{}, refusePath(AbsoluteForm, 0)
		}
		return Target{}, refusePath(NotAbsolute, 0)
	}
	if reason, offset := unsendable(raw); reason != "" {
		return Target{}, refusePath(reason, offset)
	}

	path, query, _ := strings.Cut(raw, "?")
	// Counted, but not beyond what paths have: a request of slashes must not
	// cost sixteen times its size before it is refused.
	const usualSegments = 32
	if room == nil {
		room = make([]string, 0, min(strings.Count(path, "/"), usualSegments))
	}
	target := Target{Segments: room[:0], RawQuery: query}
	asSent := true
	for start, more := 1, true; more; {
		segment, _, found := strings.Cut(path[start:], "/")
		more = found
		decoded, same, reason := decodeSegment(segment)
		if reason == "" {
			reason = confusing(decoded, !more)
		}
		if reason != "" {
			return Target{}, refusePath(reason, start)
		}
		asSent = asSent && same
		target.Segments = append(target.Segments, decoded)
		start += len(segment) + 1
	}
	if asSent {
		target.path = path
	}
	return target, nil
}

// String is the path in its canonical form: what may stand raw is raw, all else
// is an upper-case escape of UTF-8, without the query. Path reads it to the same
// segments, and two targets have one form only if they have the same segments.
// The zero Target is "".
func (t Target) String() string {
	if t.path != "" {
		return t.path
	}
	var b strings.Builder
	for _, segment := range t.Segments {
		b.WriteByte('/')
		for i := range len(segment) {
			if c := segment[i]; standsRaw(c) {
				b.WriteByte(c)
			} else {
				const hex = "0123456789ABCDEF"
				b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			}
		}
	}
	return b.String()
}

func refusePath(reason Reason, offset int) error {
	return &Error{Part: "path", Reason: reason, Offset: offset}
}

// unsendable finds what no client may send raw anywhere in a target.
func unsendable(raw string) (Reason, int) {
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '#':
			return Fragment, i
		case c == 0:
			return NUL, i
		case c < ' ' || c == 0x7f:
			return Control, i
		case c == ' ' || c >= utf8.RuneSelf:
			return Unencoded, i
		}
	}
	return "", 0
}

// decodeSegment decodes one raw segment. same says that the canonical form of
// the result is what was sent.
func decodeSegment(raw string) (decoded string, same bool, reason Reason) {
	same = true
	escapes := 0
	for i := range len(raw) {
		switch c := raw[i]; {
		case isAlphanumeric(c): // nearly all are
		case c == '\\':
			return "", false, Backslash
		case c == '%':
			b, ok := unescape(raw[i:])
			if !ok {
				return "", false, BadEscape
			}
			if reason := encodedByte(b); reason != "" {
				return "", false, reason
			}
			escapes++ // its digits stand raw
		case !standsRaw(c):
			same = false
		}
	}
	if escapes == 0 {
		return raw, same, ""
	}
	buf := make([]byte, 0, len(raw)-2*escapes)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			c, _ = unescape(raw[i:])
			i += 2
		}
		buf = append(buf, c)
	}
	if !utf8.Valid(buf) {
		return "", false, BadUTF8
	}
	decoded = string(buf)
	if strings.ContainsFunc(decoded, unicode.IsControl) {
		return "", false, Control
	}
	return decoded, false, ""
}

// encodedByte refuses what an escape in a path must not hide.
func encodedByte(b byte) Reason {
	switch {
	case b == '/':
		return EncodedSlash
	case b == '\\':
		return Backslash
	case b == '%':
		return EncodedPercent
	case b == 0:
		return NUL
	case b < ' ' || b == 0x7f:
		return Control
	}
	return ""
}

// confusing refuses segments that a backend might drop or walk up by.
func confusing(decoded string, last bool) Reason {
	if decoded == "" {
		if last {
			return ""
		}
		return EmptySegment
	}
	if decoded[0] != '.' && decoded[0] != ';' {
		return ""
	}
	switch name, _, _ := strings.Cut(decoded, ";"); name {
	case "":
		return EmptySegment
	case ".", "..":
		return DotSegment
	}
	return ""
}

// unescape reads the escape that s begins with.
func unescape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	high, ok1 := unhex(s[1])
	low, ok2 := unhex(s[2])
	return high<<4 | low, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// standsRaw says whether the canonical form of a segment holds c as it is:
// RFC 3986's pchar without escapes.
func standsRaw(c byte) bool {
	if isAlphanumeric(c) {
		return true
	}
	switch c {
	case '-', '.', '_', '~', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', ':', '@':
		return true
	}
	return false
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
