package unary_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

// another is a request of another method.
func another(path string) []string {
	list := fields()
	list[5] = path
	return list
}

// TestWhose: a connection is for the server of what its first request asks for: nobody has
// looked at it then, and no time is set to it. Whoever asks for nothing, or wrongly, is ours.
func TestWhose(t *testing.T) {
	const elsewhere = "/other.Service/Ask"
	for name, c := range map[string]struct {
		send func(*peer)
		want string // "ours", "the other's" or "nobody's"
		took time.Duration
	}{
		"the method":           {func(p *peer) { p.ask(1, "x") }, "ours", 0},
		"another method":       {func(p *peer) { p.headers(1, true, another(elsewhere)...) }, "the other's", 0},
		"a method of nobody":   {func(p *peer) { p.headers(1, true, another("/nobody.Service/Ask")...) }, "the other's", 0},
		"after other frames":   {func(p *peer) { p.must(p.WriteWindowUpdate(0, 1)); p.headers(1, true, another(elsewhere)...) }, "the other's", 0},
		"another in parts":     {func(p *peer) { inParts(p, another(elsewhere)) }, "the other's", 0},
		"the method in parts":  {func(p *peer) { inParts(p, fields()); p.must(p.WriteData(1, true, framed("x"))) }, "ours", 0},
		"nothing":              {func(*peer) {}, "ours", time.Second},
		"nothing for a while":  {func(p *peer) { time.Sleep(time.Second - 1); p.headers(1, true, another(elsewhere)...) }, "the other's", time.Second - 1},
		"nothing for long":     {func(p *peer) { time.Sleep(time.Second + 1); p.headers(1, true, another(elsewhere)...) }, "ours", time.Second},
		"a ping":               {func(p *peer) { p.must(p.WritePing(false, [8]byte{})) }, "ours", 0},
		"a ping, then another": {func(p *peer) { p.must(p.WritePing(false, [8]byte{})); p.headers(1, true, another(elsewhere)...) }, "ours", 0},
		"a block that is none": {func(p *peer) { p.raw("000001 01 05 00000001 ff") }, "ours", 0},
		"a request of no path": {func(p *peer) { p.headers(1, true, ":method", "POST", ":scheme", "http") }, "ours", 0},
		"too large a frame":    {func(p *peer) { p.raw("004001 00 00 00000001") }, "ours", 0},
		"as large as may be": {func(p *peer) {
			p.raw("004000 ff 00 00000001")
			p.write(make([]byte, 16<<10))
			p.headers(1, true, another(elsewhere)...)
		}, "the other's", 0},
		"more than is kept":     {func(p *peer) { much(p, 5); p.headers(1, true, another(elsewhere)...) }, "ours", 0},
		"as much as is kept":    {func(p *peer) { much(p, 3); p.headers(1, true, another(elsewhere)...) }, "the other's", 0},
		"the end of the client": {func(p *peer) { p.must(p.Close()) }, "nobody's", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				var told time.Time // when the server was the one to answer
				client, l := newPipe()
				s := unary.New(cfg)
				served := make(chan struct{})
				go func() {
					defer close(served)
					_ = s.Serve(l)
				}()
				given := make(chan net.Conn, 1)
				go func() {
					for {
						c, err := s.Others().Accept()
						if err != nil {
							if !errors.Is(err, net.ErrClosed) {
								t.Errorf("Accept: got %v, want %v", err, net.ErrClosed)
							}
							return
						}
						told = time.Now()
						given <- c
					}
				}()
				p := newPeer(t, client)
				p.stingy, p.AllowIllegalWrites = true, true
				var sent bytes.Buffer
				p.Framer = http2.NewFramer(io.MultiWriter(client, &sent), client)
				p.Conn = tee{client, &sent}
				began := time.Now()
				ours := false
				all := p.listener(func(_ *heard, f http2.Frame) bool {
					switch f := f.(type) {
					case *http2.SettingsFrame:
						if f.IsAck() && !ours {
							told, ours = time.Now(), true
						}
					case *http2.GoAwayFrame:
						if !ours {
							told, ours = time.Now(), true
						}
					case *http2.DataFrame:
						if f.StreamID == 99 && string(f.Data()) == "the other's" {
							return true
						}
					}
					return false
				})
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				c.send(p)
				time.Sleep(time.Minute)
				synctest.Wait()
				got := "nobody's"
				select {
				case conn := <-given:
					got = "the other's"
					exchange(t, p, conn, sent.Bytes())
					<-all
				default:
					if ours {
						got = "ours"
					}
				}
				if took := told.Sub(began); got != c.want || c.want != "nobody's" && took != c.took {
					t.Errorf("it was %s after %v, want %s after %v", got, took, c.want, c.took)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				s.Stop(ctx)
				<-served
				_ = client.Close()
			})
		})
	}
}

