package unary

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
)

// conn is one connection. What is not below mu belongs to the goroutine that reads, and
// goes from one to the next with that.
type conn struct {
	server  *Server
	input   *bufio.Reader
	framer  *http2.Framer
	heads   *heads
	room    []byte // for the next answer; nil while one is in it
	block   []byte // of a header block in several frames, of which some came
	blockOf uint32 // the stream of that block
	ends    bool   // that block ends its stream
	taken   int    // bytes of messages, of which the client was not told to send as many again

	raw net.Conn // below TLS; it does not change

	mu         sync.Mutex
	net        net.Conn
	out        []byte    // to be written
	deadline   time.Time // for that
	last       uint32    // the highest stream so far; only the goroutine that reads changes it
	told       uint32    // the highest stream that the client may take for one that is answered
	window     int64     // of what may be sent on the connection
	initial    int64     // of what may be sent on a new stream
	lowerTable bool      // the next block sent must say how large its table is
	streams    map[uint32]*stream
	blocked    []*stream // whose answers wait for a window, in the order of their coming
	answering  int       // requests, those included that nobody waits for any more
	asked      bool      // to go away, before it was greeted
	offered    bool      // it is another server's, or may be
	greeted    bool
	leaving    leaving
	timers     []*time.Timer
}

// leaving is how far a connection is on its way to its end.
type leaving uint8

const (
	staying leaving = iota
	warned          // the client was asked to stop, and may not have heard it
	left            // no stream is taken any more
	done            // and none is there, or the connection has ended
)

// stream is one request. What is not below the connection's mu belongs to the goroutine
// that reads, until the request is whole, and then to that which answers it.
type stream struct {
	call
	conn     *conn
	id       uint32
	body     []byte
	received int  // of the window, padding included
	heard    bool // all of it
	early    bool // it is answered, and the rest of it of no use

	// Below mu.
	window int64 // of what may be sent
	begun  bool  // the headers of the answer were sent
	head   []byte
	answer []byte // head and answer are still to be sent
	room   [prefixBytes]byte
}

// goAwayPing is in the ping that tells that a client has heard that it should stop.
const goAwayPing = "goodbye!"

func newConn(s *Server, netConn net.Conn) *conn {
	return &conn{
		server: s, raw: netConn, net: netConn, heads: newHeads(), streams: map[uint32]*stream{},
		window: defaultWindow, initial: defaultWindow, told: maxStreamID,
	}
}

// defaultWindow is that of HTTP/2 before anybody says otherwise.
const defaultWindow = 65535

// serve serves the connection until it ends, or its reading is another goroutine's.
func (c *conn) serve() {
	seen, ours, err := c.greet()
	switch {
	case err != nil:
		c.end()
		c.server.forget(c)
		return
	case !ours && c.offer(seen):
		c.server.forget(c)
		return
	}
	c.input = bufio.NewReaderSize(source{c, replay(c.net, seen[len(http2.ClientPreface):])}, readBytes)
	c.framer = http2.NewFramer(io.Discard, c.input)
	c.framer.SetMaxReadFrameSize(frameSize)
	c.framer.SetReuseFrames()
	c.begin()
	c.read()
}

// offer hands the connection to the other server, with all that was read of it. It is false
// if that has stopped: then what is asked is refused, and tried again elsewhere.
func (c *conn) offer(seen []byte) bool {
	c.mu.Lock()
	c.offered = true
	_ = c.net.SetDeadline(time.Time{}) // if it fails, so will the reading
	c.mu.Unlock()
	return c.server.others.give(replay(c.net, seen))
}

// readBytes is how much is read at a time.
const readBytes = 32 << 10

// source reads the connection. Whatever was answered is written before it waits.
type source struct {
	c    *conn
	conn net.Conn
}

// Read implements [io.Reader].
func (s source) Read(p []byte) (int, error) {
	s.c.flush()
	return s.conn.Read(p)
}

// begin gives the client the whole window, and the connection its age.
func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.greeted = true
	_ = c.net.SetDeadline(time.Time{}) // if it fails, so will the reading
	if c.asked {
		c.warn()
	}
	if more := c.server.cfg.ConnWindow - defaultWindow; more > 0 {
		c.appendWindowUpdate(streamZero, more)
	}
	if c.server.cfg.MaxAge > 0 {
		c.after(c.server.age(), c.retire)
	}
}

// after does something in a while, if the connection is there still. mu is held.
func (c *conn) after(d time.Duration, do func()) {
	if c.leaving < done {
		c.timers = append(c.timers, time.AfterFunc(d, do))
	}
}

// retire ends a connection for its age.
func (c *conn) retire() {
	c.goAway()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after(c.server.cfg.AgeGrace, c.end)
}

