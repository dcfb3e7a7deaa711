package unary_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
)

// bare is a codec of messages that are bytes already.
type bare struct{}

func (bare) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bare) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = slices.Clone(data)
	return nil
}
func (bare) Name() string { return "proto" }

// serveGRPC has grpc-go serve what config's server does.
func serveGRPC(tb testing.TB) (addr string) {
	tb.Helper()
	cfg := config()
	s := grpc.NewServer(grpc.ForceServerCodec(bare{}), grpc.MaxRecvMsgSize(cfg.MaxMessage), grpc.MaxConcurrentStreams(cfg.MaxStreams), grpc.MaxHeaderListSize(256<<10))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Say", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var message []byte
			if err := decode(&message); err != nil {
				return nil, err
			}
			return new(say(ctx, nil, string(message))), nil
		}}},
	}, struct{}{})
	l := listen(tb)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	tb.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// TestAsGRPCGo: a client hears the same from us as from grpc-go, but where another is said
// to be wanted.
func TestAsGRPCGo(t *testing.T) {
	with := func(name, value string) []string {
		list := fields()
		list[slices.Index(list, name)+1] = value
		return list
	}
	without := func(name string) []string {
		list := fields()
		at := slices.Index(list, name)
		return slices.Delete(list, at, at+2)
	}
	compressed := func(flag byte) []byte { return append([]byte{flag}, framed("x")[1:]...) }
	for name, c := range map[string]struct {
		fields []string
		body   []byte
		ours   *answer // where it is another
		why    string
	}{
		"a message":                    {fields: fields(), body: framed("x")},
		"an empty message":             {fields: fields(), body: framed("")},
		"as large as may be":           {fields: fields(), body: framed(strings.Repeat("x", 32<<10))},
		"larger by one":                {fields: fields(), body: framed(strings.Repeat("x", 32<<10+1))},
		"no message":                   {fields: fields()},
		"a part of a prefix":           {fields: fields(), body: framed("x")[:3]},
		"a prefix alone":               {fields: fields(), body: framed("x")[:5]},
		"a part of a message":          {fields: fields(), body: framed("xyz")[:7]},
		"two messages":                 {fields: fields(), body: append(framed("x"), framed("y")...)},
		"a message and a byte":         {fields: fields(), body: append(framed("x"), 0)},
		"said to be compressed":        {fields: fields(), body: compressed(1)},
		"a flag that is none":          {fields: fields(), body: compressed(2)},
		"an unknown compression":       {fields: fields("grpc-encoding", "br"), body: compressed(1)},
		"an unknown one, not used":     {fields: fields("grpc-encoding", "br"), body: framed("x")},
		"no compression":               {fields: fields("grpc-encoding", "identity"), body: framed("x")},
		"no compression, but used":     {fields: fields("grpc-encoding", "identity"), body: compressed(1)},
		"content type proto":           {fields: with("content-type", "application/grpc+proto"), body: framed("x")},
		"content type with parameters": {fields: with("content-type", "application/grpc;charset=utf-8"), body: framed("x")},
		"content type in capitals":     {fields: with("content-type", "Application/GRPC"), body: framed("x")},
		"content type json":            {fields: with("content-type", "application/json"), body: framed("x")},
		"content type web":             {fields: with("content-type", "application/grpc-web"), body: framed("x")},
		"no content type":              {fields: without("content-type"), body: framed("x")},
		"GET":                          {fields: with(":method", "GET"), body: framed("x")},
		"PUT":                          {fields: with(":method", "PUT"), body: framed("x")},
		"no method":                    {fields: without(":method"), body: framed("x"), ours: &answer{Reset: http2.ErrCodeProtocol}, why: "HTTP/2 has it malformed"},
		"no scheme":                    {fields: without(":scheme"), body: framed("x"), ours: &answer{Reset: http2.ErrCodeProtocol}, why: "HTTP/2 has it malformed"},
		"no authority":                 {fields: without(":authority"), body: framed("x"), ours: new(said("x")), why: "HTTP/2 lets it be, and nobody reads it"},
		"no path":                      {fields: without(":path"), body: framed("x"), ours: &answer{Reset: http2.ErrCodeProtocol}, why: "HTTP/2 has it malformed"},
		"no te":                        {fields: without("te"), body: framed("x")},
		"another method":               {fields: with(":path", "/test.Echo/Shout"), body: framed("x")},
		"another service":              {fields: with(":path", "/test.Nothing/Say"), body: framed("x")},
		"a path that is none":          {fields: with(":path", "test.Echo/Say"), body: framed("x")},
		"a path without end":           {fields: with(":path", "/test.Echo/Say/"), body: framed("x")},
		"a query":                      {fields: with(":path", method+"?x"), body: framed("x")},
		"an hour":                      {fields: fields("grpc-timeout", "1H"), body: framed("x")},
		"the longest time":             {fields: fields("grpc-timeout", "99999999H"), body: framed("x")},
		"nine digits":                  {fields: fields("grpc-timeout", "100000000n"), body: framed("x")},
		"no unit":                      {fields: fields("grpc-timeout", "10"), body: framed("x")},
		"an unknown unit":              {fields: fields("grpc-timeout", "10D"), body: framed("x")},
		"a time in words":              {fields: fields("grpc-timeout", "soon"), body: framed("x")},
		"a time below zero":            {fields: fields("grpc-timeout", "-1S"), body: framed("x")},
		"headers of HTTP/1":            {fields: fields("connection", "close"), body: framed("x")},
		"headers that are too many":    {fields: fields("x-a", strings.Repeat("a", 140<<10), "x-b", strings.Repeat("b", 140<<10)), body: framed("x"), ours: &answer{Status: "200", GRPC: "8"}, why: "a status says more than a reset"},
		"metadata in base64":           {fields: fields("x-a-bin", base64.StdEncoding.EncodeToString([]byte{0, 1})), body: framed("x")},
		"metadata not in base64":       {fields: fields("x-a-bin", "!"), body: framed("x"), ours: new(said("x")), why: "nobody reads metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, config())
			ours, theirs := told(t, addr, c.fields, c.body), told(t, serveGRPC(t), c.fields, c.body)
			want := theirs
			if c.ours != nil {
				want = *c.ours
				if want == theirs {
					t.Errorf("it is the same, though %s", c.why)
				}
			}
			if diff := cmp.Diff(want, ours); diff != "" {
				t.Errorf("(-want +got)\n%.500s", diff)
			}
		})
	}
}

