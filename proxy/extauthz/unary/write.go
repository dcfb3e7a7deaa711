package unary

import (
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/http2"
)

// refusal is why a stream ends without an answer.
type refusal struct {
	http int // its status
	grpc int // as well
	why  string
}

// refused is a refusal in gRPC's terms.
func refused(status int, why string) refusal { return refusal{http.StatusOK, status, why} }

// Statuses of gRPC that are sent.
const (
	invalidArgument   = 3
	resourceExhausted = 8
	unimplemented     = 12
	internal          = 13
)

const (
	// writeTime is how long a client may take to read. It is looked at by the way: a
	// client that reads nothing at all is dropped after writeTime, or a half more.
	writeTime = 20 * time.Second
	// mostKept is how much room is kept for what is written, or comes in parts.
	mostKept = 64 << 10
)

// respond sends an answer, as far as the client has room for it.
func (c *conn) respond(st *stream, answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[st.id] != st {
		return // nobody wants it any more
	}
	st.answer = answer
	if c.send(st) {
		return
	}
	st.answer = slices.Clone(st.answer) // the room is another one's next
	c.blocked = append(c.blocked, st)
}

// deny answers a request whose message cannot be read. early says that it is not whole.
func (c *conn) deny(st *stream, r refusal, early bool) {
	if c.server.cfg.Unreadable == nil {
		c.refuse(st, r, early)
		return
	}
	st.body, st.early = nil, early
	answer := c.server.cfg.Unreadable(r.why)
	if len(answer) == 0 { // to many messages, nothing is a good answer
		c.refuse(st, refused(internal, "no answer"), early)
		return
	}
	c.respond(st, answer)
	c.endIfDone()
}

// refuse ends a stream without an answer. early says that the request is not whole.
func (c *conn) refuse(st *stream, r refusal, early bool) {
	c.mu.Lock()
	if c.streams[st.id] == st {
		delete(c.streams, st.id)
		c.appendRefusal(st.id, r)
		if early {
			c.appendReset(st.id, http2.ErrCodeNo)
		}
	}
	c.mu.Unlock()
	c.endIfDone()
}

// reset ends a stream for an error of the client's.
func (c *conn) reset(id uint32, code http2.ErrCode) {
	c.mu.Lock()
	c.drop(id)
	c.appendReset(id, code)
	c.mu.Unlock()
	c.endIfDone()
}

// drop has nothing more be sent on a stream, whose answer nobody waits for, if there is one
// under way. mu is held.
func (c *conn) drop(id uint32) {
	st := c.streams[id]
	if st == nil {
		return
	}
	c.blocked = slices.DeleteFunc(c.blocked, func(b *stream) bool { return b == st })
	delete(c.streams, id)
	st.abandon()
}

// unblock sends what the windows now have room for. mu is held.
func (c *conn) unblock() {
	c.blocked = slices.DeleteFunc(c.blocked, c.send)
	c.closeIfDone()
}

// send sends what there is room for, and answers whether that was all. mu is held.
func (c *conn) send(st *stream) (all bool) {
	if !st.begun {
		st.begun = true
		c.appendHeaders(st.id)
		st.head = st.room[:]
		binary.BigEndian.PutUint32(st.head[1:], uint32(len(st.answer))) //nolint:gosec // it is in memory
	}
	for len(st.head)+len(st.answer) > 0 {
		n := min(int64(len(st.head)+len(st.answer)), frameSize, c.window, st.window)
		if n <= 0 {
			return false
		}
		c.window -= n
		st.window -= n
		c.appendFrame(int(n), http2.FrameData, 0, st.id)
		fromHead := min(int(n), len(st.head))
		c.out = append(c.out, st.head[:fromHead]...)
		st.head = st.head[fromHead:]
		rest := int(n) - fromHead
		c.out = append(c.out, st.answer[:rest]...)
		st.answer = st.answer[rest:]
		if len(c.out) > mostKept {
			c.write() // rather than keep all that is answered at a time twice
		}
	}
	c.appendTrailers(st.id)
	if st.early {
		c.appendReset(st.id, http2.ErrCodeNo)
	}
	delete(c.streams, st.id)
	return true
}

