package unary

import (
	"encoding/binary"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

// frame takes one frame in. reads is false when another goroutine reads from now on: it is
// true with an error, which ends the stream or the connection.
func (c *conn) frame(f http2.Frame) (reads bool, err error) {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		return c.headers(f.StreamID, f.HeaderBlockFragment(), f.HeadersEnded(), f.StreamEnded())
	case *http2.ContinuationFrame: // only ever after its headers: the framer sees to that
		return c.headers(c.blockOf, f.HeaderBlockFragment(), f.HeadersEnded(), c.ends)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.SettingsFrame:
		return true, c.settle(f)
	case *http2.PingFrame:
		c.ping(f)
	case *http2.WindowUpdateFrame:
		return true, c.widen(f)
	case *http2.RSTStreamFrame:
		return true, c.abandoned(f.StreamID)
	case *http2.PushPromiseFrame:
		return true, http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return true, nil
}

// headers takes a header block in, or a part of it.
func (c *conn) headers(id uint32, part []byte, whole, ends bool) (reads bool, err error) {
	if len(c.block)+len(part) > maxBlock {
		return true, http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	block := part
	if !whole || len(c.block) > 0 {
		c.block = append(c.block, part...)
		c.blockOf, c.ends = id, ends
		if !whole {
			if len(part) == 0 { // nothing is said by it, however often
				return true, http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
			}
			return true, nil
		}
		block = c.block
		if c.block = c.block[:0]; cap(c.block) > mostKept {
			c.block = nil
		}
	}
	h, err := c.heads.read(block) // of refused streams, too: the table is everybody's
	if err != nil {
		return true, http2.ConnectionError(http2.ErrCodeCompression)
	}
	return c.request(id, h, ends)
}

// request begins a stream, or ends one by its trailer.
func (c *conn) request(id uint32, h *head, ends bool) (reads bool, err error) {
	if id%2 == 0 {
		return true, http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if id <= c.last {
		return c.trailer(id, h, ends)
	}
	st := &stream{conn: c, id: id, heard: ends}
	st.stream = st
	if h.timeout > 0 {
		st.deadline = time.Now().Add(h.timeout)
	}
	switch taken, code := c.take(st); {
	case code != http2.ErrCodeNo:
		return true, http2.StreamError{StreamID: id, Code: code}
	case !taken:
		return true, nil
	}
	switch {
	case h.err == errTooLarge && h.path == c.server.cfg.Method: //nolint:errorlint // it is that one
		c.deny(st, refused(resourceExhausted, "headers are too large"), !ends)
	case h.err == errTooLarge: //nolint:errorlint // it is that one
		c.refuse(st, refused(resourceExhausted, "headers are too large"), !ends)
	case !h.complete():
		return true, http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	case h.method != "POST":
		c.refuse(st, refusal{http.StatusMethodNotAllowed, internal, "the method is not POST"}, !ends)
	case !h.grpc():
		c.refuse(st, refusal{http.StatusUnsupportedMediaType, invalidArgument, "the content is not gRPC"}, !ends)
	case h.err == errTimeout: //nolint:errorlint // it is that one
		c.refuse(st, refusal{http.StatusBadRequest, internal, "the timeout is malformed"}, !ends)
	case h.path != c.server.cfg.Method && c.server.cfg.Others(h.path):
		c.goAway() // the next connection may begin with what is wanted
		return true, http2.StreamError{StreamID: id, Code: http2.ErrCodeRefusedStream}
	case h.path != c.server.cfg.Method:
		c.refuse(st, refused(unimplemented, "unknown method"), !ends)
	case h.encoding != "" && h.encoding != "identity":
		c.deny(st, refused(unimplemented, "no compression is known"), !ends)
	case ends:
		return c.whole(st, nil)
	}
	return true, nil
}

// trailer ends a stream.
func (c *conn) trailer(id uint32, h *head, ends bool) (reads bool, err error) {
	st := c.stream(id)
	switch {
	case st == nil && len(h.pseudo) > 0: // a request: its stream was another's, or passed over
		return true, http2.ConnectionError(http2.ErrCodeProtocol)
	case st == nil, st.heard: // its answer was early, or is under way
		return true, http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
	case !ends, h.err != nil, len(h.pseudo) > 0:
		return true, http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	case st.early:
		return true, nil
	}
	st.heard = true
	return c.whole(st, st.body)
}

// take adds a stream. The code refuses it; it is neither taken nor refused where the client
// was told that it would not be.
func (c *conn) take(st *stream) (taken bool, code http2.ErrCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = st.id
	switch {
	case c.leaving >= left:
		return false, http2.ErrCodeNo
	case max(len(c.streams), c.answering) >= int(c.server.cfg.MaxStreams):
		return false, http2.ErrCodeRefusedStream
	}
	st.window = c.initial
	c.streams[st.id] = st
	return true, http2.ErrCodeNo
}

func (c *conn) stream(id uint32) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id]
}

// data takes a part of a message in.
func (c *conn) data(f *http2.DataFrame) (reads bool, err error) {
	size := int(f.Length)
	// Nothing waits here: the client may have what was taken again, as soon as it is worth a frame.
	if c.taken += size; c.taken > c.server.cfg.ConnWindow/2 {
		c.giveBack(streamZero, c.taken)
		c.taken = 0
	}
	if c.idle(f.StreamID) {
		return true, http2.ConnectionError(http2.ErrCodeProtocol)
	}
	st := c.stream(f.StreamID)
	if st == nil { // it was answered, or refused, before it was whole
		return true, nil
	}
	switch {
	case st.heard:
		return true, http2.StreamError{StreamID: st.id, Code: http2.ErrCodeStreamClosed}
	case st.early:
		return true, nil
	}
	st.heard = f.StreamEnded()
	if st.received += size; st.received > c.server.cfg.StreamWindow {
		return true, http2.StreamError{StreamID: st.id, Code: http2.ErrCodeFlowControl}
	}
	body := f.Data()
	if padding := size - len(body); padding > 0 && !f.StreamEnded() {
		st.received -= padding
		c.giveBack(st.id, padding)
	}
	if len(st.body) > 0 || !f.StreamEnded() {
		st.body = append(st.body, body...)
		body = st.body
	}
	// By what it says, too: the rest of it may have no room to come.
	if most := c.server.cfg.MaxMessage; len(body) > most+prefixBytes || len(body) >= prefixBytes && sizeOf(body) > int64(most) {
		c.deny(st, refused(resourceExhausted, "the message is too large"), !f.StreamEnded())
		return true, nil
	}
	if !f.StreamEnded() {
		return true, nil
	}
	return c.whole(st, body)
}

// sizeOf is how long a message is, by the bytes before it.
func sizeOf(body []byte) int64 { return int64(binary.BigEndian.Uint32(body[1:])) }

// prefixBytes stand before each message of gRPC.
const prefixBytes = 5

// whole answers a request that is whole.
func (c *conn) whole(st *stream, body []byte) (reads bool, err error) {
	if len(body) < prefixBytes {
		c.deny(st, refused(internal, "the message is cut off"), false)
		return true, nil
	}
	switch {
	case body[0] != 0: // its compression was not said to be another, or it was refused
		c.deny(st, refused(internal, "the message is compressed by nothing"), false)
		return true, nil
	case sizeOf(body) != int64(len(body)-prefixBytes):
		c.deny(st, refused(internal, "the message has another length than it says"), false)
		return true, nil
	}
	return c.answer(st, string(body[prefixBytes:])), nil
}

// answer has a request answered, and writes the answer. It is false if another goroutine
// reads by now.
func (c *conn) answer(st *stream, message string) (reads bool) {
	st.body = nil
	room := c.room
	c.room = nil
	c.count(1)
	answer := c.server.cfg.Answer(st, room[:0], message)
	reads = st.end()
	c.count(-1)
	if len(answer) == 0 {
		c.refuse(st, refused(internal, "no answer"), false)
	} else {
		c.respond(st, answer)
	}
	switch {
	case !reads:
		c.flush()
	case cap(answer) <= mostKept: // it was written, or kept elsewhere
		c.room = answer
	}
	c.endIfDone()
	return reads
}

// count counts requests that are being answered. Those that nobody waits for any more
// count too: a client that takes back what it asked has no more of them (CVE-2023-44487).
func (c *conn) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering += n
}

