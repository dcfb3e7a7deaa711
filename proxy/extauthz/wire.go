package extauthz

import (
	"errors"
	"strings"
	"unicode/utf8"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/proxy"
)

// wire is a CheckRequest as it came, of which only what the gate needs was read. What
// it reads is what [inbound] finds in the decoded message; where that is not certain it
// reads nothing. Its strings are parts of the message, which is never written to. It is
// used for one request after the other.
type wire struct {
	message    string
	shape      *shape // of the whole
	attributes bool   // were there
	http       bool   // were there
	id         string
	in         proxy.Inbound
	joined     []header
	raw        []header
	extensions map[string]string
	values     []string   // that were answered
	how        *Documents // may be nil
	decoded    *rest      // once somebody needs it
	names      func(yield func(string) bool)
}

// header is one copy, or all copies joined.
type header struct{ name, value string }

func newWire(whole *shape, how *Documents) *wire {
	w := &wire{shape: whole, how: how, extensions: map[string]string{}}
	w.names = w.headerNames
	return w
}

// Numbers of the fields that are read.
const (
	numberAttributes = 1 // of CheckRequest

	numberSource      = 1 // of AttributeContext
	numberDestination = 2
	numberRequest     = 4
	numberExtensions  = 10

	numberAddress   = 1 // of Peer
	numberPrincipal = 4

	numberCertificate = 5

	numberPipe     = 2 // of Address
	numberPipePath = 1 // of Pipe

	numberHTTP = 2 // of Request

	numberID        = 1 // of HttpRequest
	numberMethod    = 2
	numberHeaders   = 3
	numberPath      = 4
	numberHost      = 5
	numberHeaderMap = 13

	numberHeaderMapHeaders = 1 // of HeaderMap

	numberKey      = 1 // of HeaderValue, and of a map's entry
	numberValue    = 2
	numberRawValue = 3
)

// reset lets go of a request.
func (w *wire) reset() {
	clear(w.joined)
	clear(w.raw)
	clear(w.values)
	clear(w.extensions)
	*w = wire{
		shape: w.shape, how: w.how, joined: w.joined[:0], raw: w.raw[:0], values: w.values[:0], extensions: w.extensions, names: w.names,
	}
}

// read reads the message. False means that it has to be decoded.
func (w *wire) read() bool {
	f := fields{rest: w.message}
	for f.next() {
		if f.number != numberAttributes || f.wire != protowire.BytesType || w.attributes {
			return false
		}
		w.attributes = true
		if !w.readAttributes(f.value, w.shape.field(numberAttributes).inner) {
			return false
		}
	}
	if !f.whole() {
		return false
	}
	w.in.Protocol = proxy.ProtocolGRPC
	w.in.Credentials.Headers, w.in.Credentials.Path, w.in.Credentials.Metadata = w, w.in.Path, w
	w.in.HeaderNames, w.in.Rest, w.in.Extensions = w.names, w, w.extensions
	w.in.Malformed = w.how.malformed(w.attributes, w.http, w.in.Host, w.id)
	return true
}

func (w *wire) readAttributes(message string, s *shape) bool {
	var destination, ok bool
	f := fields{rest: message}
	for f.next() {
		field := s.field(f.number)
		switch f.number {
		case numberSource:
			ok = f.wire == protowire.BytesType && w.readSource(f.value, field.inner)
		case numberDestination:
			ok = !destination && f.wire == protowire.BytesType && w.readDestination(f.value, field.inner)
			destination = true
		case numberRequest:
			ok = f.wire == protowire.BytesType && w.readRequest(f.value, field.inner)
		case numberExtensions:
			var h header
			ok = f.wire == protowire.BytesType && readEntry(f.value, &h)
			w.extensions[h.name] = h.value
		default:
			ok = field.holds(&f, 1)
		}
		if !ok {
			return false
		}
	}
	return f.whole()
}

func (w *wire) readSource(message string, s *shape) bool {
	f := fields{rest: message}
	for f.next() {
		if !s.field(f.number).holds(&f, 2) {
			return false
		}
		switch f.number {
		case numberPrincipal:
			w.in.Credentials.Principal = f.value
		case numberCertificate:
			w.in.Credentials.Certificate = f.value
		}
	}
	return f.whole()
}

// readDestination reads by which socket of Envoy's the peer came in.
func (w *wire) readDestination(message string, s *shape) bool {
	f, address := fields{rest: message}, false
	for f.next() {
		field := s.field(f.number)
		if !field.holds(&f, 2) {
			return false
		}
		if f.number != numberAddress {
			continue
		}
		if address || !w.readAddress(f.value) {
			return false
		}
		address = true
	}
	return f.whole()
}

// readAddress reads an address that has the shape of one. Of a socket address nothing
// is needed; two addresses in one are for the decoder to make sense of.
func (w *wire) readAddress(message string) bool {
	n := 0
	for f := (fields{rest: message}); f.next(); n++ {
		if n > 0 {
			return false
		}
		if f.number != numberPipe {
			continue
		}
		for pipe := (fields{rest: f.value}); pipe.next(); {
			if pipe.number == numberPipePath {
				w.in.Credentials.Socket = pipe.value
			}
		}
	}
	return true
}

