package unary_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

// TestNothingAfterTheEnd: what comes on a stream whose request is whole ends the stream. It
// is no second request, and what is under way on other streams goes on.
func TestNothingAfterTheEnd(t *testing.T) {
	for name, send := range map[string]func(*peer){
		"data":                 func(p *peer) { p.must(p.WriteData(1, false, framed("wait"))) },
		"data that ends again": func(p *peer) { p.must(p.WriteData(1, true, framed("wait"))) },
		"a trailer":            func(p *peer) { p.headers(1, true, "x-trailer", "t") },
		"another request":      func(p *peer) { p.ask(1, "wait") },
	} {
		for _, first := range []string{"wait", "big"} { // waiting for its answer, or for a window
			t.Run(name+" while the first is to "+first, func(t *testing.T) {
				_, addr := serve(t, config())
				p := dial(t, addr)
				p.stingy = true
				p.ask(1, first)
				send(p)
				h := p.until(func(h *heard, _ http2.Frame) bool { return h.answers[1].Reset != 0 })
				if got := h.answers[1]; got.Reset != http2.ErrCodeStreamClosed || got.GRPC != "" {
					t.Errorf("got %.200v, want %v", got, http2.ErrCodeStreamClosed)
				}
				p.must(p.WriteWindowUpdate(0, 1<<20))
				p.ask(3, "after")
				if got := p.until(done(3)).answers[3]; got != said("after") {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

// TestTrailers: what ends a request must be a trailer, and well-formed.
func TestTrailers(t *testing.T) {
	for name, send := range map[string]func(*peer){
		"not the end":     func(p *peer) { p.headers(1, false, "x-trailer", "t") },
		"a pseudo header": func(p *peer) { p.headers(1, true, ":path", "/") },
		"in capitals":     func(p *peer) { p.headers(1, true, "X-Trailer", "t") },
		"too large":       func(p *peer) { p.headers(1, true, "x-a", strings.Repeat("a", 300<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			p := dial(t, addr)
			p.headers(1, false, fields()...)
			p.must(p.WriteData(1, false, framed("x")))
			send(p)
			if got, want := p.until(done(1)).answers[1], (answer{Reset: http2.ErrCodeProtocol}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestStopDoesNotWaitForReaders: a client that reads nothing keeps nobody from stopping.
func TestStopDoesNotWaitForReaders(t *testing.T) {
	s, addr := serve(t, config())
	p := dial(t, addr)
	p.ask(1, "first")
	p.until(done(1))
	p.must(p.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)))
	pings := strings.Repeat("\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping", 1000)
	for { // until neither side has room for more
		if _, err := p.Write([]byte(pings)); err != nil {
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	s.Stop(ctx)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestStopWhileGreeting: who has connected, and is told to go before it has asked, is
// answered what it asks meanwhile: it could not have known.
func TestStopWhileGreeting(t *testing.T) {
	for path, want := range map[string]answer{
		method:               said("late"),
		"/other.Service/Ask": {Reset: http2.ErrCodeRefusedStream}, // it may ask elsewhere
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel() // each takes a second
			s, addr := serve(t, config())
			p := dial(t, addr)
			p.until(func(_ *heard, f http2.Frame) bool { return f.Header().Type == http2.FrameSettings })
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				ctx, cancel := context.WithTimeout(context.Background(), deadline)
				defer cancel()
				s.Stop(ctx)
			}()
			<-listening(t, addr)
			list := fields()
			list[5] = path
			p.headers(1, false, list...)
			p.must(p.WriteData(1, true, framed("late")))
			h := p.until(func(_ *heard, f http2.Frame) bool {
				if ping, ok := f.(*http2.PingFrame); ok && !ping.IsAck() {
					p.must(p.WritePing(true, ping.Data))
				}
				return f == nil
			})
			if h.answers[1] != want || len(h.goAway) != 2 {
				t.Errorf("got %+v, want %+v and two goodbyes", h, want)
			}
			<-stopped
		})
	}
}

// listening is closed when nobody listens any more.
func listening(tb testing.TB, addr string) <-chan struct{} {
	tb.Helper()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			c, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return gone
}

// pipe is a listener of one connection, which needs no network: in a bubble of time.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	close(p.done)
	return nil
}

func (*pipe) Addr() net.Addr { return &net.TCPAddr{} }

func newPipe() (client net.Conn, l *pipe) {
	client, server := net.Pipe()
	l = &pipe{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- server
	return client, l
}

// piped starts a server of one connection, which is answered.
func piped(tb testing.TB, cfg unary.Config) (client net.Conn, stop func(time.Duration)) {
	tb.Helper()
	client, l := newPipe()
	s := unary.New(cfg)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	return client, func(limit time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		s.Stop(ctx)
		<-served
		_ = client.Close()
	}
}

// listener reads all that a server says, beside what is sent.
func (p *peer) listener(found func(*heard, http2.Frame) bool) <-chan *heard {
	all := make(chan *heard, 1)
	go func() {
		h := &heard{answers: map[uint32]answer{}}
		defer func() { all <- h }()
		for {
			f, err := p.ReadFrame()
			if err != nil {
				found(h, nil)
				return
			}
			h.take(p, f)
			if found(h, f) {
				return
			}
		}
	}()
	return all
}

// pipedPeer is a client of piped that has said who it is.
func pipedPeer(tb testing.TB, c net.Conn) *peer {
	tb.Helper()
	p := newPeer(tb, c)
	p.stingy = true // who reads does not write: the other side may be writing, too
	return p
}

// TestTimes: whoever is silent is left in the end, each in its time.
func TestTimes(t *testing.T) {
	for name, c := range map[string]struct {
		age, grace time.Duration
		send       func(*peer)
		least      time.Duration
		most       time.Duration
		goAways    []uint32 // the last streams that they tell
	}{
		"nothing is said": {send: func(*peer) {}, least: 10 * time.Second, most: 10 * time.Second},
		"half a preface":  {send: func(p *peer) { p.write([]byte(http2.ClientPreface[:10])) }, least: 10 * time.Second, most: 10 * time.Second},
		"a goodbye is not heard": {
			age: time.Minute, grace: time.Hour,
			send: func(p *peer) {
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				p.ask(1, "x")
				p.ask(3, "x")
			},
			least: 54*time.Second + 6*time.Second, most: 66*time.Second + 6*time.Second,
			goAways: []uint32{1<<31 - 1, 3},
		},
		"a request never ends": {
			age: time.Minute, grace: time.Minute,
			send: func(p *peer) {
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				p.headers(1, false, fields()...)
			},
			least: 114 * time.Second, most: 126 * time.Second,
			goAways: []uint32{1<<31 - 1, 1},
		},
		"frame by frame, and no request": { // it is taken for ours then, and grows old
			age: time.Minute, grace: time.Second,
			send: func(p *peer) {
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				for range 20 {
					time.Sleep(900 * time.Millisecond)
					p.must(p.WriteSettings())
				}
			},
			least: 55 * time.Second, most: 68 * time.Second,
			goAways: []uint32{1<<31 - 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.MaxAge, cfg.AgeGrace = c.age, c.grace
				client, stop := piped(t, cfg)
				p := pipedPeer(t, client)
				began := time.Now()
				all := p.listener(func(*heard, http2.Frame) bool { return false })
				c.send(p)
				h := <-all
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("it ended after %v, want %v to %v", took, c.least, c.most)
				}
				var lasts []uint32
				for _, g := range h.goAway {
					lasts = append(lasts, g.LastStreamID)
				}
				if len(lasts) != len(c.goAways) {
					t.Fatalf("got goodbyes %v, want %v", lasts, c.goAways)
				}
				for i, want := range c.goAways {
					if lasts[i] != want {
						t.Errorf("got goodbyes %v, want %v", lasts, c.goAways)
					}
				}
				stop(time.Second)
			})
		})
	}
}

// TestLastAnswerWaitsForAWindow: a connection that was left ends with its last answer, though
// that waits for the client, and for long.
func TestLastAnswerWaitsForAWindow(t *testing.T) {
	for name, open := range map[string]func(*peer) error{
		"an update": func(p *peer) error { return p.WriteWindowUpdate(1, 1<<20) },
		"another beginning": func(p *peer) error {
			return p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, stop := piped(t, config())
				p := pipedPeer(t, client)
				all := p.listener(func(*heard, http2.Frame) bool { return false })
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
				p.ask(1, "x")
				stopped := make(chan struct{})
				go func() {
					defer close(stopped)
					stop(time.Hour)
				}()
				time.Sleep(time.Minute)
				p.must(open(p))
				began := time.Now()
				if got := (<-all).answers[1]; got != said("x") {
					t.Errorf("got %+v", got)
				}
				<-stopped
				if took := time.Since(began); took > time.Second {
					t.Errorf("it ended %v after the answer", took)
				}
			})
		})
	}
}

// TestGoodbyeIsFinal: what was said not to be answered is not, and stays so to the end.
func TestGoodbyeIsFinal(t *testing.T) {
	s, addr := serve(t, config())
	p := dial(t, addr)
	p.ask(1, "wait") // it keeps the connection
	p.ask(3, "x")
	p.until(done(3))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		s.Stop(ctx)
	}()
	p.until(func(h *heard, f http2.Frame) bool {
		if ping, ok := f.(*http2.PingFrame); ok {
			p.must(p.WritePing(true, ping.Data))
		}
		return len(h.goAway) == 2
	})
	p.ask(5, "too late")
	p.must(p.WriteWindowUpdate(9, 1)) // an error
	h := p.until(closed)
	if _, answered := h.answers[5]; answered || len(h.goAway) != 1 || h.goAway[0].LastStreamID != 3 {
		t.Errorf("got %+v, want no answer to stream 5, and a goodbye after 3", h)
	}
	<-stopped
}

// TestMuchAtOnce: what is answered at a time does not gather without a bound.
func TestMuchAtOnce(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	p.must(p.WriteWindowUpdate(0, 1<<30))
	var ids []uint32
	for id := uint32(1); id < 41; id += 2 {
		p.ask(id, "big")
		ids = append(ids, id)
	}
	p.stingy = true
	for id, a := range p.until(done(ids...)).answers {
		if a.GRPC != "0" || len(a.Message) != 1<<20+5 {
			t.Errorf("stream %d: got %s and %d bytes", id, a.GRPC, len(a.Message))
		}
	}
}
