package unary_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
)

// settled waits until the server has taken in all that was sent, and answered what it could.
func (p *peer) settled(see func(http2.Frame)) *heard {
	p.t.Helper()
	p.must(p.WritePing(false, [8]byte([]byte("settled?"))))
	return p.until(func(h *heard, f http2.Frame) bool {
		if f == nil {
			p.t.Fatalf("the connection has ended; heard %+v", h.goAway)
		}
		if see != nil {
			see(f)
		}
		return len(h.pings) == 1
	})
}

// TestWindowsAreTold: what clients may send is what they are told: no less than HTTP/2 has
// them send before they hear, nor than a message.
func TestWindowsAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		message, stream, conn     int
		wantStream, wantMoreOfAll uint32
	}{
		"as set":                        {100, 100 << 10, 200 << 10, 100 << 10, 200<<10 - 65535},
		"nothing set":                   {100, 0, 0, 65535, 0},
		"less than HTTP/2's":            {100, 100, 100, 65535, 0},
		"as HTTP/2's":                   {100, 65535, 65535, 65535, 0},
		"more by one":                   {100, 65536, 65536, 65536, 1},
		"less than a message":           {100_000, 70_000, 70_000, 100_005, 4465},
		"a message and what is told it": {65_531, 0, 0, 65_536, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.MaxMessage, cfg.StreamWindow, cfg.ConnWindow, cfg.MaxStreams = c.message, c.stream, c.conn, 7
			_, addr := serve(t, cfg)
			p := dial(t, addr)
			p.must(p.WriteSettingsAck())
			p.ask(1, "x")
			got := map[http2.SettingID]uint32{}
			more, acks := uint32(0), 0
			h := p.settled(func(f http2.Frame) {
				switch f := f.(type) {
				case *http2.SettingsFrame:
					if f.IsAck() {
						acks++
					}
					_ = f.ForeachSetting(func(s http2.Setting) error {
						got[s.ID] = s.Val
						return nil
					})
				case *http2.WindowUpdateFrame:
					if f.StreamID != 0 {
						t.Errorf("got an update of stream %d", f.StreamID)
					}
					more += f.Increment
				}
			})
			want := map[http2.SettingID]uint32{
				http2.SettingMaxConcurrentStreams: 7, http2.SettingInitialWindowSize: c.wantStream, http2.SettingMaxHeaderListSize: 256 << 10,
			}
			if diff := cmp.Diff(want, got); diff != "" || more != c.wantMoreOfAll || acks != 1 || h.answers[1] != said("x") {
				t.Errorf("(-want +got)\n%s\ngot %d more for the connection, want %d; %d acknowledgements, want 1; %+v", diff, more, c.wantMoreOfAll, acks, h.answers[1])
			}
		})
	}
}

// TestRoom: of an answer as much is sent as there is room for, and no byte more: in its
// stream, and in the connection.
func TestRoom(t *testing.T) {
	initial := func(n uint32) http2.Setting {
		return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
	}
	type step struct {
		do   func(*peer)
		want int // bytes of the answer after it
	}
	update := func(id, n uint32, want int) step {
		return step{func(p *peer) { p.must(p.WriteWindowUpdate(id, n)) }, want}
	}
	settings := func(n uint32, want int) step {
		return step{func(p *peer) { p.must(p.WriteSettings(initial(n))) }, want}
	}
	big := step{func(p *peer) { p.ask(1, "big") }, 65535}
	for name, c := range map[string]struct {
		settings []http2.Setting
		steps    []step
	}{
		"of HTTP/2":              {nil, []step{big}},
		"of the stream":          {nil, []step{update(0, 1<<20, 0), big, update(1, 1, 65536), update(1, 2, 65538)}},
		"of the connection":      {[]http2.Setting{initial(1 << 20)}, []step{big, update(0, 1, 65536), update(0, 2, 65538)}},
		"of both":                {nil, []step{big, update(1, 10, 65535), update(0, 4, 65539), update(0, 10, 65545), update(1, 10, 65549)}},
		"of other settings":      {[]http2.Setting{initial(3)}, []step{{big.do, 3}, settings(7, 7), update(1, 1, 8)}},
		"of settings meanwhile":  {nil, []step{update(0, 1<<20, 0), big, settings(65536, 65536)}},
		"less than was sent":     {nil, []step{update(0, 1<<20, 0), big, settings(0, 65535), update(1, 65535, 65535), update(1, 1, 65536)}},
		"in settings of another": {nil, []step{settings(9, 0), {big.do, 9}, {func(p *peer) { p.must(p.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})) }, 9}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			p := dial(t, addr, c.settings...)
			p.stingy = true
			got := 0
			for i, s := range c.steps {
				s.do(p)
				p.settled(func(f http2.Frame) {
					if d, ok := f.(*http2.DataFrame); ok {
						got += len(d.Data())
					}
				})
				if got != s.want {
					t.Fatalf("step %d: got %d bytes, want %d", i, got, s.want)
				}
			}
		})
	}
}

