package unary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

// written is what a client sends that does what write does, after its preface and settings.
func written(tb testing.TB, write func(*peer)) []byte {
	tb.Helper()
	var b bytes.Buffer
	p := newPeer(tb, nil)
	p.Framer = http2.NewFramer(&b, nil)
	p.AllowIllegalWrites = true
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100}))
	write(p)
	return b.Bytes()
}

// FuzzBytes: whatever comes, each stream is answered once at most, with what answers it, and
// the connection ends when its client says that it has nothing more to say.
func FuzzBytes(f *testing.F) {
	for _, write := range []func(*peer){
		func(*peer) {},
		func(p *peer) { p.ask(1, "x"); p.ask(3, strings.Repeat("y", 300)); p.must(p.WriteWindowUpdate(3, 1000)) },
		func(p *peer) {
			p.ask(1, "wait")
			p.ask(3, "x")
			p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
			p.must(p.WriteData(1, true, framed("again")))
		},
		func(p *peer) { p.ask(1, "wait"); p.must(p.WriteData(1, true, framed("wait"))); p.ask(3, "x") },
		func(p *peer) {
			p.headers(1, false, fields()...)
			p.must(p.WriteDataPadded(1, false, framed("xyz")[:4], make([]byte, 9)))
			p.must(p.WriteData(1, false, framed("xyz")[4:]))
			p.headers(1, true, "x-trailer", "t")
		},
		func(p *peer) {
			block := bytes.Clone(p.encode(fields("grpc-timeout", "1m")...))
			p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:9], PadLength: 7, Priority: http2.PriorityParam{Weight: 3}}))
			p.must(p.WriteContinuation(1, true, block[9:]))
			p.must(p.WriteData(1, true, framed("wait")))
		},
		func(p *peer) {
			p.must(p.WritePing(false, [8]byte{}))
			p.must(p.WritePing(true, [8]byte([]byte("goodbye!"))))
			p.ask(1, "x")
		},
		func(p *peer) {
			p.ask(1, "big")
			p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}))
			p.must(p.WriteWindowUpdate(0, 1<<20))
		},
		func(p *peer) {
			p.headers(1, true, fields()...)
			p.headers(3, true, ":method", "GET")
			p.must(p.WriteGoAway(3, http2.ErrCodeNo, nil))
		},
	} {
		f.Add(true, written(f, write))
	}
	f.Add(false, []byte(http2.ClientPreface[:10]))
	f.Add(false, []byte("GET / HTTP/1.1\r\n\r\n"))
	s, addr := serve(f, config())
	go func() {
		for {
			c, err := s.Others().Accept()
			if err != nil {
				return
			}
			_ = c.Close() // what it makes of it is another's affair
		}
	}()
	f.Fuzz(func(t *testing.T, preface bool, sent []byte) {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
			t.Fatal(err)
		}
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			if preface {
				sent = append([]byte(http2.ClientPreface), sent...)
			}
			if _, err := c.Write(sent); err == nil { // it fails if the server has closed
				_ = c.(*net.TCPConn).CloseWrite() // as above
			}
		}()
		if err := answersOnce(newPeer(t, c)); err != nil {
			t.Errorf("%v\nsent %q", err, sent)
		}
		<-wrote
	})
}

// answersOnce reads until the server closes, and says what of it no client may get.
func answersOnce(p *peer) error {
	p.stingy = true
	h := &heard{answers: map[uint32]answer{}}
	ended := map[uint32]bool{}
	for {
		f, err := p.ReadFrame()
		switch {
		case errors.Is(err, io.EOF), err != nil && isReset(err):
			return nil
		case err != nil:
			return err
		}
		id := f.Header().StreamID
		_, reset := f.(*http2.RSTStreamFrame)
		if ended[id] && !reset && id != 0 {
			return fmt.Errorf("stream %d: got %v after its end", id, f)
		}
		h.take(p, f)
		a := h.answers[id]
		switch f := f.(type) {
		case *http2.HeadersFrame:
			ended[id] = f.StreamEnded()
		case *http2.RSTStreamFrame:
			ended[id] = true
		}
		if a.GRPC != "0" {
			continue
		}
		if len(a.Message) < 5 || string(framed(a.Message[5:])) != a.Message {
			return fmt.Errorf("stream %d: got %.100q", id, a.Message)
		}
	}
}

// TestCuts: however requests are made of frames, and their frames of pieces, the answers are
// those to them.
func TestCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { cuts(t) })
}

func FuzzCuts(f *testing.F) { f.Fuzz(rapid.MakeFuzz(cuts)) }

