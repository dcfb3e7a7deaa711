package unary_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/net/http2"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

// failure is an error of a network, which may pass.
type failure struct{ passes bool }

func (failure) Error() string     { return "a failure" }
func (failure) Timeout() bool     { return false }
func (f failure) Temporary() bool { return f.passes }

// scripted is a listener that answers with one error after another, and nil by a connection.
type scripted struct {
	errs   []error
	peers  []net.Conn
	times  []time.Time
	once   sync.Once
	closed chan struct{}
}

func (s *scripted) Accept() (net.Conn, error) {
	s.times = append(s.times, time.Now())
	if len(s.errs) == 0 {
		<-s.closed
		return nil, net.ErrClosed
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	if err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	s.peers = append(s.peers, client)
	return server, nil
}

func (s *scripted) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (*scripted) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7} }

// TestAccept: a failure that may pass is waited for, longer and longer, and a second at most;
// another is told. Others hear which address is listened at.
func TestAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passing, lasting := error(failure{passes: true}), error(failure{})
		for _, last := range []error{lasting, io.ErrUnexpectedEOF} {
			l := &scripted{closed: make(chan struct{})}
			for range 12 {
				l.errs = append(l.errs, passing)
			}
			l.errs = append(l.errs, nil, passing, passing, last)
			cfg := config()
			core, told := observer.New(zap.InfoLevel)
			cfg.Log = zap.New(core)
			s := unary.New(cfg)
			if got, want := s.Others().Addr().String(), ":0"; got != want {
				t.Errorf("before: got address %v, want %v", got, want)
			}
			if err := s.Serve(l); !errors.Is(err, last) {
				t.Errorf("got %v, want %v", err, last)
			}
			if got, want := s.Others().Addr().String(), "10.0.0.1:7"; got != want {
				t.Errorf("got address %v, want %v", got, want)
			}
			want := []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000, 0, 1, 2} // milliseconds
			for i, w := range want {
				if got := l.times[i+1].Sub(l.times[i]); got != w*time.Millisecond {
					t.Errorf("it waited %v after failure %d, want %v", got, i, w*time.Millisecond)
				}
			}
			if told.Len() != 14 {
				t.Errorf("the log has %d lines, want one for each of 14 failures", told.Len())
			}
			if len(l.times) != len(want)+1 {
				t.Errorf("it accepted %d times, want %d", len(l.times), len(want)+1)
			}
			for _, p := range l.peers { // it is served
				if _, err := p.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
				_ = p.Close()
			}
			s.Stop(t.Context())
		}
	})
}

// TestStopBeforeServe: a server that was stopped serves nothing, and leaves no listener open.
func TestStopBeforeServe(t *testing.T) {
	s := unary.New(config())
	s.Stop(t.Context())
	l := &scripted{closed: make(chan struct{}), errs: []error{nil}}
	if err := s.Serve(l); !errors.Is(err, unary.ErrStopped) {
		t.Errorf("got %v, want %v", err, unary.ErrStopped)
	}
	if len(l.times) > 0 {
		t.Error("it accepts")
	}
	select {
	case <-l.closed:
	default:
		t.Error("the listener is open")
	}
}

// late is a listener that has accepted a connection before it was closed, and tells so after.
type late struct {
	*pipe
	conn      chan net.Conn
	accepting chan struct{}
}

func (l late) Accept() (net.Conn, error) {
	select {
	case l.accepting <- struct{}{}:
	default:
	}
	<-l.done
	select {
	case c := <-l.conn:
		return c, nil
	default:
		return nil, net.ErrClosed
	}
}

// TestStopWhileAccepting: a connection that is accepted too late is closed, without a word.
func TestStopWhileAccepting(t *testing.T) {
	client, server := net.Pipe()
	l := late{&pipe{done: make(chan struct{})}, make(chan net.Conn, 1), make(chan struct{}, 1)}
	l.conn <- server
	s := unary.New(config())
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	<-l.accepting
	s.Stop(t.Context())
	defer time.AfterFunc(deadline, func() { _ = client.Close() }).Stop() // a deadline is refused where the other end has closed
	if n, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes and %v, want %v", n, err, io.EOF)
	}
	select {
	case err := <-served:
		if !errors.Is(err, unary.ErrStopped) {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Fatal("it still serves")
	}
}

// TestAges: connections of one moment do not end in one moment, but all within a tenth of
// their age, or at it, if that is nothing to be spread.
func TestAges(t *testing.T) {
	const age = 10 * time.Minute
	for _, c := range []struct{ age, least, most time.Duration }{
		{age, age - age/10, age + age/10},
		{5, 5, 5},
		{0, age * 3, age * 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			ages := map[time.Duration]bool{}
			const connections = 40
			for range connections {
				cfg := config()
				cfg.MaxAge, cfg.AgeGrace = c.age, time.Hour
				client, stop := piped(t, cfg)
				p := pipedPeer(t, client)
				began := time.Now()
				warned := make(chan time.Duration, 2)
				all := p.listener(func(_ *heard, f http2.Frame) bool {
					if f != nil && f.Header().Type == http2.FrameGoAway {
						warned <- time.Since(began)
					}
					return false
				})
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				p.must(p.WritePing(false, [8]byte{}))
				p.headers(1, false, fields()...)
				if c.age == 0 {
					time.Sleep(c.least)
					synctest.Wait()
					if len(warned) > 0 {
						t.Errorf("without an age it was to go after %v", <-warned)
					}
				} else {
					got := <-warned
					if got < c.least || got > c.most {
						t.Errorf("got an age of %v, want %v to %v", got, c.least, c.most)
					}
					ages[got] = true
				}
				stop(0)
				<-all
			}
			if c.least != c.most && len(ages) < connections/2 {
				t.Errorf("got %d ages of %d connections", len(ages), connections)
			}
		})
	}
}

// TestStopWaits: answers under way are waited for, as long as the caller has time.
func TestStopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Answer = func(_ context.Context, dst []byte, message string) []byte {
			time.Sleep(time.Minute) // it does not say that it takes longer
			return append(append(dst, "said "...), message...)
		}
		p, all, stop := bubble(t, cfg)
		p.ask(1, "x")
		synctest.Wait()
		began := time.Now()
		stop(time.Hour)
		// A client that hears of it only then has five seconds to say so.
		if took := time.Since(began); took < time.Minute || took > time.Minute+6*time.Second {
			t.Errorf("it took %v", took)
		}
		if h := <-all; h.answers[1] != said("x") {
			t.Errorf("got %+v", h.answers)
		}
	})
}
