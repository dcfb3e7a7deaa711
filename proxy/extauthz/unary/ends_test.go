package unary_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

const goodbye = "goodbye!" // in the ping that asks whether a client has heard that it should go

// TestLastStream: a connection that is to go ends when its last stream has, in whichever way,
// a second later: its client may have something to read. Until then it waits.
func TestLastStream(t *testing.T) {
	for name, c := range map[string]struct {
		unreadable string
		last       func(*peer)
		want       answer
	}{
		"answered":    {"", func(p *peer) { p.must(p.WriteData(1, true, framed("x"))) }, said("x")},
		"taken back":  {"", func(p *peer) { p.must(p.WriteRSTStream(1, http2.ErrCodeCancel)) }, answer{}},
		"malformed":   {"", func(p *peer) { p.headers(1, true, ":path", "/") }, answer{Reset: http2.ErrCodeProtocol}},
		"an error":    {"", func(p *peer) { p.must(p.WriteData(1, true, nil)) }, answer{Status: "200", GRPC: "13"}},
		"denied":      {"no", func(p *peer) { p.must(p.WriteData(1, true, nil)) }, answer{Status: "200", GRPC: "0", Message: string(framed("no"))}},
		"too large":   {"", func(p *peer) { p.must(p.WriteData(1, false, []byte{0, 0xff, 0, 0, 0})) }, answer{Status: "200", GRPC: "8"}},
		"its denial":  {"no", func(p *peer) { p.must(p.WriteData(1, false, []byte{0, 0xff, 0, 0, 0})) }, answer{Status: "200", GRPC: "0", Message: string(framed("no"))}},
		"no answer":   {"", func(p *peer) { p.must(p.WriteData(1, true, framed("nothing"))) }, answer{Status: "200", GRPC: "13"}},
		"a late one":  {"", func(p *peer) { p.must(p.WriteData(1, true, framed("later"))) }, said("later")},
		"a late none": {"", func(p *peer) { p.must(p.WriteData(1, true, framed("later, nothing"))) }, answer{Status: "200", GRPC: "13"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				var answered time.Time
				cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
					if message == "not taken any more" {
						t.Error("a request is answered that was not taken")
					}
					if message == "later" || message == "later, nothing" {
						_ = ctx.Done()
						time.Sleep(time.Minute)
						answered = time.Now()
						if message == "later, nothing" {
							return dst
						}
					}
					return say(ctx, dst, message)
				}
				if c.unreadable != "" {
					cfg.Unreadable = func(string) []byte { return []byte(c.unreadable) }
				}
				p, all, stop := bubble(t, cfg)
				p.headers(1, false, fields()...)
				stopped := stopping(stop)
				synctest.Wait()
				p.must(p.WritePing(true, [8]byte([]byte(goodbye))))
				time.Sleep(time.Minute)
				p.ask(3, "not taken any more")
				p.headers(5, true, ":method", "GET")
				answered = time.Now()
				c.last(p)
				h := <-all
				if took := time.Since(answered); took != time.Second {
					t.Errorf("the connection ended %v after its last stream, want a second", took)
				}
				if got := h.answers[1]; cmp.Diff(c.want, withoutEnd(got)) != "" {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				if len(h.answers) > 1 || len(h.goAway) != 2 || h.goAway[1].LastStreamID != 1 {
					t.Errorf("got %+v, want two goodbyes, the last after stream 1, and no answer to a later stream", h)
				}
				<-stopped
			})
		})
	}
}

// stopping stops a server that may take as long as it likes; what it answers is closed then.
func stopping(stop func(time.Duration)) <-chan struct{} {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(time.Hour)
	}()
	return stopped
}

// withoutEnd forgets that the rest of a request is not wanted.
func withoutEnd(a answer) answer {
	if a.Reset == http2.ErrCodeNo {
		a.Reset = 0
	}
	return a
}