// settle takes the client's settings in.
func (c *conn) settle(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if f.NumSettings() > maxSettings {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID { //nolint:exhaustive // the others are about what is never sent
		case http2.SettingHeaderTableSize:
			c.lowerTable = true
		case http2.SettingInitialWindowSize:
			more := int64(s.Val) - c.initial
			c.initial = int64(s.Val)
			for _, st := range c.streams {
				if st.window += more; st.window > maxWindow {
					return http2.ConnectionError(http2.ErrCodeFlowControl)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.appendSettingsAck()
	c.unblock()
	return nil
}

const (
	maxWindow   = 1<<31 - 1
	maxSettings = 100 // in one frame: there are not ten
)

// ping answers a ping, or hears that the client knows that it should stop.
func (c *conn) ping(f *http2.PingFrame) {
	if !f.IsAck() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.appendPing(true, f.Data)
		return
	}
	if string(f.Data[:]) == goAwayPing {
		c.leave()
	}
}

// widen takes a window update in.
func (c *conn) widen(f *http2.WindowUpdateFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.StreamID == streamZero {
		if c.window += int64(f.Increment); c.window > maxWindow {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		c.unblock()
		return nil
	}
	if c.idle(f.StreamID) {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if st := c.streams[f.StreamID]; st != nil {
		if st.window += int64(f.Increment); st.window > maxWindow {
			return http2.StreamError{StreamID: st.id, Code: http2.ErrCodeFlowControl}
		}
		c.unblock()
	}
	return nil
}

// abandoned hears that nobody waits for a stream's answer.
func (c *conn) abandoned(id uint32) error {
	if c.idle(id) {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(id)
	c.closeIfDone()
	return nil
}
