// Package parsed takes apart the target and the body of a request as opa-envoy-plugin
// does, so that policies written for it read the same. It knows no policy and no
// protocol of Envoy's: values are Go's (nil, bool, string, [json.Number], []any,
// map[string]any).
//
// Errors are a word or a few, for logs. They hold nothing of the request.
package parsed

import (
	"errors"
	"net/url"
	"strings"
)

// Why a target cannot be read.
var (
	ErrPath  = errors.New("path escapes")
	ErrQuery = errors.New("query escapes")
)

// Path is the path of a target: decoded whole, without leading slashes, split at the
// others. That joins what an encoded slash kept apart, and keeps dot segments.
func Path(target string) ([]string, error) {
	raw, _, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return nil, ErrPath
	}
	return strings.Split(strings.TrimLeft(decoded, "/"), "/"), nil
}

// Query is the query of a target: each name with its values in their order. A ";" is
// an error: what it means depends on who reads it.
func Query(target string) (map[string][]string, error) {
	_, raw, _ := strings.Cut(target, "?")
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, ErrQuery
	}
	return values, nil
}

// Readable says whether Path and Query can read a target, without reading it.
func Readable(target string) error {
	path, query, _ := strings.Cut(target, "?")
	switch {
	case !escaped(path):
		return ErrPath
	case strings.Contains(query, ";") || !escaped(query):
		return ErrQuery
	default:
		return nil
	}
}

// escaped says that every "%" begins an escape.
func escaped(s string) bool {
	for i := strings.IndexByte(s, '%'); i >= 0; i = strings.IndexByte(s, '%') {
		if len(s) < i+3 || !hex(s[i+1]) || !hex(s[i+2]) {
			return false
		}
		s = s[i+3:]
	}
	return true
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