// TestClientEnds: a client that closes the connection, as it should when it was told to go,
// is waited for no longer.
func TestClientEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, all, stop := bubble(t, config())
		p.ask(1, "x")
		synctest.Wait()
		stopped := stopping(stop)
		synctest.Wait()
		p.must(p.WritePing(true, [8]byte([]byte(goodbye))))
		p.must(p.Close())
		began := time.Now()
		<-all
		<-stopped
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// TestGoodbyes: a client is asked to go once; it has heard so when it answers the ping of
// that, and no other.
func TestGoodbyes(t *testing.T) {
	type told struct {
		After time.Duration
		Last  uint32
		Code  http2.ErrCode
	}
	const elsewhere = "/other.Service/Ask"
	other := func(p *peer, id uint32) {
		list := fields()
		list[5] = elsewhere
		p.headers(id, true, list...)
	}
	for name, c := range map[string]struct {
		send func(*peer)
		want []told
	}{
		"nobody is asked": {func(p *peer) {
			p.must(p.WritePing(true, [8]byte([]byte(goodbye))))
			p.must(p.WriteGoAway(0, http2.ErrCodeNo, nil))
			p.ask(1, "x")
		}, nil},
		"it is heard": {func(p *peer) {
			other(p, 1)
			p.must(p.WritePing(true, [8]byte([]byte(goodbye))))
		}, []told{{0, 1<<31 - 1, 0}, {0, 1, 0}}},
		"it is heard later": {func(p *peer) {
			other(p, 1)
			time.Sleep(time.Second)
			p.ask(3, "x")
			p.must(p.WritePing(true, [8]byte([]byte(goodbye))))
			p.must(p.WritePing(true, [8]byte([]byte(goodbye))))
		}, []told{{0, 1<<31 - 1, 0}, {time.Second, 3, 0}}},
		"nothing is heard": {func(p *peer) { other(p, 1) }, []told{{0, 1<<31 - 1, 0}, {5 * time.Second, 1, 0}}},
		"another ping is": {func(p *peer) {
			other(p, 1)
			p.must(p.WritePing(true, [8]byte([]byte("goodbye?"))))
		}, []told{{0, 1<<31 - 1, 0}, {5 * time.Second, 1, 0}}},
		"there is more than one reason": {func(p *peer) {
			other(p, 1)
			other(p, 3)
			time.Sleep(time.Second)
			other(p, 5)
		}, []told{{0, 1<<31 - 1, 0}, {5 * time.Second, 5, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, stop := piped(t, config())
				p := pipedPeer(t, client)
				var got []told
				began := time.Now()
				all := p.listener(func(_ *heard, f http2.Frame) bool {
					if g, ok := f.(*http2.GoAwayFrame); ok {
						got = append(got, told{time.Since(began), g.LastStreamID, g.ErrCode})
					}
					return false
				})
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				p.must(p.WritePing(false, [8]byte{})) // the connection is not another server's
				c.send(p)
				time.Sleep(time.Minute)
				if len(c.want) == 0 {
					p.ask(101, "still there")
				}
				synctest.Wait()
				seen := slices.Clone(got)
				stop(time.Second)
				h := <-all
				if diff := cmp.Diff(c.want, seen); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if len(c.want) == 0 && h.answers[101] != said("still there") {
					t.Errorf("got %+v", h.answers)
				}
			})
		})
	}
}

// half is a connection whose one side can be closed alone, as TCP's can.
type half struct {
	net.Conn
	to chan struct{} // closed with it
}

func (h half) CloseWrite() error {
	close(h.to)
	return nil
}

func (h half) Write(b []byte) (int, error) {
	select {
	case <-h.to:
		return 0, net.ErrClosed
	default:
		return h.Conn.Write(b)
	}
}

// TestAccused: a client whose error ends the connection can read why, though it is sending,
// for a second. What is under way ends at once.
func TestAccused(t *testing.T) {
	for name, c := range map[string]struct {
		half   bool
		then   func(*peer) error
		took   time.Duration
		accept bool // what is sent then
	}{
		"it says nothing more":           {true, func(*peer) error { return nil }, time.Second, true},
		"it closes":                      {true, func(p *peer) error { return p.Close() }, 0, true},
		"it is sending":                  {true, func(p *peer) error { return p.WriteData(1, true, make([]byte, 10<<10)) }, time.Second, true},
		"it does not stop sending":       {true, func(p *peer) error { _, err := p.Write(make([]byte, 2<<20)); return err }, 0, false},
		"there is one way to close only": {false, func(p *peer) error { return p.WritePing(false, [8]byte{}) }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				ended := make(chan time.Time, 1)
				cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
					<-ctx.Done()
					ended <- time.Now()
					return say(ctx, dst, message)
				}
				client, server := net.Pipe()
				l := &pipe{conns: make(chan net.Conn, 1), done: make(chan struct{})}
				l.conns <- server
				if c.half {
					<-l.conns
					l.conns <- half{server, make(chan struct{})}
				}
				s := unary.New(cfg)
				served := make(chan struct{})
				go func() {
					defer close(served)
					_ = s.Serve(l)
				}()
				p := pipedPeer(t, client)
				all := p.listener(func(*heard, http2.Frame) bool { return false })
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				p.ask(1, "wait")
				synctest.Wait()
				p.AllowIllegalWrites = true
				began := time.Now()
				p.must(p.WriteWindowUpdate(0, 0))
				synctest.Wait()
				stopped := make(chan struct{})
				go func() { // it has nothing more to say to it
					defer close(stopped)
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					defer cancel()
					s.Stop(ctx)
				}()
				synctest.Wait()
				if err := c.then(p); (err == nil) != c.accept {
					t.Errorf("sending then: %v", err)
				}
				if took := (<-ended).Sub(began); took != 0 {
					t.Errorf("what was under way ended after %v", took)
				}
				<-stopped
				if took := time.Since(began); took != c.took {
					t.Errorf("the connection ended after %v, want %v", took, c.took)
				}
				if h := <-all; len(h.goAway) != 1 || h.goAway[0].ErrCode != http2.ErrCodeProtocol || h.goAway[0].LastStreamID != 1 || len(h.answers) > 0 {
					t.Errorf("got %+v, want one goodbye for an error", h)
				}
				<-served
			})
		})
	}
}