// TestLargestWindow: a window of 2^31-1 is the largest that there is.
func TestLargestWindow(t *testing.T) {
	const largest = 1<<31 - 1
	start := func(t *testing.T) *peer {
		t.Helper()
		_, addr := serve(t, config())
		p := dial(t, addr)
		p.stingy = true
		p.ask(1, "big") // it leaves nothing of the connection's
		p.ask(3, "x")   // and this one waits with the window of its own
		p.settled(nil)
		return p
	}
	t.Run("of a stream", func(t *testing.T) {
		p := start(t)
		p.must(p.WriteWindowUpdate(3, largest-65535))
		if h := p.settled(nil); len(h.answers) > 0 {
			t.Errorf("got %+v", h.answers)
		}
		p.must(p.WriteWindowUpdate(3, 1))
		if got, want := p.settled(nil).answers[3], (answer{Reset: http2.ErrCodeFlowControl}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		p.must(p.WriteWindowUpdate(3, 1)) // nobody waits for it any more
		p.must(p.WriteWindowUpdate(0, 10))
		if got := len(p.settled(nil).answers[1].Message); got != 0 {
			t.Errorf("got %d bytes on a stream without a window", got)
		}
	})
	t.Run("of the connection", func(t *testing.T) {
		_, addr := serve(t, config())
		p := dial(t, addr)
		p.must(p.WriteWindowUpdate(0, largest-65535))
		p.settled(nil)
		p.must(p.WriteWindowUpdate(0, 1))
		if h := p.until(closed); len(h.goAway) != 1 || h.goAway[0].ErrCode != http2.ErrCodeFlowControl {
			t.Errorf("got %+v", h.goAway)
		}
	})
	t.Run("by settings", func(t *testing.T) {
		p := start(t)
		p.must(p.WriteWindowUpdate(3, largest-65535-1))
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65536}))
		p.settled(nil)
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65537}))
		if h := p.until(closed); len(h.goAway) != 1 || h.goAway[0].ErrCode != http2.ErrCodeFlowControl {
			t.Errorf("got %+v", h.goAway)
		}
	})
}

// TestReceivedWindows: what was sent without being kept is given back, once; what a stream
// may send is held to.
func TestReceivedWindows(t *testing.T) {
	for name, c := range map[string]struct {
		last, padding int // of the last frame, of 65541 bytes in all
		want          answer
		given         uint32 // back, of the stream
	}{
		"as much as may be":                {5, 0, said(strings.Repeat("m", 65536)), 0},
		"more by its padding":              {5, 9, answer{Reset: http2.ErrCodeFlowControl}, 0},
		"padding before, which is no more": {5, -9, said(strings.Repeat("m", 65536)), 4 * 10},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.MaxMessage, cfg.StreamWindow, cfg.ConnWindow = 65536, 0, 1<<20
			_, addr := serve(t, cfg)
			p := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
			p.must(p.WriteWindowUpdate(0, 1<<20))
			body := framed(strings.Repeat("m", 65536))
			p.headers(1, false, fields()...)
			given := uint32(0)
			see := func(f http2.Frame) {
				if u, ok := f.(*http2.WindowUpdateFrame); ok && u.StreamID != 0 {
					given += u.Increment
				}
			}
			const each = 16 << 10
			for len(body) > each {
				if c.padding < 0 {
					p.must(p.WriteDataPadded(1, false, body[:each-100], make([]byte, -c.padding)))
					p.must(p.WriteData(1, false, body[each-100:each]))
				} else {
					p.must(p.WriteData(1, false, body[:each]))
				}
				body = body[each:]
			}
			h := p.settled(see)
			if len(h.answers) > 0 {
				t.Errorf("got %.100v before the end", h.answers)
			}
			if c.padding > 0 {
				p.must(p.WriteDataPadded(1, true, body, make([]byte, c.padding)))
			} else {
				p.must(p.WriteData(1, true, body))
			}
			if got := p.settled(see).answers[1]; got != c.want || given != c.given {
				t.Errorf("got %.100v and %d bytes back, want %.100v and %d", got, given, c.want, c.given)
			}
		})
	}
}

// TestPaddingOfTheLast: a stream that has ended is given no window.
func TestPaddingOfTheLast(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	p.headers(1, false, fields()...)
	p.must(p.WriteDataPadded(1, true, framed("x"), make([]byte, 9)))
	h := p.settled(func(f http2.Frame) {
		if u, ok := f.(*http2.WindowUpdateFrame); ok && u.StreamID != 0 {
			t.Errorf("got %v", u)
		}
	})
	if got := h.answers[1]; got != said("x") {
		t.Errorf("got %+v", got)
	}
}

// TestConnectionsWindow: what was taken in is given back to the connection, all of it in the
// end, and never more.
func TestConnectionsWindow(t *testing.T) {
	cfg := config()
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	owed := cfg.ConnWindow - 65535 // the first update gives it
	for i := range uint32(60) {
		message := framed(strings.Repeat("m", 15<<10))
		p.headers(2*i+1, false, fields()...)
		p.must(p.WriteDataPadded(2*i+1, true, message, make([]byte, 9)))
		owed += len(message) + 10
		p.settled(func(f http2.Frame) {
			if u, ok := f.(*http2.WindowUpdateFrame); ok && u.StreamID == 0 {
				owed -= int(u.Increment)
			}
		})
		if owed < 0 || owed > cfg.ConnWindow/2 {
			t.Fatalf("request %d: %d bytes are not given back", i, owed)
		}
	}
}

// TestStreamsAtATime: a stream counts as long as it is not answered, though it may not be whole.
func TestStreamsAtATime(t *testing.T) {
	cfg := config()
	cfg.MaxStreams = 5
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	p.ask(1, "x")
	for id := uint32(3); id <= 11; id += 2 {
		p.headers(id, false, fields()...)
	}
	if h := p.settled(nil); len(h.answers) != 1 || h.answers[1] != said("x") {
		t.Errorf("got %+v, want none refused", h.answers)
	}
	p.headers(13, false, fields()...)
	if got, want := p.until(done(13)).answers[13], (answer{Reset: http2.ErrCodeRefusedStream}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p.must(p.WriteData(7, true, framed("y")))
	p.ask(15, "z")
	if h := p.until(done(7, 15)); h.answers[7] != said("y") || h.answers[15] != said("z") {
		t.Errorf("got %+v", h.answers)
	}
}
