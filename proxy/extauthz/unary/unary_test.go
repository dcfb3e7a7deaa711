package unary_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
)

// TestAnswers: requests are answered in the order of their coming, however they are cut.
func TestAnswers(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	want := map[uint32]answer{}
	for i := range 50 {
		id := uint32(2*i + 1)
		message := strings.Repeat("m", i*100)
		body := framed(message)
		p.headers(id, false, fields("x-request-id", fmt.Sprint(i))...)
		switch i % 4 {
		case 0:
			p.must(p.WriteData(id, true, body))
		case 1: // in parts
			p.must(p.WriteData(id, false, body[:3]))
			p.must(p.WriteData(id, false, body[3:]))
			p.must(p.WriteData(id, true, nil))
		case 2: // padded
			p.must(p.WriteDataPadded(id, true, body, make([]byte, 200)))
		case 3: // with a trailer
			p.must(p.WriteData(id, false, body))
			p.headers(id, true, "x-trailer", "t")
		}
		want[id] = said(message)
	}
	got := p.until(done(slices.Collect(maps.Keys(want))...)).answers
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%.2000s", diff)
	}
}

// TestHeadersInParts: a header block may come in several frames.
func TestHeadersInParts(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	p.ask(1, "first")
	block := slices.Clone(p.encode(fields("x-long", strings.Repeat("v", 1000))...))
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block[:10]}))
	p.must(p.WriteContinuation(3, false, block[10:20]))
	p.must(p.WriteContinuation(3, true, block[20:]))
	p.must(p.WriteData(3, true, framed("second")))
	if got := p.until(done(1, 3)).answers[3]; got != said("second") {
		t.Errorf("got %+v", got)
	}
}

// TestWhoWaitsHoldsNobodyUp: a request that takes long is answered beside the others, and
// hears when nobody waits for it any more.
func TestWhoWaitsHoldsNobodyUp(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	for id := uint32(1); id < 40; id += 2 {
		p.ask(id, "wait")
	}
	p.ask(41, "quick")
	if got := p.until(done(41)).answers; got[41] != said("quick") || len(got) != 1 {
		t.Errorf("got %+v", got)
	}
	p.headers(43, false, fields("grpc-timeout", "20m")...)
	p.must(p.WriteData(43, true, framed("wait")))
	want := answer{Status: "200", GRPC: "0", Message: string(framed("context deadline exceeded"))}
	if got := p.until(done(43)).answers[43]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
	p.ask(45, "after")
	if got := p.until(done(45)).answers; got[45] != said("after") || len(got) != 1 {
		t.Errorf("got %+v, want no answer to what was taken back", got)
	}
}

// TestTakingBackMakesNoRoom: a client has no more requests under way than it may, though
// it takes them back (CVE-2023-44487).
func TestTakingBackMakesNoRoom(t *testing.T) {
	cfg := config()
	cfg.MaxStreams = 5
	release := make(chan struct{})
	cfg.Answer = blockUntil(release)
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	for id := uint32(1); id < 10; id += 2 {
		p.ask(id, "block")
		p.must(p.WriteRSTStream(id, http2.ErrCodeCancel))
	}
	p.ask(11, "one too many")
	if got := p.until(done(11)).answers[11]; got.Reset != http2.ErrCodeRefusedStream {
		t.Errorf("got %+v, want it refused", got)
	}
	close(release)
	for id := uint32(13); ; id += 2 {
		p.ask(id, "again")
		if p.until(done(id)).answers[id] == said("again") {
			break
		}
	}
}

// TestWindows: no more is sent than there is room for, and all of it in the end.
func TestWindows(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	p.stingy = true
	p.ask(1, "slow")
	p.ask(3, "big")
	p.must(p.WritePing(false, [8]byte{}))
	h := p.until(func(h *heard, _ http2.Frame) bool { return len(h.pings) == 1 })
	if got := h.answers[1]; got.Message != "" || got.GRPC != "" {
		t.Fatalf("got %+v without a window", got)
	}
	var got string
	for range len(said("slow").Message) {
		p.must(p.WriteWindowUpdate(1, 1))
		a := p.until(func(h *heard, _ http2.Frame) bool { return len(h.answers[1].Message) == 1 }).answers[1]
		got += a.Message
	}
	if got != said("slow").Message {
		t.Errorf("got %q", got)
	}
	p.until(func(h *heard, _ http2.Frame) bool { return h.answers[1].GRPC == "0" })
	// A megabyte: the stream's window is opened by the settings, the connection's by updates.
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}))
	total := 0
	p.until(func(h *heard, f http2.Frame) bool {
		if d, ok := f.(*http2.DataFrame); ok {
			total += len(d.Data())
			p.must(p.WriteWindowUpdate(0, max(d.Length, 1)))
		}
		return h.answers[3].GRPC == "0"
	})
	if want := 1<<20 + len(framed("")); total != want {
		t.Errorf("got %d bytes, want %d", total, want)
	}
}