// TestNothingIsSaidToWhoLeaves: a client that closes has made no error.
func TestNothingIsSaidToWhoLeaves(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	p.ask(1, "x")
	p.settled(nil)
	p.must(p.Conn.(*net.TCPConn).CloseWrite())
	if h := p.until(closed); len(h.goAway) > 0 || len(h.answers) > 0 {
		t.Errorf("got %+v", h)
	}
}

// TestStopEndsAnswers: when the server does not wait any longer, neither do answers that look
// from time to time whether they are wanted.
func TestStopEndsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Answer = func(ctx context.Context, dst []byte, _ string) []byte {
			for ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			return append(dst, "too late"...)
		}
		p, all, stop := bubble(t, cfg)
		p.ask(1, "x")
		synctest.Wait()
		began := time.Now()
		stop(time.Second)
		if took := time.Since(began); took > time.Second+time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if h := <-all; len(h.answers) > 0 {
			t.Errorf("got %+v", h.answers)
		}
	})
}

// watched is a connection of which the test hears when nobody has it any more.
type watched struct{ *net.TCPConn }

type watching struct {
	net.Listener
	conns chan weak.Pointer[watched]
}

func (w watching) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &watched{c.(*net.TCPConn)}
	w.conns <- weak.Make(conn)
	return conn, nil
}

// TestNothingIsKept: of a connection that has ended nothing is kept, though the server goes on
// and the connection would have lived for long.
func TestNothingIsKept(t *testing.T) {
	for name, end := range map[string]func(*peer){
		"it is no HTTP/2": func(p *peer) { p.write([]byte("GET / HTTP/1.1\r\n\r\n and what else there is to say")) },
		"its client ends it": func(p *peer) {
			p.write([]byte(http2.ClientPreface))
			p.must(p.WriteSettings())
			p.ask(1, "x")
			p.until(done(1))
			p.must(p.Conn.(*net.TCPConn).CloseWrite())
		},
		"its client makes an error": func(p *peer) {
			p.write([]byte(http2.ClientPreface))
			p.must(p.WriteSettings())
			p.settled(nil)
			p.must(p.WriteRSTStream(7, 0))
		},
		"it is another server's": func(p *peer) {
			p.write([]byte(http2.ClientPreface))
			p.must(p.WriteSettings())
			list := fields()
			list[5] = "/other.Service/Ask"
			p.headers(1, true, list...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.MaxAge = time.Hour
			s := unary.New(cfg)
			l := watching{listen(t), make(chan weak.Pointer[watched], 1)}
			served, others := make(chan error, 1), make(chan struct{})
			go func() { served <- s.Serve(l) }()
			go func() {
				defer close(others)
				for {
					c, err := s.Others().Accept()
					if err != nil {
						return
					}
					_ = c.Close()
				}
			}()
			p := dialRaw(t, l.Addr().String())
			end(p)
			p.until(closed)
			p.must(p.Close())
			conn := <-l.conns
			for limit := time.Now().Add(deadline); conn.Value() != nil; runtime.GC() {
				if time.Now().After(limit) {
					t.Fatal("the server keeps the connection")
				}
				time.Sleep(time.Millisecond) // it is ending yet
			}
			s.Stop(t.Context())
			if err := <-served; !errors.Is(err, unary.ErrStopped) {
				t.Error(err)
			}
			<-others
		})
	}
}