// tee keeps what is written.
type tee struct {
	net.Conn
	to *bytes.Buffer
}

func (t tee) Write(b []byte) (int, error) {
	t.to.Write(b)
	return t.Conn.Write(b)
}

// exchange looks whether a connection that was handed over is whole, and has time.
func exchange(t *testing.T, p *peer, conn net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the other server read %.200q, %v, want %.200q", got, err, want)
	}
	time.Sleep(24 * time.Hour)
	if err := http2.NewFramer(conn, nil).WriteData(99, false, []byte("the other's")); err != nil {
		t.Errorf("the other server writes: %v", err)
	}
	go func() { _ = p.WriteData(1, true, []byte("more")) }() // it is read below
	if f, err := http2.NewFramer(nil, conn).ReadFrame(); err != nil || f.Header().Type != http2.FrameData {
		t.Errorf("the other server read %v, %v", f, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// inParts sends headers in three frames.
func inParts(p *peer, list []string) {
	block := slices.Clone(p.encode(list...))
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:5]}))
	p.must(p.WriteContinuation(1, false, block[5:10]))
	p.must(p.WriteContinuation(1, true, block[10:]))
}

// much sends frames of 16 KiB that say nothing.
func much(p *peer, n int) {
	for range n {
		p.raw("004000 ff 00 00000001")
		p.write(make([]byte, 16<<10))
	}
}

// TestSettingsFirst: who does not begin with settings does not speak HTTP/2, and hears no
// answer.
func TestSettingsFirst(t *testing.T) {
	for name, send := range map[string]func(*peer){
		"a request": func(p *peer) { p.ask(1, "x") },
		"a ping":    func(p *peer) { p.must(p.WritePing(false, [8]byte{})) },
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			p := dialRaw(t, addr)
			p.write(append([]byte(http2.ClientPreface), written(t, send)[settingsBytes:]...))
			if h := p.until(closed); len(h.answers)+len(h.pings)+len(h.goAway) > 0 {
				t.Errorf("got %+v", h)
			}
		})
	}
}

// settingsBytes are before all else in what written makes.
const settingsBytes = 9 + 6

// TestPreface: what begins in nearly the way of HTTP/2 is not HTTP/2.
func TestPreface(t *testing.T) {
	_, addr := serve(t, config())
	p := dialRaw(t, addr)
	p.write(append([]byte(strings.Replace(http2.ClientPreface, "SM", "MS", 1)), written(t, func(p *peer) { p.ask(1, "x") })...))
	if h := p.until(closed); len(h.answers)+len(h.goAway) > 0 {
		t.Errorf("got %+v", h)
	}
}

// TestOthersStop: a connection that nobody takes any more is asked to try elsewhere.
func TestOthersStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, all, stop := bubble(t, config())
		p.headers(1, true, another("/other.Service/Ask")...)
		time.Sleep(time.Hour) // and nobody accepts it
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop(time.Hour)
		}()
		began := time.Now()
		h := <-all
		if took := time.Since(began); took != 6*time.Second { // for the ping that is not answered, and the end
			t.Errorf("it took %v", took)
		}
		if got, want := h.answers[1], (answer{Reset: http2.ErrCodeRefusedStream}); got != want || len(h.goAway) != 2 {
			t.Errorf("got %+v", h)
		}
		<-stopped
	})
}
