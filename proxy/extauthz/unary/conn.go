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
	block   []byte // of a header block in several frames
	blockOf uint32 // the stream of that block; 0: none
	ends    bool   // that block ends its stream
	last    uint32 // the highest stream so far
	avail   int    // what the client may still send on the connection

	mu         sync.Mutex
	net        net.Conn
	out        []byte    // to be written
	deadline   time.Time // for that
	window     int64     // of what may be sent on the connection
	initial    int64     // of what may be sent on a new stream
	lowerTable bool      // the next block sent must say how large its table is
	streams    map[uint32]*stream
	blocked    []*stream // whose answers wait for a window, in the order of their coming
	answering  int       // requests, those included that nobody waits for any more
	greeted    bool
	leaving    leaving
	closed     bool
	age        *time.Timer
}

// leaving is how far a connection is on its way to its end.
type leaving uint8

const (
	staying leaving = iota
	warned          // the client was asked to stop, and may not have heard it
	left            // no stream is taken any more
	done            // and none is there
)

// stream is one request. What is not below the connection's mu belongs to the goroutine
// that reads, until the request is whole, and then to that which answers it.
type stream struct {
	call
	conn     *conn
	id       uint32
	body     []byte
	received int // of the window, padding included

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
		server: s, net: netConn, heads: newHeads(), streams: map[uint32]*stream{},
		window: defaultWindow, initial: defaultWindow,
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
	case !ours:
		c.server.forget(c)
		c.server.others.give(replay(c.net, seen))
		return
	}
	c.input = bufio.NewReaderSize(source{c, replay(c.net, seen)}, readBytes)
	if _, err := c.input.Discard(len(http2.ClientPreface)); err != nil {
		c.end()
		c.server.forget(c)
		return
	}
	c.framer = http2.NewFramer(io.Discard, c.input)
	c.framer.SetMaxReadFrameSize(frameSize)
	c.framer.SetReuseFrames()
	c.begin()
	c.read()
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
	c.greeted, c.avail = true, c.server.cfg.ConnWindow
	if more := c.server.cfg.ConnWindow - defaultWindow; more > 0 {
		c.appendWindowUpdate(streamZero, more)
	}
	if c.server.cfg.MaxAge > 0 && !c.closed {
		c.age = time.AfterFunc(c.server.age(), func() {
			c.goAway()
			c.endAfter(c.server.cfg.AgeGrace)
		})
	}
}

// goOn has another goroutine read.
func (c *conn) goOn() { c.server.running.Go(c.read) }

// read reads frames until the connection ends, or another goroutine reads it.
func (c *conn) read() {
	for {
		frame, err := c.framer.ReadFrame()
		if err == nil {
			var reads bool
			if reads, err = c.frame(frame); err == nil && !reads {
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

// fail ends the connection, and says why if it is the client's fault.
func (c *conn) fail(err error) {
	if e, ok := errors.AsType[http2.ConnectionError](err); ok {
		c.mu.Lock()
		c.appendGoAway(c.last, http2.ErrCode(e))
		c.mu.Unlock()
		c.flush()
		c.server.cfg.Log.Debug("connection ended for an error of the client's", zap.Stringer("code", http2.ErrCode(e)))
	} else if errors.Is(err, http2.ErrFrameTooLarge) {
		c.mu.Lock()
		c.appendGoAway(c.last, http2.ErrCodeFrameSize)
		c.mu.Unlock()
		c.flush()
	}
	c.end()
	c.server.forget(c)
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

// close is end. mu is held.
func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	if c.age != nil {
		c.age.Stop()
	}
	for id, st := range c.streams {
		delete(c.streams, id)
		st.abandon()
	}
	c.blocked, c.out = nil, nil
	_ = c.net.Close()
}

// endAfter closes the connection in a while.
func (c *conn) endAfter(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.age = time.AfterFunc(d, c.end)
	}
}

// goAway asks the client to end the connection: in two steps, so that nothing is refused
// that it sent before it heard.
func (c *conn) goAway() {
	c.mu.Lock()
	switch {
	case c.closed:
	case !c.greeted:
		c.close()
	case c.leaving == staying:
		c.leaving = warned
		c.appendGoAway(maxStreamID, http2.ErrCodeNo)
		c.appendPing(false, [8]byte([]byte(goAwayPing)))
		const unheard = 5 * time.Second
		time.AfterFunc(unheard, func() { c.leave(maxStreamID) })
	}
	c.mu.Unlock()
	c.flush()
}

const maxStreamID = 1<<31 - 1

// leave takes no more streams above last, and closes the connection when the others have
// ended.
func (c *conn) leave(last uint32) {
	c.mu.Lock()
	if c.leaving == warned && !c.closed {
		c.leaving = left
		c.appendGoAway(last, http2.ErrCodeNo)
	}
	c.mu.Unlock()
	c.flush()
	c.endIfDone()
}

// endIfDone ends a connection that was left and has no stream. The client closes it, when it
// has read all: to close it from here could cost it what it has not.
func (c *conn) endIfDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving != left || len(c.streams) > 0 || c.closed {
		return
	}
	c.leaving = done
	c.write()
	const patience = time.Second
	time.AfterFunc(patience, c.end)
}
