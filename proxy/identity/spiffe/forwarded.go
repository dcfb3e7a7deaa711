package spiffe

import (
	"errors"
	"strings"
)

// Why a header of forwarded certificates names nobody.
var (
	ErrForwarded = errors.New("is no list of forwarded certificates")
	ErrNoURI     = errors.New("the last certificate does not have exactly one URI")
)

const (
	maxForwarded = 64 << 10 // a chain of certificates may be among it
	maxElements  = 64
)

// LastURI is the URI of the certificate that the last proxy saw, in the form of Envoy's
// x-forwarded-client-cert: elements, one a hop, with commas between them; pairs key=value
// with semicolons between them; values in double quotes where they hold one of these.
//
// Earlier elements are what that proxy was told, perhaps by the client itself.
func LastURI(header string) (string, error) {
	if len(header) > maxForwarded {
		return "", ErrForwarded
	}
	rest, uri, n := header, "", 0
	for elements := 1; ; elements++ {
		if elements > maxElements {
			return "", ErrForwarded
		}
		var more bool
		var err error
		if uri, n, rest, more, err = element(rest); err != nil {
			return "", err
		}
		if !more {
			break
		}
	}
	if n != 1 || uri == "" {
		return "", ErrNoURI
	}
	return uri, nil
}

// element reads one element: its URIs, what is behind it, and whether a comma was.
func element(text string) (uri string, uris int, rest string, more bool, err error) {
	for {
		key, after, ok := strings.Cut(text, "=")
		key = strings.Trim(key, " \t")
		if !ok || key == "" || strings.ContainsAny(key, "\",; \t") {
			return "", 0, "", false, ErrForwarded
		}
		value, after, err := pairValue(after)
		if err != nil {
			return "", 0, "", false, err
		}
		if strings.EqualFold(key, "uri") {
			uri = value
			uris++
		}
		if after == "" {
			return uri, uris, "", false, nil
		}
		text = after[1:]
		if after[0] == ',' {
			return uri, uris, text, true, nil
		}
	}
}

// pairValue reads a value up to the separator behind it, which is the first byte of
// after; "" at the end.
func pairValue(text string) (value, after string, err error) {
	if !strings.HasPrefix(text, `"`) {
		at := strings.IndexAny(text, ",;")
		if at < 0 {
			at = len(text)
		}
		value = strings.Trim(text[:at], " \t")
		if strings.Contains(value, `"`) {
			return "", "", ErrForwarded
		}
		return value, text[at:], nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
			if i == len(text) {
				return "", "", ErrForwarded
			}
			b.WriteByte(text[i])
		case '"':
			after = strings.TrimLeft(text[i+1:], " \t")
			if after != "" && after[0] != ',' && after[0] != ';' {
				return "", "", ErrForwarded
			}
			return b.String(), after, nil
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", ErrForwarded
}
