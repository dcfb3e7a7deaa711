package unary_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestStreamErrors: an error of one stream ends that, and leaves the others.
func TestStreamErrors(t *testing.T) {
	for name, c := range map[string]struct {
		send func(*peer)
		want http2.ErrCode
	}{
		"an update by nothing":     {func(p *peer) { p.must(p.WriteWindowUpdate(3, 0)) }, http2.ErrCodeProtocol},
		"a trailer of one answer":  {func(p *peer) { p.headers(1, true, "x-trailer", "t") }, http2.ErrCodeStreamClosed},
		"headers that end nothing": {func(p *peer) { p.must(p.WriteData(3, false, nil)); p.headers(3, false, "x-trailer", "t") }, http2.ErrCodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			p := dial(t, addr)
			p.AllowIllegalWrites = true
			p.ask(1, "first")
			p.headers(3, false, fields()...)
			p.settled(nil)
			c.send(p)
			p.ask(5, "after")
			h := p.settled(nil)
			var got []http2.ErrCode
			for _, a := range h.answers {
				if a.Reset != 0 {
					got = append(got, a.Reset)
				}
			}
			if len(got) != 1 || got[0] != c.want || h.answers[5] != said("after") {
				t.Errorf("got %+v, want one stream ended for %v", h.answers, c.want)
			}
		})
	}
}

// TestNobodyElseAnswers: whatever Others says, the method is answered here.
func TestNobodyElseAnswers(t *testing.T) {
	cfg := config()
	cfg.Others = func(string) bool { return true }
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	p.ask(1, "x")
	p.ask(3, "y")
	if h := p.settled(nil); h.answers[1] != said("x") || h.answers[3] != said("y") || len(h.goAway) > 0 {
		t.Errorf("got %+v", h)
	}
}

// TestRestIsNotWanted: a client that is answered before its request is whole is told that the
// rest is not wanted, and no other.
func TestRestIsNotWanted(t *testing.T) {
	large := []byte{0, 0xff, 0, 0, 0} // by what it says
	for name, c := range map[string]struct {
		fields []string
		body   []byte
		whole  bool
	}{
		"too large":             {fields(), large, false},
		"too large, and whole":  {fields(), large, true},
		"unknown":               {another("/test.Echo/Shout"), nil, false},
		"unknown, and whole":    {another("/test.Echo/Shout"), nil, true},
		"compressed":            {fields("grpc-encoding", "gzip"), nil, false},
		"compressed, and whole": {fields("grpc-encoding", "gzip"), nil, true},
		"no message":            {fields(), nil, true},
		"cut off":               {fields(), []byte{0}, true},
		"another length":        {fields(), framed("xyz")[:6], true},
		"flagged":               {fields(), append([]byte{1}, framed("x")[1:]...), true},
		"no answer":             {fields(), framed("nothing"), true},
		"an answer":             {fields(), framed("x"), true},
		"headers":               {fields("x-a", strings.Repeat("a", 300<<10)), nil, false},
		"headers, and whole":    {fields("x-a", strings.Repeat("a", 300<<10)), nil, true},
		"no POST":               {append([]string{":method", "GET"}, fields()[2:]...), nil, false},
		"no POST, and whole":    {append([]string{":method", "GET"}, fields()[2:]...), nil, true},
		"a bad time":            {fields("grpc-timeout", "soon"), nil, false},
		"a bad time, and whole": {fields("grpc-timeout", "soon"), nil, true},
		"no content":            {fields()[:8], nil, false},
		"no content, and whole": {fields()[:8], nil, true},
	} {
		for _, unreadable := range []string{"", "no"} {
			t.Run(fmt.Sprintf("%s, with %q for it", name, unreadable), func(t *testing.T) {
				cfg := config()
				if unreadable != "" {
					cfg.Unreadable = func(string) []byte { return []byte(unreadable) }
				}
				_, addr := serve(t, cfg)
				p := dial(t, addr)
				p.settled(nil)
				p.headers(1, c.whole && c.body == nil, c.fields...)
				if c.body != nil {
					p.must(p.WriteData(1, c.whole, c.body))
				}
				var resets []http2.ErrCode
				h := p.settled(func(f http2.Frame) {
					if r, ok := f.(*http2.RSTStreamFrame); ok {
						resets = append(resets, r.ErrCode)
					}
				})
				if got := h.answers[1]; got.GRPC == "" {
					t.Errorf("got %+v, want an answer", got)
				}
				if c.whole && len(resets) != 0 || !c.whole && (len(resets) != 1 || resets[0] != http2.ErrCodeNo) {
					t.Errorf("got resets %v; it is whole: %v", resets, c.whole)
				}
			})
		}
	}
}

