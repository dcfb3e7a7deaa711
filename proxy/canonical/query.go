package canonical

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Values are the parameters of a query in the order in which they were sent.
type Values []Value

// Value is one parameter, decoded. "?a" and "?a=" both are {"a", ""}.
type Value struct{ Name, Value string }

// Query reads a raw query (without "?") strictly, for whoever lets a parameter
// take part in a decision: pairs split at "&" and at their first "=", decoded
// once, "+" is a space. Malformed escapes, control characters, what is not
// UTF-8, and a raw ";" (backends disagree whether it separates) are refused.
// Empty pairs are skipped. Every error is an *Error whose Part is "query"; who
// gets one should take every parameter as missing.
func Query(raw string) (Values, error) {
	if reason, offset := unsendable(raw); reason != "" {
		return nil, &Error{Part: "query", Reason: reason, Offset: offset}
	}
	if i := strings.IndexByte(raw, ';'); i >= 0 {
		return nil, &Error{Part: "query", Reason: Semicolon, Offset: i}
	}
	var values Values
	start := 0
	for pair := range strings.SplitSeq(raw, "&") {
		if pair != "" {
			rawName, rawValue, _ := strings.Cut(pair, "=")
			name, reason := decodeParameter(rawName)
			if reason != "" {
				return nil, &Error{Part: "query", Reason: reason, Offset: start}
			}
			value, reason := decodeParameter(rawValue)
			if reason != "" {
				return nil, &Error{Part: "query", Reason: reason, Offset: start}
			}
			values = append(values, Value{name, value})
		}
		start += len(pair) + 1
	}
	return values, nil
}

// Get returns the parameter that was sent exactly once under name. Sent twice is
// not found: backends disagree whether the first or the last one counts.
func (v Values) Get(name string) (string, bool) {
	found := -1
	for i := range v {
		if v[i].Name != name {
			continue
		}
		if found >= 0 {
			return "", false
		}
		found = i
	}
	if found < 0 {
		return "", false
	}
	return v[found].Value, true
}

func decodeParameter(raw string) (string, Reason) {
	if !strings.ContainsAny(raw, "%+") {
		return raw, ""
	}
	buf := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			b, ok := unescape(raw[i:])
			if !ok {
				return "", BadEscape
			}
			if b == 0 {
				return "", NUL
			}
			c = b
			i += 2
		}
		buf = append(buf, c)
	}
	if !utf8.Valid(buf) {
		return "", BadUTF8
	}
	decoded := string(buf)
	if strings.ContainsFunc(decoded, unicode.IsControl) {
		return "", Control
	}
	return decoded, ""
}
