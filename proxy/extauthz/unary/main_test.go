package unary_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is for what must happen; the machine may be slow.
const deadline = 10 * time.Second

const method = "/test.Echo/Say"

// say answers "said " and the message, with exceptions: "nothing" is answered by nothing,
// "big" by a megabyte, and "wait" when nobody waits any more.
func say(ctx context.Context, dst []byte, message string) []byte {
	switch message {
	case "nothing":
		return dst
	case "big":
		return append(dst, strings.Repeat("x", 1<<20)...)
	case "wait":
		<-ctx.Done()
		return append(dst, context.Cause(ctx).Error()...)
	default:
		return append(append(dst, "said "...), message...)
	}
}

func config() unary.Config {
	return unary.Config{
		Method: method, Answer: say, Others: func(path string) bool { return strings.HasPrefix(path, "/other.") },
		MaxMessage: 32 << 10, MaxStreams: 100, StreamWindow: 64 << 10, ConnWindow: 256 << 10,
	}
}

// serve starts a server that ends with the test.
func serve(tb testing.TB, cfg unary.Config) (*unary.Server, string) {
	tb.Helper()
	l := listen(tb)
	s := unary.New(cfg)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		s.Stop(ctx)
		if err := <-done; !errors.Is(err, unary.ErrStopped) {
			tb.Errorf("Serve: got %v, want %v", err, unary.ErrStopped)
		}
	})
	return s, l.Addr().String()
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// reporter is a test, or one of rapid's.
type reporter interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// peer is a client that sends frames as it likes.
type peer struct {
	t reporter
	net.Conn
	*http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	decoder *hpack.Decoder
	stingy  bool // the windows stay as they are
}

// dial connects and says who it is. It leaves the windows as they are.
func dial(tb testing.TB, addr string, settings ...http2.Setting) *peer {
	tb.Helper()
	p := dialRaw(tb, addr)
	p.write([]byte(http2.ClientPreface))
	p.must(p.WriteSettings(settings...))
	return p
}

func dialRaw(tb testing.TB, addr string) *peer {
	tb.Helper()
	c, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		tb.Fatal(err)
	}
	return newPeer(tb, c)
}

func newPeer(t reporter, c net.Conn) *peer {
	t.Helper()
	p := &peer{t: t, Conn: c, Framer: http2.NewFramer(c, c), decoder: hpack.NewDecoder(4096, nil)}
	p.encoder = hpack.NewEncoder(&p.block)
	p.SetMaxReadFrameSize(16 << 10) // as large as may be, until somebody says otherwise
	return p
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	_, err := p.Write(b)
	p.must(err)
}

// fields are a request's, in pairs.
func fields(more ...string) []string {
	return append([]string{
		":method", "POST", ":scheme", "http", ":path", method, ":authority", "localhost", "content-type", "application/grpc", "te", "trailers",
	}, more...)
}

func (p *peer) encode(pairs ...string) []byte {
	p.t.Helper()
	p.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		p.must(p.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}))
	}
	return p.block.Bytes()
}

func (p *peer) headers(id uint32, ends bool, pairs ...string) {
	p.t.Helper()
	const most = 16 << 10 // of one frame
	block := p.encode(pairs...)
	first := min(len(block), most)
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:first], EndHeaders: first == len(block), EndStream: ends}))
	for block = block[first:]; len(block) > 0; {
		n := min(len(block), most)
		p.must(p.WriteContinuation(id, n == len(block), block[:n]))
		block = block[n:]
	}
}

// framed is a message as gRPC sends it.
func framed(message string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// ask sends a whole request.
func (p *peer) ask(id uint32, message string) {
	p.t.Helper()
	p.headers(id, false, fields()...)
	p.must(p.WriteData(id, true, framed(message)))
}

// answer is what came on a stream.
type answer struct {
	Status, GRPC string // of HTTP and of gRPC
	Message      string
	Reset        http2.ErrCode
}

// heard is what came on a connection until something was found.
type heard struct {
	answers map[uint32]answer
	goAway  []http2.GoAwayFrame
	pings   []string
}

// until reads frames until found, which is also told of the end.
func (p *peer) until(found func(h *heard, f http2.Frame) bool) *heard {
	p.t.Helper()
	h := &heard{answers: map[uint32]answer{}}
	for {
		f, err := p.ReadFrame()
		if err != nil {
			if errors.Is(err, io.EOF) || isReset(err) {
				if found(h, nil) {
					return h
				}
			}
			p.t.Fatalf("read: %v; heard %.2000s", err, fmt.Sprintf("%+v", h))
		}
		h.take(p, f)
		if found(h, f) {
			return h
		}
	}
}

func isReset(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && !e.Timeout()
}

func (h *heard) take(p *peer, f http2.Frame) {
	p.t.Helper()
	id := f.Header().StreamID
	a := h.answers[id]
	switch f := f.(type) {
	case *http2.HeadersFrame:
		list, err := p.decoder.DecodeFull(f.HeaderBlockFragment())
		p.must(err)
		for _, field := range list {
			switch field.Name {
			case ":status":
				a.Status = field.Value
			case "grpc-status":
				a.GRPC = field.Value
			}
		}
	case *http2.DataFrame:
		a.Message += string(f.Data())
		if !p.stingy && len(f.Data()) > 0 {
			p.must(p.WriteWindowUpdate(0, uint32(len(f.Data()))))
		}
	case *http2.RSTStreamFrame:
		a.Reset = f.ErrCode
	case *http2.GoAwayFrame:
		h.goAway = append(h.goAway, *f)
	case *http2.PingFrame:
		if f.IsAck() {
			h.pings = append(h.pings, string(f.Data[:]))
		}
		return
	default:
		return
	}
	if id != 0 {
		h.answers[id] = a
	}
}

// done says whether a stream has ended.
func done(ids ...uint32) func(*heard, http2.Frame) bool {
	return func(h *heard, _ http2.Frame) bool {
		for _, id := range ids {
			if a, ok := h.answers[id]; !ok || a.GRPC == "" && a.Reset == 0 && a.Status == "200" {
				return false
			}
		}
		return true
	}
}

// closed says whether the server closed the connection.
func closed(_ *heard, f http2.Frame) bool { return f == nil }

// said is the answer to a message.
func said(message string) answer {
	return answer{Status: "200", GRPC: "0", Message: string(framed("said " + message))}
}

// raw sends what is written in hexadecimal.
func (p *peer) raw(text string) {
	p.t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	p.must(err)
	p.write(b)
}

// blockUntil answers "block" only when released is closed, and waits for nobody's context:
// as an evaluation does.
func blockUntil(released chan struct{}) func(context.Context, []byte, string) []byte {
	return func(ctx context.Context, dst []byte, message string) []byte {
		if message == "block" {
			_ = ctx.Done() // it says that it takes longer
			<-released
		}
		return say(ctx, dst, message)
	}
}