// TestTakenBack: what nobody waits for any more is not answered, whether it is being answered
// or waits for a window.
func TestTakenBack(t *testing.T) {
	for _, message := range []string{"later", "nothing, later"} {
		t.Run(message, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
					_ = ctx.Done()
					time.Sleep(time.Minute)
					if message == "later" {
						dst = append(dst, message...)
					}
					return dst
				}
				p, all, stop := bubble(t, cfg)
				p.ask(1, message)
				synctest.Wait()
				p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
				time.Sleep(time.Hour)
				stop(time.Second)
				if h := <-all; len(h.answers) > 0 {
					t.Errorf("got %+v", h.answers)
				}
			})
		})
	}
	t.Run("while it waits", func(t *testing.T) {
		_, addr := serve(t, config())
		p := dial(t, addr)
		p.stingy = true
		p.ask(1, "big") // it leaves nothing of the connection's window
		p.ask(3, "x")
		p.ask(5, "y")
		p.settled(nil)
		p.must(p.WriteRSTStream(3, http2.ErrCodeCancel))
		p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
		p.must(p.WriteWindowUpdate(0, 1<<20))
		if h := p.settled(nil); len(h.answers) != 1 || h.answers[5].GRPC != "0" {
			t.Errorf("got %+v, want the answer of stream 5 alone", h.answers)
		}
	})
}

// TestWaitingAnswersAreApart: answers that wait for a window stay what they are, though others
// are given meanwhile.
func TestWaitingAnswersAreApart(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	p.ask(1, strings.Repeat("first", 100)) // there is room for more
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	p.settled(nil)
	ids := []uint32{3, 5, 7, 9}
	for _, id := range ids {
		p.ask(id, fmt.Sprint("message ", id))
	}
	p.settled(nil)
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000}))
	h := p.settled(nil)
	for _, id := range ids {
		if got, want := h.answers[id].Message, string(framed(fmt.Sprint("said message ", id))); got != want {
			t.Errorf("stream %d: got %q, want %q", id, got, want)
		}
	}
}

// TestWhoDoesNotRead is left: a write has half a minute.
func TestWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, stop := piped(t, config())
		p := pipedPeer(t, client)
		reads := make(chan struct{})
		all := p.listener(func(h *heard, _ http2.Frame) bool {
			if h.answers[1].GRPC == "0" { // it reads no more
				<-reads
			}
			return false
		})
		p.write([]byte(http2.ClientPreface))
		p.must(p.WriteSettings())
		p.ask(1, "x")
		time.Sleep(time.Hour)
		p.ask(3, "y")
		began := time.Now()
		for p.WritePing(false, [8]byte{}) == nil { // until it is not taken in any more
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took < 20*time.Second || took > 31*time.Second {
			t.Errorf("it was left after %v", took)
		}
		close(reads)
		<-all
		stop(time.Second)
	})
}

// TestTimeouts: a deadline is where the request's own notation has it.
func TestTimeouts(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"3H": 3 * time.Hour, "15M": 15 * time.Minute, "12S": 12 * time.Second, "27m": 27 * time.Millisecond,
		"99u": 99 * time.Microsecond, "12345678n": 12345678, "0S": 1, "0n": 1, "00000012S": 12 * time.Second,
		"2562047H": 2562047 * time.Hour, "2562048H": 1<<63 - 1, "99999999H": 1<<63 - 1, "": 0,
	} {
		t.Run(text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
					at, ok := ctx.Deadline()
					if got := time.Until(at); ok != (want > 0) || ok && got != want {
						t.Errorf("got %v, %v, want %v", ok, got, want)
					}
					return say(ctx, dst, message)
				}
				p, all, stop := bubble(t, cfg)
				list := fields()
				if text != "" {
					list = fields("grpc-timeout", text)
				}
				p.headers(1, false, list...)
				p.must(p.WriteData(1, true, framed("x")))
				synctest.Wait()
				stop(time.Second)
				if h := <-all; h.answers[1] != said("x") {
					t.Errorf("got %+v", h.answers)
				}
			})
		})
	}
}