func cuts(t *rapid.T) {
	var b bytes.Buffer
	w := newPeer(t, nil)
	w.Framer = http2.NewFramer(&b, nil)
	w.AllowIllegalWrites = true
	must := w.must
	b.WriteString(http2.ClientPreface)
	must(w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
	want := map[uint32]answer{}
	type piece struct {
		id   uint32
		body []byte
		ends bool
	}
	var open [][]piece // of each stream that is not whole
	next := uint32(1)
	begin := func(t *rapid.T) {
		id := next
		next += 2 * rapid.Uint32Range(1, 3).Draw(t, "step")
		message := rapid.StringMatching(`[a-z]{0,40}`).Draw(t, "message") + fmt.Sprint(id)
		body := framed(message)
		want[id] = said(message)
		list := fields("x-id", message)
		kinds := []string{"", "", "", "cut off", "elsewhere", "compressed", "malformed"}
		if id == 1 {
			kinds = kinds[:1] // the connection is not another server's
		}
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case "cut off":
			body = body[:rapid.IntRange(0, len(body)-1).Draw(t, "rest")]
			want[id] = answer{Status: "200", GRPC: "13"}
		case "elsewhere":
			list[5] = "/test.Echo/Shout"
			want[id] = answer{Status: "200", GRPC: "12"}
		case "compressed":
			body[0] = 1
			want[id] = answer{Status: "200", GRPC: "13"}
		case "malformed":
			list[1], list = "", append(list, "Connection", "x")
			want[id] = answer{Reset: http2.ErrCodeProtocol}
		}
		block := bytes.Clone(w.encode(list...))
		first := rapid.IntRange(1, len(block)).Draw(t, "first")
		must(w.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: block[:first], EndHeaders: first == len(block), EndStream: len(body) == 0, PadLength: rapid.Uint8().Draw(t, "padding"),
		}))
		for block = block[first:]; len(block) > 0; {
			n := rapid.IntRange(1, len(block)).Draw(t, "continued")
			must(w.WriteContinuation(id, n == len(block), block[:n]))
			block = block[n:]
		}
		var pieces []piece
		for len(body) > 0 {
			n := rapid.IntRange(0, len(body)).Draw(t, "part")
			pieces = append(pieces, piece{id, body[:n], n == len(body)})
			body = body[n:]
		}
		if len(pieces) > 0 {
			open = append(open, pieces)
		}
	}
	data := func(t *rapid.T) {
		if len(open) == 0 {
			t.Skip("no stream is open")
		}
		at := rapid.IntRange(0, len(open)-1).Draw(t, "stream")
		p := open[at][0]
		must(w.WriteDataPadded(p.id, p.ends, p.body, make([]byte, rapid.IntRange(0, 9).Draw(t, "padding"))))
		if open[at] = open[at][1:]; len(open[at]) == 0 {
			open = append(open[:at], open[at+1:]...)
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"begin": begin,
		"data":  data,
		"more":  data,
		"ping":  func(*rapid.T) { must(w.WritePing(false, [8]byte{})) },
		"other": func(t *rapid.T) {
			must(w.WriteRawFrame(http2.FrameType(rapid.Byte().Draw(t, "kind")|0x80), 0xff, 7, []byte("whatever")))
		},
		"priority": func(*rapid.T) { must(w.WritePriority(1, http2.PriorityParam{StreamDep: 3})) },
		"windows":  func(*rapid.T) { must(w.WriteWindowUpdate(0, 1000)) },
	})
	for len(open) > 0 {
		data(t)
	}
	sendCut(t, b.Bytes(), want)
}

// sendCut sends bytes in pieces, and looks for the answers.
func sendCut(t *rapid.T, sent []byte, want map[uint32]answer) {
	c, l := newPipe()
	s := unary.New(config())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	p := newPeer(t, c)
	p.stingy = true
	p.must(c.SetDeadline(time.Now().Add(deadline)))
	answered := make(chan struct{})
	once := sync.OnceFunc(func() { close(answered) })
	all := p.listener(func(h *heard, f http2.Frame) bool {
		for id := range want {
			if a := h.answers[id]; a.GRPC == "" && a.Reset == 0 && f != nil {
				return false
			}
		}
		once()
		return false // the rest is read, too: who writes to a pipe waits for that
	})
	for len(sent) > 0 {
		n := min(rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, 1000)).Draw(t, "piece"), len(sent))
		if _, err := c.Write(sent[:n]); err != nil {
			t.Fatalf("write: %v", err)
		}
		sent = sent[n:]
	}
	<-answered
	_ = c.Close()
	got := (<-all).answers
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	s.Stop(ctx)
	<-served
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%.2000s", diff)
	}
}