// flush writes what is there to be written.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write()
}

// write is flush. mu is held.
func (c *conn) write() {
	if len(c.out) == 0 {
		return
	}
	if now := time.Now(); c.deadline.Sub(now) < writeTime {
		c.deadline = now.Add(writeTime + writeTime/2)
		_ = c.net.SetWriteDeadline(c.deadline) // if it fails, so will the write
	}
	_, err := c.net.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > mostKept {
		c.out = nil
	}
	if err != nil {
		c.close()
	}
}

// The rest appends frames. mu is held.

func (c *conn) appendFrame(length int, kind http2.FrameType, flags http2.Flags, stream uint32) {
	c.out = append(c.out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	c.out = binary.BigEndian.AppendUint32(c.out, stream)
}

// Parts of header blocks that use no table but the static one.
const (
	blockTableSize   = "\x20"                         // the table is empty from here on
	blockStatus200   = "\x88"                         // :status 200
	blockStatus      = "\x08\x03"                     // :status, and three digits
	blockContentType = "\x0f\x10\x10application/grpc" // content-type
	blockGRPCStatus  = "\x00\x0bgrpc-status"          // and a value
	blockGRPCMessage = "\x00\x0cgrpc-message"         // and a value
	blockGRPCOK      = blockGRPCStatus + "\x010"
)

// appendBlock appends a header block in one frame.
func (c *conn) appendBlock(id uint32, flags http2.Flags, parts ...string) {
	size := 0
	if c.lowerTable {
		size = len(blockTableSize)
	}
	for _, p := range parts {
		size += len(p)
	}
	c.appendFrame(size, http2.FrameHeaders, flags|http2.FlagHeadersEndHeaders, id)
	if c.lowerTable {
		c.lowerTable = false
		c.out = append(c.out, blockTableSize...)
	}
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
}

func (c *conn) appendHeaders(id uint32) { c.appendBlock(id, 0, blockStatus200, blockContentType) }

func (c *conn) appendTrailers(id uint32) {
	c.appendBlock(id, http2.FlagHeadersEndStream, blockGRPCOK)
}

// appendRefusal appends headers that are the whole response.
func (c *conn) appendRefusal(id uint32, r refusal) {
	c.appendBlock(id, http2.FlagHeadersEndStream, blockStatus, strconv.Itoa(r.http), blockContentType,
		blockGRPCStatus, literal(strconv.Itoa(r.grpc)), blockGRPCMessage, literal(r.why))
}

// literal is a value of a header block, which is short.
func literal(text string) string { return string(rune(len(text))) + text }

func (c *conn) appendReset(id uint32, code http2.ErrCode) {
	c.appendFrame(4, http2.FrameRSTStream, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

// appendGoAway never takes back that a stream is not answered.
func (c *conn) appendGoAway(last uint32, code http2.ErrCode) {
	c.told = min(c.told, last)
	c.appendFrame(8, http2.FrameGoAway, 0, streamZero)
	c.out = binary.BigEndian.AppendUint32(c.out, c.told)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

func (c *conn) appendPing(ack bool, data [8]byte) {
	var flags http2.Flags
	if ack {
		flags = http2.FlagPingAck
	}
	c.appendFrame(len(data), http2.FramePing, flags, streamZero)
	c.out = append(c.out, data[:]...)
}

func (c *conn) appendSettingsAck() {
	c.appendFrame(0, http2.FrameSettings, http2.FlagSettingsAck, streamZero)
}

func (c *conn) appendWindowUpdate(id uint32, more int) {
	c.appendFrame(4, http2.FrameWindowUpdate, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(more)) //nolint:gosec // at most a window
}

// giveBack lets the client send as much again.
func (c *conn) giveBack(id uint32, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.appendWindowUpdate(id, size)
}