// goOn has another goroutine read.
func (c *conn) goOn() { c.server.running.Go(c.read) }

// read reads frames until the connection ends, or another goroutine reads it.
func (c *conn) read() {
	for {
		frame, err := c.next()
		if err == nil {
			var reads bool
			if reads, err = c.frame(frame); !reads {
				return
			}
		}
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[http2.StreamError](err); ok {
			c.reset(e.StreamID, e.Code)
			continue
		}
		c.fail(err)
		return
	}
}

// next reads a frame. An error is the stream's only if there is one, and the connection can
// go on: not if a header block is lost, which goes into the table of all.
func (c *conn) next() (http2.Frame, error) {
	h, err := c.framer.ReadFrameHeader()
	if err != nil {
		return nil, err
	}
	f, err := c.framer.ReadFrameForHeader(h)
	if _, ok := errors.AsType[http2.StreamError](err); ok && (h.Type == http2.FrameHeaders || c.idle(h.StreamID)) {
		return nil, http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return f, err
}

// idle says whether a client may not speak of a stream yet, or ever.
func (c *conn) idle(id uint32) bool { return id > c.last || id%2 == 0 }

// fail ends the connection, and says why if it is the client's fault.
func (c *conn) fail(err error) {
	if e, ok := errors.AsType[http2.ConnectionError](err); ok {
		c.accuse(http2.ErrCode(e))
	} else if errors.Is(err, http2.ErrFrameTooLarge) {
		c.accuse(http2.ErrCodeFrameSize)
	}
	c.end()
	c.server.forget(c)
}

// accuse tells the client its error, and has it read that: to close the connection while it
// sends could cost it what it has not read.
func (c *conn) accuse(code http2.ErrCode) {
	c.server.cfg.Log.Debug("connection ended for an error of the client's", zap.Stringer("code", code))
	c.mu.Lock()
	c.appendGoAway(c.last, code)
	c.write()
	c.forsake()
	c.mu.Unlock()
	half, ok := c.net.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	_ = half.CloseWrite() // if one of these fails, so will the reading
	_ = c.net.SetReadDeadline(time.Now().Add(patience))
	const mostUnread = 1 << 20
	_, _ = io.CopyN(io.Discard, c.net, mostUnread) // it ends with an error, as a rule
}

// swap has the connection go on in another layer.
func (c *conn) swap(to net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.net = to
}

// end closes the connection. Answers under way are nobody's any more.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
}

// kill is end, whatever is being written.
func (c *conn) kill() {
	_ = c.raw.Close() // who writes holds mu, until the write fails
	c.end()
}

// close is end. mu is held.
func (c *conn) close() {
	c.forsake()
	_ = c.net.Close()
}

// forsake drops all that is under way. mu is held.
func (c *conn) forsake() {
	c.leaving = done
	for _, t := range c.timers {
		t.Stop() // it would keep the memory of the connection as long
	}
	for _, st := range c.streams {
		st.abandon()
	}
	clear(c.streams)
	c.blocked, c.out = nil, nil
}

// goAway asks the client to end the connection: in two steps, so that nothing is refused
// that it sent before it heard.
func (c *conn) goAway() {
	c.mu.Lock()
	switch {
	case !c.greeted:
		c.asked = true
		if !c.offered {
			_ = c.net.SetDeadline(time.Now().Add(chooseTime)) // if it fails, so will the reading
		}
	case c.leaving == staying:
		c.warn()
	}
	c.mu.Unlock()
	c.flush()
}

// warn begins to go away. mu is held.
func (c *conn) warn() {
	c.leaving = warned
	c.appendGoAway(maxStreamID, http2.ErrCodeNo)
	c.appendPing(false, [8]byte([]byte(goAwayPing)))
	const unheard = 5 * time.Second
	c.after(unheard, c.leave)
}

const maxStreamID = 1<<31 - 1

// leave takes no more streams, and closes the connection when those that it took have ended.
func (c *conn) leave() {
	c.mu.Lock()
	if c.leaving == warned {
		c.leaving = left
		c.appendGoAway(c.last, http2.ErrCodeNo)
	}
	c.mu.Unlock()
	c.flush()
	c.endIfDone()
}

// endIfDone ends a connection that was left and has no stream.
func (c *conn) endIfDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeIfDone()
}

// closeIfDone is endIfDone. The client closes the connection, when it has read all: to close
// it from here could cost it what it has not. mu is held.
func (c *conn) closeIfDone() {
	if c.leaving != left || len(c.streams) > 0 {
		return
	}
	c.after(patience, c.end)
	c.leaving = done
}

// patience is how long a client has to read the last that is said to it, and to close.
const patience = time.Second
