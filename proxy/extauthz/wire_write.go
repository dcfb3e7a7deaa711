package extauthz

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy/footprint"
)

// AppendTo implements [footprint.Writer] for the texts that policies ask for most, which
// stand in the message as they are. For all else the message has to be decoded.
func (w *wire) AppendTo(b []byte, path ast.Ref) (_ []byte, ok bool) {
	name, _ := text(path[0])
	switch {
	case name == "source_principal" && len(path) == 1:
		return appendPresent(b, w.in.Credentials.Principal), true
	case name != "attributes" || len(path) < 3:
		return b, false
	}
	first, _ := text(path[1])
	second, _ := text(path[2])
	switch {
	case first == "source" && second == "principal" && len(path) == 3:
		return appendPresent(b, w.in.Credentials.Principal), true
	case first == "request" && second == "http" && len(path) > 3:
		return w.appendHTTP(b, path[3:])
	default:
		return b, false
	}
}

// appendHTTP writes what stands at a path of the HTTP request.
func (w *wire) appendHTTP(b []byte, path ast.Ref) (_ []byte, ok bool) {
	name, _ := text(path[0])
	switch {
	case name == "headers" && len(path) == 2:
		header, ok := text(path[1])
		if !ok {
			return b, false
		}
		return w.appendHeader(b, header)
	case len(path) > 1:
		return b, false
	}
	switch name {
	case "method":
		return appendPresent(b, w.in.Method), true
	case "path":
		return appendPresent(b, w.in.Path), true
	case "host":
		return appendPresent(b, w.in.Host), true
	default:
		return b, false
	}
}

// appendHeader writes a header as the document has it: of the map, where the last of two
// entries counts, or else of the raw headers.
func (w *wire) appendHeader(b []byte, name string) (_ []byte, ok bool) {
	for _, h := range slices.Backward(w.joined) {
		if h.name == name {
			return footprint.AppendString(b, h.value), true
		}
	}
	if len(w.joined) > 0 {
		return footprint.AppendAbsent(b), true
	}
	found := -1
	for i := range w.raw {
		switch lower := strings.ToLower(w.raw[i].name); { // as the document has it, whatever name is
		case lower != name:
		case found >= 0:
			return b, false // copies have to be joined
		default:
			found = i
		}
	}
	if found < 0 {
		return footprint.AppendAbsent(b), true
	}
	value := w.raw[found].value
	if !utf8.ValidString(value) {
		return b, false
	}
	return footprint.AppendString(b, value), true
}

// appendPresent writes a text, which a message that has it empty does not have.
func appendPresent(b []byte, s string) []byte {
	if s == "" {
		return footprint.AppendAbsent(b)
	}
	return footprint.AppendString(b, s)
}
