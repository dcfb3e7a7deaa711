package unary

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
)

// Bounds of a header block. What Envoy sends with a check is some hundred bytes, but a part of
// it may be its client's to choose (what a trace carries on, say), up to the 60 KiB that Envoy
// takes in, or more if it is told to. Beyond maxHeader that check alone fails; beyond maxBlock
// the connection does, with the checks of others.
const (
	maxBlock  = 1 << 20   // encoded
	maxHeader = 256 << 10 // decoded, by HTTP/2's way of counting
	tableSize = 4 << 10
)

// Ways in which a header block is malformed: the stream's fault, not the connection's.
var (
	errMalformed = errors.New("malformed header")
	errTooLarge  = errors.New("headers too large")
	errTimeout   = errors.New("malformed timeout")
)

// head is what the header block of a request says.
type head struct {
	path, method, contentType, encoding string
	timeout                             time.Duration // 0: none
	err                                 error

	pseudo  map[string]bool
	regular bool // a field that is not pseudo came
	size    uint32
}

// heads decodes header blocks, which all go into one table.
type heads struct {
	decoder *hpack.Decoder
	head    head
}

func newHeads() *heads {
	h := &heads{}
	h.head.pseudo = map[string]bool{}
	h.decoder = hpack.NewDecoder(tableSize, h.field)
	return h
}

// read decodes one whole block. The error is of the connection: its table is lost.
func (h *heads) read(block []byte) (*head, error) {
	pseudo := h.head.pseudo
	clear(pseudo)
	h.head = head{pseudo: pseudo}
	h.decoder.SetEmitEnabled(true)
	if _, err := h.decoder.Write(block); err != nil {
		return nil, err
	}
	if err := h.decoder.Close(); err != nil {
		return nil, err
	}
	return &h.head, nil
}

// field takes one field in.
func (h *heads) field(f hpack.HeaderField) {
	d := &h.head
	if d.size += f.Size(); d.size > maxHeader {
		d.err = errTooLarge
		h.decoder.SetEmitEnabled(false) // the rest is for the table only
		return
	}
	name, pseudo := strings.CutPrefix(f.Name, ":")
	switch {
	case pseudo && (d.regular || d.pseudo[name]):
		d.err = errMalformed
	case pseudo:
		d.pseudo[name] = true
	default:
		d.regular = true
	}
	switch f.Name {
	case ":path":
		d.path = f.Value
	case ":method":
		d.method = f.Value
	case ":scheme", ":authority":
	case "content-type":
		d.contentType = f.Value
	case "grpc-encoding":
		d.encoding = f.Value
	case "grpc-timeout":
		var ok bool
		if d.timeout, ok = timeout(f.Value); !ok && d.err == nil {
			d.err = errTimeout
		}
	case "te":
		if f.Value != "trailers" {
			d.err = errMalformed
		}
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		d.err = errMalformed
	default:
		if pseudo || f.Name == "" || strings.ToLower(f.Name) != f.Name {
			d.err = errMalformed
		}
	}
}

// complete says whether a request has the fields that each must have.
func (d *head) complete() bool {
	return !errors.Is(d.err, errMalformed) && d.pseudo["method"] && d.pseudo["scheme"] && d.path != ""
}

// grpc says whether the body is of gRPC.
func (d *head) grpc() bool {
	rest, ok := strings.CutPrefix(d.contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// timeout reads gRPC's notation: at most eight digits and a unit.
func timeout(text string) (time.Duration, bool) {
	const digits = 8
	if len(text) < 2 || len(text) > digits+1 {
		return 0, false
	}
	unit, ok := unitOf(text[len(text)-1])
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 63)
	if !ok || err != nil {
		return 0, false
	}
	if limit := uint64(1<<63-1) / uint64(unit); n > limit {
		return 1<<63 - 1, true
	}
	// Zero would mean none.
	return max(time.Duration(n)*unit, 1), true
}

func unitOf(c byte) (time.Duration, bool) {
	switch c {
	case 'H':
		return time.Hour, true
	case 'M':
		return time.Minute, true
	case 'S':
		return time.Second, true
	case 'm':
		return time.Millisecond, true
	case 'u':
		return time.Microsecond, true
	case 'n':
		return time.Nanosecond, true
	default:
		return 0, false
	}
}
