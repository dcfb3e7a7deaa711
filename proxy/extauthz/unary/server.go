package unary

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config is what a server answers, and its bounds. All but TLS, Log and Unreadable must be set.
type Config struct {
	// Method is the path that is answered: "/package.Service/Method".
	Method string
	// Answer appends the response message to dst. An empty response is an internal error.
	// message is only its own. A panic ends the process.
	Answer func(ctx context.Context, dst []byte, message string) []byte
	// Unreadable is the response to a request whose message is too large or none, or whose
	// headers are too large, in place of an error of gRPC's. why has no part of it. An empty
	// response is an internal error. nil: there is none.
	Unreadable func(why string) []byte
	// Others says which paths are for the server behind [Server.Others], though the
	// connection began with Method: they are refused unprocessed, and tried again by their
	// caller on another connection.
	Others func(path string) bool

	MaxMessage   int           // of a request, in bytes
	MaxStreams   uint32        // of a connection, at a time
	StreamWindow int           // in bytes
	ConnWindow   int           // in bytes
	MaxAge       time.Duration // of a connection, before it is asked to end
	AgeGrace     time.Duration // for its streams to end then
	TLS          *tls.Config   // nil: none
	Log          *zap.Logger   // nil: nothing is told
}

// Server serves connections. [New] makes one.
type Server struct {
	cfg     Config
	others  *others
	running sync.WaitGroup // goroutines of connections

	mu       sync.Mutex
	conns    map[*conn]struct{}
	listener net.Listener
	stopped  bool
}

// ErrStopped is what [Server.Serve] answers after [Server.Stop].
var ErrStopped = errors.New("the server was stopped")

// New makes a server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	// A client may use the windows that HTTP/2 gives it, until it hears of others.
	cfg.StreamWindow = max(cfg.StreamWindow, cfg.MaxMessage+prefixBytes, defaultWindow)
	cfg.ConnWindow = max(cfg.ConnWindow, defaultWindow)
	return &Server{cfg: cfg, others: newOthers(), conns: map[*conn]struct{}{}}
}

// Others are the connections that begin with another method: another server's listener.
// It ends with Stop.
func (s *Server) Others() net.Listener { return s.others }

// Serve serves what l accepts until l fails, or Stop is called, which closes it.
func (s *Server) Serve(l net.Listener) error {
	s.others.addr.Store(new(l.Addr()))
	s.mu.Lock()
	s.listener = l
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		return errors.Join(ErrStopped, l.Close())
	}
	pause := time.Millisecond
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			s.begin(c)
		case s.isStopped():
			return ErrStopped
		case temporary(err): // too many files are open, say
			s.cfg.Log.Warn("accept", zap.Error(err), zap.Duration("pause", pause))
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
		default:
			return err
		}
	}
}

// temporary says whether accepting may work again, as net/http judges it.
func temporary(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Temporary() //nolint:staticcheck // there is no other word for it yet
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// begin serves one connection.
func (s *Server) begin(netConn net.Conn) {
	c := newConn(s, netConn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		_ = netConn.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Go(c.serve)
}

// forget drops a connection that has ended, or is another server's now.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Stop closes the listener, asks every connection to end when its streams have, ends those
// that do not until ctx does, and waits for all goroutines.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	s.stopped = true
	if s.listener != nil {
		_ = s.listener.Close() // who listens is told by Serve
	}
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
		s.running.Go(c.goAway) // a client that does not read holds up only itself
	}
	s.mu.Unlock()
	_ = s.others.Close() // always nil
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		for _, c := range conns {
			c.kill()
		}
		<-done
	}
}

// age is how long a connection lives: not all of them end in one moment.
func (s *Server) age() time.Duration {
	const spread = 10 // one part in this many, up and down
	most := int64(s.cfg.MaxAge) / spread
	if most <= 0 {
		return s.cfg.MaxAge
	}
	return s.cfg.MaxAge + time.Duration(rand.Int64N(2*most)-most) //nolint:gosec // no secret
}