// told is what a server answers to one request.
func told(t *testing.T, addr string, list []string, body []byte) answer {
	t.Helper()
	p := dial(t, addr)
	p.ask(1, "before") // the connection is not another server's
	p.until(done(1))
	p.headers(3, false, list...)
	for len(body) > 16<<10 {
		p.must(p.WriteData(3, false, body[:16<<10]))
		body = body[16<<10:]
	}
	p.must(p.WriteData(3, true, body))
	got := p.until(done(3)).answers[3]
	if got.Reset == http2.ErrCodeNo {
		got.Reset = 0
	}
	return got
}

// TestGRPCGoClient: grpc-go's client hears the same from both, in its own words.
func TestGRPCGoClient(t *testing.T) {
	_, ours := serve(t, config())
	theirs := serveGRPC(t)
	ask := func(addr, path, message string, options ...grpc.CallOption) (string, codes.Code) {
		t.Helper()
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(bare{})))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Invoke(t.Context(), method, new([]byte("before")), new([]byte)); err != nil {
			t.Fatal(err)
		}
		var answer []byte
		err = conn.Invoke(t.Context(), path, new([]byte(message)), &answer, options...)
		return string(answer), status.Code(err)
	}
	for name, c := range map[string]struct {
		path, message string
		options       []grpc.CallOption
		ours          codes.Code // where it is another
	}{
		"a message":      {path: method, message: "x"},
		"an empty one":   {path: method},
		"a large answer": {path: method, message: "big"},
		"too large":      {path: method, message: strings.Repeat("x", 33<<10)},
		"no such method": {path: "/test.Echo/Shout", message: "x"},
		// Compression is not known: Envoy sends none.
		"compressed": {path: method, message: "x", options: []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, ours: codes.Unimplemented},
	} {
		t.Run(name, func(t *testing.T) {
			wantAnswer, wantCode := ask(theirs, c.path, c.message, c.options...)
			if c.ours != codes.OK {
				wantAnswer, wantCode = "", c.ours
			}
			got, code := ask(ours, c.path, c.message, c.options...)
			if got != wantAnswer || code != wantCode {
				t.Errorf("got %.100q and %v, want %.100q and %v", got, code, wantAnswer, wantCode)
			}
		})
	}
}
