package unary

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// others is a listener of connections that were accepted elsewhere.
type others struct {
	addr  atomic.Pointer[net.Addr]
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newOthers() *others { return &others{conns: make(chan net.Conn), done: make(chan struct{})} }

// give hands a connection over. It is false if nobody takes it any more.
func (o *others) give(c net.Conn) bool {
	select {
	case o.conns <- c:
		return true
	case <-o.done:
		return false
	}
}

// Accept implements [net.Listener].
func (o *others) Accept() (net.Conn, error) {
	select {
	case c := <-o.conns:
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (o *others) Close() error {
	o.once.Do(func() { close(o.done) })
	return nil
}

// Addr implements [net.Listener].
func (o *others) Addr() net.Addr {
	if a := o.addr.Load(); a != nil {
		return *a
	}
	return &net.TCPAddr{}
}

// replayed is a connection from which something was read already.
type replayed struct {
	net.Conn
	read io.Reader
}

func replay(c net.Conn, seen []byte) net.Conn {
	return &replayed{Conn: c, read: io.MultiReader(bytes.NewReader(seen), c)}
}

// Read implements [net.Conn].
func (r *replayed) Read(p []byte) (int, error) { return r.read.Read(p) }