// TestSettingsInOrder: of two settings of the same the later counts.
func TestSettingsInOrder(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	p.ask(1, "x")
	if got := p.until(done(1)).answers[1]; got != said("x") {
		t.Errorf("got %+v", got)
	}
}

// TestTooLargeByItsWord: what says that it is too large is refused before it has come.
func TestTooLargeByItsWord(t *testing.T) {
	cfg := config()
	cfg.MaxMessage = 64 << 10 // as much as the window
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	p.headers(1, false, fields()...)
	p.must(p.WriteData(1, false, framed(strings.Repeat("x", 64<<10+1))[:10]))
	if got, want := p.until(done(1)).answers[1], (answer{Status: "200", GRPC: "8"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestManyBytesIn: a connection's window is given back as it is used.
func TestManyBytesIn(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	const each = 15 << 10
	message := strings.Repeat("m", each)
	for i := range 100 { // of 256 KiB
		id := uint32(2*i + 1)
		p.ask(id, message)
		if got := p.until(done(id)).answers[id]; len(got.Message) < each {
			t.Fatalf("request %d: got %d bytes", i, len(got.Message))
		}
	}
}

// TestSmallerTable: who says that it keeps no header table is told that there is none.
func TestSmallerTable(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	p.decoder.SetMaxDynamicTableSize(0)
	p.ask(1, "x")
	p.ask(3, "y")
	var begins []byte
	p.settled(func(f http2.Frame) {
		if h, ok := f.(*http2.HeadersFrame); ok {
			begins = append(begins, h.HeaderBlockFragment()[0])
		}
	})
	if len(begins) != 4 || begins[0] != 0x20 || bytes.IndexByte(begins[1:], 0x20) >= 0 {
		t.Errorf("header blocks begin with %x, want a table size of 0 in the first of 4, and no other", begins)
	}
}

// TestAge: a connection that is old is left without a request lost.
func TestAge(t *testing.T) {
	cfg := config()
	cfg.MaxAge, cfg.AgeGrace = 30*time.Millisecond, deadline
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	last := uint32(0)
	var answers int
	h := p.until(func(_ *heard, f http2.Frame) bool {
		switch f := f.(type) {
		case *http2.PingFrame:
			if !f.IsAck() { // requests that were on their way when the server said goodbye
				p.ask(last+2, "late")
				last += 2
				p.must(p.WritePing(true, f.Data))
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				last = 1
				p.ask(1, "first")
			}
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				answers++
			}
		}
		return f == nil
	})
	if len(h.goAway) != 2 || h.goAway[1].LastStreamID != last || answers != 2 {
		t.Errorf("got %+v with %d answers, want two goodbyes, the last of stream %d, and 2 answers", h.goAway, answers, last)
	}
}

// TestRefused: what is wrong ends the stream, or the connection, in the way that HTTP/2
// and gRPC have for it.
func TestRefused(t *testing.T) {
	without := func(name string) []string {
		list := fields()
		at := slices.Index(list, name)
		return slices.Delete(list, at, at+2)
	}
	with := func(name, value string) []string {
		list := fields()
		list[slices.Index(list, name)+1] = value
		return list
	}
	streams := map[string]struct {
		fields []string
		body   []byte
		want   answer
	}{
		"another method of HTTP":      {with(":method", "GET"), framed("x"), answer{Status: "405", GRPC: "13"}},
		"no gRPC":                     {with("content-type", "application/json"), framed("x"), answer{Status: "415", GRPC: "3"}},
		"something like gRPC":         {with("content-type", "application/grpcx"), framed("x"), answer{Status: "415", GRPC: "3"}},
		"a kind of gRPC":              {with("content-type", "application/grpc+proto"), framed("x"), said("x")},
		"another path":                {with(":path", "/test.Echo/Shout"), framed("x"), answer{Status: "200", GRPC: "12"}},
		"another server's":            {with(":path", "/other.Service/Ask"), framed("x"), answer{Reset: http2.ErrCodeRefusedStream}},
		"compressed":                  {fields("grpc-encoding", "gzip"), framed("x"), answer{Status: "200", GRPC: "12"}},
		"compressed after all":        {fields(), append([]byte{1}, framed("x")[1:]...), answer{Status: "200", GRPC: "13"}},
		"cut off":                     {fields(), framed("xyz")[:6], answer{Status: "200", GRPC: "13"}},
		"no message":                  {fields(), nil, answer{Status: "200", GRPC: "13"}},
		"two messages":                {fields(), append(framed("x"), framed("y")...), answer{Status: "200", GRPC: "13"}},
		"too large":                   {fields(), framed(strings.Repeat("x", 33<<10))[:16<<10], answer{Status: "200", GRPC: "8"}},
		"an empty answer":             {fields(), framed("nothing"), answer{Status: "200", GRPC: "13"}},
		"an empty message":            {fields(), framed(""), said("")},
		"a header of HTTP/1, to keep": {fields("keep-alive", "1"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"one of proxies":              {fields("proxy-connection", "close"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"one of its bodies":           {fields("transfer-encoding", "chunked"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"one to leave it":             {fields("upgrade", "h2c"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"a header without a name":     {fields("", "x"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"an error after another":      {fields("connection", "close", "grpc-timeout", "soon"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"an error before another":     {fields("grpc-timeout", "soon", "connection", "close"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"a time of nothing":           {fields("grpc-timeout", ""), framed("x"), answer{Status: "400", GRPC: "13"}},
		"a time without a number":     {fields("grpc-timeout", "S"), framed("x"), answer{Status: "400", GRPC: "13"}},
		"a time in hexadecimal":       {fields("grpc-timeout", "1aS"), framed("x"), answer{Status: "400", GRPC: "13"}},
		"longer than it says":         {fields(), slices.Concat([]byte{0, 0, 0, 0, 1}, make([]byte, 33<<10))[:16<<10], answer{Status: "200", GRPC: "8"}},
		"without a path":              {without(":path"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"without a scheme":            {without(":scheme"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"two paths":                   {append([]string{":path", method}, fields()...), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"a pseudo header too late":    {append(without(":path"), ":path", method), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"an unknown pseudo header":    {append([]string{":odd", "x"}, fields()...), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"a header in capitals":        {fields("X-Odd", "x"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"a header of HTTP/1":          {fields("connection", "close"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"te that is no trailer":       {append(without("te"), "te", "gzip"), framed("x"), answer{Reset: http2.ErrCodeProtocol}},
		"no time":                     {fields("grpc-timeout", "soon"), framed("x"), answer{Status: "400", GRPC: "13"}},
		"much time":                   {fields("grpc-timeout", "99999999H"), framed("x"), said("x")},
		"too many headers":            {fields("x-a", strings.Repeat("a", 140<<10), "x-b", strings.Repeat("b", 140<<10)), framed("x"), answer{Status: "200", GRPC: "8"}},
		"one that is too long":        {fields("x-a", strings.Repeat("a", 300<<10)), framed("x"), answer{Status: "200", GRPC: "8"}},
		"as long as Envoy takes":      {fields("tracestate", strings.Repeat("a", 60<<10)), framed("x"), said("x")},
	}
	for name, c := range streams {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			p := dial(t, addr)
			p.ask(1, "before")
			p.headers(3, false, c.fields...)
			for len(c.body) > 16<<10 {
				p.must(p.WriteData(3, false, c.body[:16<<10]))
				c.body = c.body[16<<10:]
			}
			if name == "too large" || name == "longer than it says" {
				for range 2 {
					p.must(p.WriteData(3, false, c.body))
				}
			}
			p.must(p.WriteData(3, true, c.body))
			h := p.until(done(1, 3))
			got := h.answers[3]
			if c.want.Reset == 0 && got.Reset == http2.ErrCodeNo {
				got.Reset = 0
			}
			if diff := cmp.Diff(c.want, got); diff != "" || h.answers[1] != said("before") {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if name == "another server's" {
				return // the connection ends
			}
			p.ask(5, "after") // the connection lives
			if got := p.until(done(5)).answers[5]; got != said("after") {
				t.Errorf("afterwards: got %+v", got)
			}
		})
	}
}

// blockOf sends the headers of a request in so many bytes.
func blockOf(p *peer, size int) {
	const method = 0x83 // of the table that each side has: POST
	block := bytes.Repeat([]byte{method}, size)
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: block[:16<<10]}))
	for block = block[16<<10:]; len(block) > 0; {
		n := min(len(block), 16<<10)
		if p.WriteContinuation(1, n == len(block), block[:n]) != nil {
			return // it was closed meanwhile
		}
		block = block[n:]
	}
}

// TestAsLargeAsMayBe: bounds are of what is beyond them.
func TestAsLargeAsMayBe(t *testing.T) {
	const decoded = 256 << 10 // with 32 bytes for each field
	size := 0
	for i := 0; i < len(fields()); i += 2 {
		size += len(fields()[i]) + len(fields()[i+1]) + 32
	}
	room := decoded - size - len("x-long") - 32
	for name, c := range map[string]struct {
		send func(*peer)
		want answer
	}{
		"headers, decoded": {func(p *peer) {
			p.headers(1, false, fields("x-long", strings.Repeat("v", room))...)
			p.must(p.WriteData(1, true, framed("x")))
		}, said("x")},
		"headers, and a byte":      {func(p *peer) { p.headers(1, true, fields("x-long", strings.Repeat("v", room+1))...) }, answer{Status: "200", GRPC: "8"}},
		"headers, as they come":    {func(p *peer) { blockOf(p, 1<<20) }, answer{Status: "200", GRPC: "8"}},
		"a table":                  {func(p *peer) { p.raw("000003 01 05 00000001 3fe11f") }, answer{Reset: http2.ErrCodeProtocol}},
		"a frame":                  {func(p *peer) { p.raw("004000 ff 00 00000001"); p.write(make([]byte, 16<<10)); p.ask(1, "x") }, said("x")},
		"settings, which are none": {func(p *peer) { p.must(p.WriteSettings(make([]http2.Setting, 100)...)); p.ask(1, "x") }, said("x")},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			p := dial(t, addr)
			p.settled(nil)
			c.send(p)
			if got := p.settled(nil).answers[1]; got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestConnectionErrors end the connection, with the code that says why.
func TestConnectionErrors(t *testing.T) {
	for name, c := range map[string]struct {
		send func(*peer)
		want http2.ErrCode
	}{
		"an even stream":          {func(p *peer) { p.headers(2, true, fields()...) }, http2.ErrCodeProtocol},
		"data before headers":     {func(p *peer) { p.must(p.WriteData(5, true, framed("x"))) }, http2.ErrCodeProtocol},
		"a reset of no stream":    {func(p *peer) { p.must(p.WriteRSTStream(5, http2.ErrCodeCancel)) }, http2.ErrCodeProtocol},
		"an update of no stream":  {func(p *peer) { p.must(p.WriteWindowUpdate(5, 1)) }, http2.ErrCodeProtocol},
		"too much of a window":    {func(p *peer) { p.must(p.WriteWindowUpdate(0, 1<<31-1)) }, http2.ErrCodeFlowControl},
		"a window of four GiB":    {func(p *peer) { p.raw("000006 04 00 00000000 0004 ffffffff") }, http2.ErrCodeFlowControl},
		"a frame size of nothing": {func(p *peer) { p.raw("000006 04 00 00000000 0005 00000000") }, http2.ErrCodeProtocol},
		"data on an even stream":  {func(p *peer) { p.must(p.WriteData(2, true, framed("x"))) }, http2.ErrCodeProtocol},
		"a reset of an even one":  {func(p *peer) { p.must(p.WriteRSTStream(2, http2.ErrCodeCancel)) }, http2.ErrCodeProtocol},
		"an update of an even one": {func(p *peer) {
			p.headers(3, false, fields()...)
			p.must(p.WriteWindowUpdate(2, 1))
		}, http2.ErrCodeProtocol},
		"an update by nothing of no stream": {func(p *peer) { p.must(p.WriteWindowUpdate(5, 0)) }, http2.ErrCodeProtocol},
		"an update by nothing":              {func(p *peer) { p.must(p.WriteWindowUpdate(0, 0)) }, http2.ErrCodeProtocol},
		"a request on a stream that ended":  {func(p *peer) { p.headers(1, true, fields()...) }, http2.ErrCodeProtocol},
		"a request on a stream passed over": {func(p *peer) {
			p.ask(7, "after")
			p.headers(5, true, fields()...)
		}, http2.ErrCodeProtocol},
		// Its block is lost, and with it the table for all blocks.
		"padding longer than the frame": {func(p *peer) { p.raw("000003 01 0d 00000003 ff 82 86") }, http2.ErrCodeProtocol},
		"padding longer than the trailer": {func(p *peer) {
			p.headers(3, false, fields()...)
			p.raw("000003 01 0d 00000003 ff 82 86")
		}, http2.ErrCodeProtocol},
		"more settings than there are": {func(p *peer) {
			var list []http2.Setting
			for i := range 101 {
				list = append(list, http2.Setting{ID: http2.SettingID(0x100 + i), Val: 1})
			}
			p.must(p.WriteSettings(list...))
		}, http2.ErrCodeProtocol},
		"a block of what nobody named":     {func(p *peer) { p.raw("000001 01 05 00000001 c0") }, http2.ErrCodeCompression},
		"a block of too large a table":     {func(p *peer) { p.raw("000003 01 05 00000001 3fe21f") }, http2.ErrCodeCompression},
		"a frame larger by a byte":         {func(p *peer) { p.raw("004001 00 00 00000001") }, http2.ErrCodeFrameSize},
		"a block that is larger by a byte": {func(p *peer) { blockOf(p, 1<<20+1) }, http2.ErrCodeEnhanceYourCalm},
		"a push":                           {func(p *peer) { p.raw("000005 05 04 00000001 00000002 88") }, http2.ErrCodeProtocol},
		"a block that is none":             {func(p *peer) { p.raw("000001 01 05 00000001 ff") }, http2.ErrCodeCompression},
		"a frame too large":                {func(p *peer) { p.raw("ffffff 00 00 00000001") }, http2.ErrCodeFrameSize},
		"a continuation of none":           {func(p *peer) { p.raw("000001 09 04 00000001 88") }, http2.ErrCodeProtocol},
		"nothing, continued": {func(p *peer) {
			p.raw("000001 01 00 00000001 88")
			p.raw("000000 09 00 00000001")
		}, http2.ErrCodeEnhanceYourCalm},
		"a block without end": {func(p *peer) {
			p.raw("000001 01 00 00000001 88")
			for range 100 {
				if p.WriteContinuation(1, false, make([]byte, 16<<10)) != nil {
					break // it was closed meanwhile
				}
			}
		}, http2.ErrCodeEnhanceYourCalm},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			p := dial(t, addr)
			p.AllowIllegalWrites = true
			if name != "a block that is none" && name != "a push" && !strings.Contains(name, "block") && !strings.Contains(name, "continu") {
				p.ask(1, "before")
			}
			p.settled(nil)
			c.send(p)
			h := p.until(closed)
			if len(h.goAway) != 1 || h.goAway[0].ErrCode != c.want {
				t.Errorf("got %+v, want %v", h.goAway, c.want)
			}
		})
	}
}

// TestNoHTTP2: who does not speak it hears nothing.
func TestNoHTTP2(t *testing.T) {
	_, addr := serve(t, config())
	p := dialRaw(t, addr)
	p.write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	p.until(closed)
}

// TestSilence: a connection on which nothing is asked yet is answered its pings.
func TestSilence(t *testing.T) {
	_, addr := serve(t, config())
	p := dial(t, addr)
	p.must(p.WritePing(false, [8]byte([]byte("hello?!!"))))
	h := p.until(func(h *heard, _ http2.Frame) bool { return len(h.pings) == 1 })
	if h.pings[0] != "hello?!!" {
		t.Errorf("got %q", h.pings)
	}
	p.ask(1, "after a ping")
	if got := p.until(done(1)).answers[1]; got != said("after a ping") {
		t.Errorf("got %+v", got)
	}
}

// TestUnreadable: with an answer for it, a message that cannot be read is answered, and not
// an error; of what comes late nothing is made.
func TestUnreadable(t *testing.T) {
	cfg := config()
	cfg.Unreadable = func(why string) []byte { return []byte("no: " + why) }
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	for i, c := range []struct {
		fields []string
		body   []byte
		why    string
	}{
		{fields(), framed(strings.Repeat("x", 33<<10))[:100], "the message is too large"},
		{fields("grpc-encoding", "gzip"), framed("x"), "no compression is known"},
		{fields(), framed("xyz")[:6], "the message has another length than it says"},
		{fields(), nil, "the message is cut off"},
		{fields(), append([]byte{1}, framed("x")[1:]...), "the message is compressed by nothing"},
	} {
		id := uint32(2*i + 1)
		p.headers(id, false, c.fields...)
		p.must(p.WriteData(id, false, c.body))
		p.must(p.WriteData(id, true, nil))
		got := p.until(done(id)).answers[id]
		if want := (answer{Status: "200", GRPC: "0", Message: string(framed("no: " + c.why))}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	elsewhere := fields("x-a", strings.Repeat("a", 300<<10))
	elsewhere[5] = "/test.Echo/Shout"
	p.headers(13, true, elsewhere...)
	if got, want := p.until(done(13)).answers[13], (answer{Status: "200", GRPC: "8"}); got != want {
		t.Errorf("what is no request for it: got %+v, want %+v", got, want)
	}
	p.headers(15, true, fields("x-a", strings.Repeat("a", 300<<10))...)
	if got, want := p.until(done(15)).answers[15], (answer{Status: "200", GRPC: "0", Message: string(framed("no: headers are too large"))}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Its answer waits for a window, while more of it comes, in any form.
	slow := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	slow.headers(1, false, fields()...)
	for range 3 {
		slow.must(slow.WriteData(1, false, framed(strings.Repeat("x", 33<<10))[:10<<10]))
	}
	slow.headers(1, true, "x-trailer", "t")
	slow.must(slow.WriteWindowUpdate(1, 1<<20))
	want := answer{Status: "200", GRPC: "0", Message: string(framed("no: the message is too large"))}
	trailers := 0
	if got := slow.settled(func(f http2.Frame) {
		if h, ok := f.(*http2.HeadersFrame); ok && h.StreamEnded() {
			trailers++
		}
	}).answers[1]; got != want || trailers != 1 {
		t.Errorf("got %+v and %d ends, want %+v once", got, trailers, want)
	}
}

// TestUnreadableIsFinal: what was denied unread is not asked again by what comes after its
// end, though the denial waits for a window.
func TestUnreadableIsFinal(t *testing.T) {
	for name, send := range map[string]func(*peer){
		"compressed, without a message": func(p *peer) { p.headers(1, true, fields("grpc-encoding", "gzip")...) },
		"too large": func(p *peer) {
			p.headers(1, false, fields()...)
			p.must(p.WriteData(1, true, framed(strings.Repeat("x", 33<<10))[:100]))
		},
		"cut off, by a trailer": func(p *peer) {
			p.headers(1, false, fields()...)
			p.headers(1, true, "x-trailer", "t")
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.Unreadable = func(string) []byte { return []byte("no") }
			_, addr := serve(t, cfg)
			p := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			send(p)
			p.must(p.WriteData(1, true, framed("x")))
			h := p.until(func(h *heard, _ http2.Frame) bool { return h.answers[1].Reset != 0 })
			if got := h.answers[1]; got.Reset != http2.ErrCodeStreamClosed || got.Message != "" {
				t.Errorf("got %+v, want %v", got, http2.ErrCodeStreamClosed)
			}
		})
	}
}

// TestUnreadableSaysSomething: no answer is an error, and not an empty message, which may
// mean that all is well.
func TestUnreadableSaysSomething(t *testing.T) {
	cfg := config()
	cfg.Unreadable = func(string) []byte { return nil }
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	p.headers(1, true, fields()...)
	if got, want := p.until(done(1)).answers[1], (answer{Status: "200", GRPC: "13"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