func (w *wire) readRequest(message string, s *shape) bool {
	f := fields{rest: message}
	for f.next() {
		field := s.field(f.number)
		if f.number != numberHTTP {
			if !field.holds(&f, 2) {
				return false
			}
			continue
		}
		if w.http || f.wire != protowire.BytesType || !w.readHTTP(f.value, field.inner) {
			return false
		}
		w.http = true
	}
	return f.whole()
}

func (w *wire) readHTTP(message string, s *shape) bool {
	f := fields{rest: message}
	for f.next() {
		var ok bool
		switch f.number {
		case numberHeaders:
			var h header
			ok = f.wire == protowire.BytesType && readEntry(f.value, &h)
			w.joined = append(w.joined, h)
		case numberHeaderMap:
			ok = f.wire == protowire.BytesType && w.readHeaderMap(f.value)
		default:
			ok = s.field(f.number).holds(&f, 3)
		}
		if !ok {
			return false
		}
		switch f.number {
		case numberID:
			w.id = f.value
		case numberMethod:
			w.in.Method = f.value
		case numberPath:
			w.in.Path = f.value
		case numberHost:
			w.in.Host = f.value
		}
	}
	return f.whole()
}

func (w *wire) readHeaderMap(message string) bool {
	f := fields{rest: message}
	for f.next() {
		if f.number != numberHeaderMapHeaders || f.wire != protowire.BytesType {
			return false
		}
		w.raw = append(w.raw, header{})
		if !readHeaderValue(f.value, &w.raw[len(w.raw)-1]) {
			return false
		}
	}
	return f.whole()
}

// readHeaderValue reads a HeaderValue. Envoy fills raw_value, gRPC servers value.
func readHeaderValue(message string, h *header) bool {
	ascii := isASCII(message)
	if ascii && h.readUsual(message, numberRawValue) {
		return true
	}
	var raw string
	f := fields{rest: message}
	for f.next() {
		if f.wire != protowire.BytesType || !ascii && f.number != numberRawValue && !utf8.ValidString(f.value) {
			return false
		}
		switch f.number {
		case numberKey:
			h.name = f.value
		case numberValue:
			h.value = f.value
		case numberRawValue:
			raw = f.value
		default:
			return false
		}
	}
	if raw != "" {
		h.value = raw
	}
	return f.whole()
}

// readEntry reads an entry of a map of strings. Text among ASCII is UTF-8: nearly always
// it is looked at once, for both strings.
func readEntry(message string, h *header) bool {
	ascii := isASCII(message)
	if ascii && h.readUsual(message, numberValue) {
		return true
	}
	f := fields{rest: message}
	for f.next() {
		if f.wire != protowire.BytesType || !ascii && !utf8.ValidString(f.value) {
			return false
		}
		switch f.number {
		case numberKey:
			h.name = f.value
		case numberValue:
			h.value = f.value
		default:
			return false
		}
	}
	return f.whole()
}

// readUsual reads a header as nearly all are written: a short name, then a short value in
// the field of that number. False means that it is written otherwise.
func (h *header) readUsual(message string, value byte) bool {
	const key, text = numberKey<<3 | byte(protowire.BytesType), byte(protowire.BytesType)
	if len(message) < 4 || message[0] != key || message[1] >= 0x80 {
		return false
	}
	n := 2 + int(message[1])
	if n+2 > len(message) || message[n] != value<<3|text || message[n+1] >= 0x80 || n+2+int(message[n+1]) != len(message) {
		return false
	}
	h.name, h.value = message[2:n], message[n+2:]
	return true
}

// Values implements [proxy.Headers], in whichever of the two forms the headers came.
func (w *wire) Values(name string) []string {
	from := len(w.values)
	for i := range w.raw {
		if strings.EqualFold(w.raw[i].name, name) {
			w.values = append(w.values, w.raw[i].value)
		}
	}
	// Of two entries of a map the last one counts.
	for i := len(w.joined) - 1; i >= 0 && len(w.raw) == 0; i-- {
		if w.joined[i].name == name {
			w.values = append(w.values, w.joined[i].value)
			break
		}
	}
	if len(w.values) == from {
		return nil
	}
	return w.values[from:len(w.values):len(w.values)]
}

// headerNames lists the names of both forms.
func (w *wire) headerNames(yield func(string) bool) {
	for _, list := range [...][]header{w.raw, w.joined} {
		for i := range list {
			if !yield(list[i].name) {
				return
			}
		}
	}
}

// Lookup implements [proxy.Rest]: what a policy reads of the rest is found in the
// decoded message.
func (w *wire) Lookup(path ast.Ref) (ast.Value, bool, error) {
	r, err := w.whole()
	if err != nil {
		return nil, false, err
	}
	return r.Lookup(path)
}

// whole decodes the message, once.
func (w *wire) whole() (*rest, error) {
	if w.decoded == nil {
		req, err := decode(w.message)
		if err != nil {
			return nil, err
		}
		w.decoded = newRest(req, w.how)
	}
	return w.decoded, nil
}

// Metadata implements [proxy.Metadata], likewise.
func (w *wire) Metadata(namespace, key string) (ast.Value, bool, error) {
	r, err := w.whole()
	if err != nil {
		return nil, false, err
	}
	return r.Metadata(namespace, key)
}

// decode decodes a message whole.
func decode(message string) (*authv3.CheckRequest, error) {
	req := &authv3.CheckRequest{}
	if err := proto.Unmarshal([]byte(message), req); err != nil {
		return nil, errors.New(malformedMessage) // its own error may quote the request
	}
	return req, nil
}
