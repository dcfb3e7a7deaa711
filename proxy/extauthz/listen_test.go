package extauthz

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
	listener "github.com/rolegate/rolegate/proxy/certs"
)

// TestDefaults: what is not said of a server, and that what is said stays.
func TestDefaults(t *testing.T) {
	grpcSet := Config{Addr: ":1", SocketMode: 0o600, MaxConnectionAge: time.Second, MaxMessage: 7}
	for _, c := range []struct{ given, want Config }{
		{Config{}, Config{Addr: ":9191", SocketMode: 0o660, MaxConnectionAge: 10 * time.Minute, MaxMessage: 256 << 10}},
		{grpcSet, grpcSet},
	} {
		if diff := cmp.Diff(c.want, New(c.given, nil, zap.NewNop()).cfg); diff != "" {
			t.Errorf("gRPC (-want +got):\n%s", diff)
		}
	}
	httpSet := HTTPConfig{Addr: ":1", SocketMode: 0o600, PathPrefix: "/"}
	for _, c := range []struct{ given, want HTTPConfig }{
		{HTTPConfig{}, HTTPConfig{Addr: ":9192", SocketMode: 0o660, PathPrefix: "/ext_authz"}},
		{httpSet, httpSet},
	} {
		s, err := NewHTTP(c.given, nil, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, s.cfg); diff != "" {
			t.Errorf("HTTP (-want +got):\n%s", diff)
		}
	}
	if addr := New(Config{}, nil, zap.NewNop()).Addr(); addr != nil {
		t.Errorf("nobody listens yet: got %v", addr)
	}
}

// TestEveryPrefixByte: which bytes a prefix may hold: those that have one spelling.
func TestEveryPrefixByte(t *testing.T) {
	const plain = "-_.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := range 256 {
		c := string(rune(i))
		if got, want := plainPrefix("/a"+c+"b"), strings.Contains(plain, c) || c == "/"; got != want {
			t.Errorf("%q: got %t, want %t", c, got, want)
		}
	}
	if plainPrefix("/\u0161") { // whose lowest byte is that of a letter
		t.Error("a letter beyond ASCII passes")
	}
}

// runner is one of the two servers.
type runner interface {
	Listen(ctx context.Context) error
	Run(ctx context.Context) error
}

// servers are both, of one gate; nil where none is asked.
func servers(t *testing.T, addr string, own listener.Config, g *proxy.Gate) map[string]runner {
	t.Helper()
	s, err := NewHTTP(HTTPConfig{Addr: addr, TLS: own}, g, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]runner{
		"grpc": New(Config{Addr: addr, TLS: own}, g, zap.NewNop()), "http": s,
		"grpc of grpc-go": New(Config{Addr: addr, TLS: own, Transport: TransportGRPC}, g, zap.NewNop()),
	}
}

// TestWhatCannotListenEnds: a server that cannot be asked says so, and ends.
func TestWhatCannotListenEnds(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	folder := t.TempDir()
	write := func(name string) {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"full.sock", "temp.sock." + strconv.Itoa(os.Getpid())} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(folder, name, "file"))
	}
	for _, addr := range []string{
		taken.Addr().String(), "nonsense", "unix://relative.sock", "unix:///no/such/folder/x.sock",
		"unix://" + filepath.Join(folder, "full.sock"), // nothing can be put in the place of a folder
		"unix://" + filepath.Join(folder, "temp.sock"),
	} {
		for name, s := range servers(t, addr, listener.Config{}, nil) {
			if err := s.Listen(t.Context()); err == nil {
				t.Errorf("%s at %s: got no error", name, addr)
			}
			if err := s.Run(t.Context()); err == nil {
				t.Errorf("%s run at %s: got no error", name, addr)
			}
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v, %v, want nothing but the two folders", entries, err)
	}
	for name, s := range servers(t, "127.0.0.1:0", listener.Config{CertFile: "/no/such/file", KeyFile: "/no/such/file"}, nil) {
		for _, err := range []error{s.Listen(t.Context()), s.Run(t.Context())} {
			if section, _, _ := strings.Cut(name, " "); err == nil || !strings.HasPrefix(err.Error(), section+".tls: ") {
				t.Errorf("without its certificate: got %v, want an error of %s.tls", err, section)
			}
		}
	}
	for name, s := range servers(t, "127.0.0.1:0", listener.Config{ClientNames: []string{"x"}}, nil) {
		section, _, _ := strings.Cut(name, " ")
		if err := s.Listen(t.Context()); err == nil || !strings.HasPrefix(err.Error(), section+".tls: ") {
			t.Errorf("with half a configuration: got %v, want an error of %s.tls", err, section)
		}
	}
}

// TestListeningTwiceIsOnce, and a listener that ends ends its server.
func TestListeningTwiceIsOnce(t *testing.T) {
	for name, s := range servers(t, "127.0.0.1:0", listener.Config{}, nil) {
		if err := s.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		var l net.Listener
		switch s := s.(type) {
		case *Server:
			l = s.listener
		case *HTTPServer:
			l = s.listener
		}
		before := l.Addr().String()
		if err := s.Listen(t.Context()); err != nil {
			t.Errorf("%s: a second time: %v", name, err)
		}
		if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", before); err != nil {
			t.Errorf("%s: the first listener is not there: %v", name, err)
		} else {
			conn.Close()
		}
		l.Close()
		if err := s.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: nobody listens: got %v, want %v", name, err, net.ErrClosed)
		}
	}
}

// TestSocketsAreClosedOnce: what a socket leaves behind.
func TestSocketsAreClosedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	// A crash left a file where the socket is made.
	if err := os.WriteFile(path+"."+strconv.Itoa(os.Getpid()), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	placed, err := bindUnix(t.Context(), path, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v, want a socket of mode 0640", info, err)
	}
	waiting, err := bindUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, path); len(got) != 2 {
		t.Errorf("got %q, want a socket that waits beside the other", got)
	}
	if err := waiting.Close(); err != nil {
		t.Errorf("one that waits: %v", err)
	}
	if err := waiting.Close(); !errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a second time: got %v, want that it is closed and nothing else", err)
	}
	if err := waiting.place(); err != nil {
		t.Errorf("what is closed takes no place: %v", err)
	}
	if err := placed.Close(); err != nil {
		t.Errorf("one that is in its place: %v", err)
	}
	if got := files(t, path); len(got) != 1 {
		t.Errorf("got %q, want the socket's file, which may be the next server's", got)
	}
}

// TestTLS: both servers prove who they are, by the newest certificate, and let in only
// whom they are told to; each speaks its own protocol.
func TestTLS(t *testing.T) {
	const envoy = "spiffe://example.org/ns/edge/sa/envoy"
	authority, dir := newAuthority(t), t.TempDir()
	cfg := authority.server(t, dir, "rolegate")
	cfg.ClientNames, cfg.Poll = []string{envoy}, 5*time.Millisecond
	known := &tls.Config{
		RootCAs: authority.pool(), ServerName: "rolegate", MinVersion: tls.VersionTLS13,
		Certificates: []tls.Certificate{authority.client(t, envoy)}, NextProtos: []string{"h2", "http/1.1"},
	}
	unknown := known.Clone()
	unknown.Certificates = nil

	// handshake answers the protocol and the number of the server's certificate; the server
	// judges the client after its own handshake, so a byte is awaited.
	handshake := func(addr string, with *tls.Config) (protocol, serial string, err error) {
		conn, err := (&tls.Dialer{Config: with}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return "", "", err
		}
		defer conn.Close()
		state := conn.(*tls.Conn).ConnectionState()
		if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return "", "", err
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return "", "", err
		}
		return state.NegotiatedProtocol, state.PeerCertificates[0].SerialNumber.String(), nil
	}
	for name, s := range servers(t, "127.0.0.1:0", cfg, testGate(t, zap.NewNop())) {
		if err := s.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		var addr, protocol string
		switch s := s.(type) {
		case *Server:
			addr, protocol = s.Addr().String(), "h2"
			conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(known)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), checkRequest("/", nil)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
				t.Errorf("%s, of its health: %v", name, err)
			}
			conn.Close()
		case *HTTPServer:
			addr, protocol = s.Addr().String(), "http/1.1"
		}
		got, first, err := handshake(addr, known)
		if err != nil || got != protocol {
			t.Errorf("%s: got %q, %v, want %s", name, got, err, protocol)
		}
		if _, _, err := handshake(addr, unknown); err == nil {
			t.Errorf("%s: who has no certificate is let in", name)
		}
		authority.server(t, dir, "rolegate")
		second := first
		for deadline := time.Now().Add(10 * time.Second); second == first && time.Now().Before(deadline); {
			if _, second, err = handshake(addr, known); err != nil {
				t.Fatal(err)
			}
		}
		if second == first {
			t.Errorf("%s: a new certificate is not taken", name)
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConnectionsEnd by their age, so that they spread again over all servers.
func TestConnectionsEnd(t *testing.T) {
	for _, transport := range []string{"", TransportGRPC} {
		for _, first := range []string{"check", "health"} {
			t.Run(fmt.Sprintf("%q, of a %s", transport, first), func(t *testing.T) {
				conn, _ := serve(t, New(Config{Addr: "127.0.0.1:0", Transport: transport, MaxConnectionAge: 10 * time.Millisecond}, testGate(t, zap.NewNop()), zap.NewNop()))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var err error
				if first == "check" {
					_, err = authv3.NewAuthorizationClient(conn).Check(ctx, checkRequest("/", nil))
				} else {
					_, err = healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
				}
				if err != nil {
					t.Fatal(err)
				}
				if !conn.WaitForStateChange(ctx, connectivity.Ready) {
					t.Error("a connection does not end")
				}
			})
		}
	}
}

// TestReflection tells of the services only where it is wanted.
func TestReflection(t *testing.T) {
	for _, on := range []bool{false, true} {
		conn, _ := serve(t, New(Config{Addr: "127.0.0.1:0", Reflection: on}, testGate(t, zap.NewNop()), zap.NewNop()))
		stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		r, err := stream.Recv()
		var names []string
		for _, s := range r.GetListServicesResponse().GetService() {
			names = append(names, s.GetName())
		}
		if told := slices.Contains(names, "envoy.service.auth.v3.Authorization"); told != on || !on && grpcstatus.Code(err) != codes.Unimplemented {
			t.Errorf("reflection %t: got %q, %v", on, names, err)
		}
	}
}

// TestFaultsOfAnswers: an answer that must not be sent is a denial, and told of; a sound
// one is not told of.
func TestFaultsOfAnswers(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{}, testGate(t, zap.NewNop()), logTo(&log))
	var refused authv3.CheckResponse
	sound := sound(proxy.Answer{Decision: policy.Decision{Effect: policy.Allow}})
	if r := s.teller.response(sound); r.GetStatus().GetCode() != int32(codes.OK) || log.Len() > 0 {
		t.Errorf("a sound answer: got %v, told %s", r, log.String())
	}
	sound.Reply.SetHeaders = append(sound.Reply.SetHeaders, proxy.Header{Name: "x", Value: "a\nb"})
	if err := proto.Unmarshal(s.teller.Tell(sound), &refused); err != nil || refused.GetStatus().GetCode() == int32(codes.OK) || !strings.Contains(log.String(), "denial") {
		t.Errorf("a header that splits: got %v, %v, told %s", &refused, err, log.String())
	}
	log.Reset()
	broken := refusal()
	broken.GetDeniedResponse().Body = "\xff"
	if err := proto.Unmarshal(s.teller.encode(broken), &refused); err != nil || !proto.Equal(&refused, refusal()) || !strings.Contains(log.String(), "denial") {
		t.Errorf("what cannot be encoded: got %v, %v, told %s", &refused, err, log.String())
	}
}

// TestHTTPSaysWhatItCan: copies of headers for the client stand each by itself; what HTTP
// cannot say is a denial that is told of, and recorded as one; and nothing is said that
// nobody asked for.
func TestHTTPSaysWhatItCan(t *testing.T) {
	var log bytes.Buffer
	engine := policytest.Engine(t, `
-- entrypoint --
test/decision
-- policy.rego --
package test

decision := {"allowed": true, "response_headers_to_add": {"set-cookie": ["a=1", "b=2"]}} if input.parsed_path[0] == "cookies"
else := {"allowed": true, "query_parameters_to_set": {"a": "b"}} if input.parsed_path[0] == "query"
else := {"allowed": false, "headers": {"set-cookie": ["a=1", "b=2"]}, "http_status": 500}
`, policy.Config{Timeout: time.Minute})
	var recorded records
	g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, engine, nil, []proxy.Recorder{&recorded}, nil, time.Now, logTo(&log))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewHTTP(HTTPConfig{Addr: "127.0.0.1:0"}, g, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, c := range []struct {
		path    string
		status  int
		cookies []string
		kind    string // of the body
	}{
		{"/ext_authz/cookies", 200, []string{"a=1", "b=2"}, ""},
		{"/ext_authz/query", 403, nil, "application/json"},
		{"/ext_authz/other", 403, []string{"a=1", "b=2"}, "application/json"},
		{"/other", 404, nil, ""},
	} {
		r := open(t, s).ask(t, "GET", "GET "+c.path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		if r.status != c.status || !slices.Equal(r.header["Set-Cookie"], c.cookies) || r.header.Get("Content-Type") != c.kind || r.header.Get("Date") != "" {
			t.Errorf("%s: got %d with %v, want %d, cookies %q, a body of %q, and no date", c.path, r.status, r.header, c.status, c.cookies, c.kind)
		}
		if c.status == 404 && !strings.Contains(r.body, "/ext_authz") {
			t.Errorf("%s: got %q, want where checks are asked", c.path, r.body)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := []string{"allow ", "deny policy_error: query parameters, which the HTTP service cannot change", "deny "}
	if diff := cmp.Diff(want, recorded.lines); diff != "" {
		t.Errorf("recorded (-want +got)\n%s", diff)
	}
	if n := strings.Count(log.String(), "query parameters"); n != 1 {
		t.Errorf("told %d times of what HTTP cannot say, want once: %s", n, log.String())
	}
}

// records notes what is recorded: the effect, and why it is none of the policy's.
type records struct{ lines []string }

func (r *records) Record(d proxy.Record) {
	line := d.Effect.String() + " "
	if d.Error != "" {
		line += d.Reason + ": " + d.Error
	}
	r.lines = append(r.lines, line)
}

// TestHTTPBodiesOfBytes: a body that is no text reaches a policy as bytes, as from Envoy's
// gRPC service.
func TestHTTPBodiesOfBytes(t *testing.T) {
	for text, raw := range map[string]bool{"x": false, "é": false, "\xff": true, "\xff\x00": true} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://h/a", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		in := httpInbound(r, "/a", nil)
		doc, ok := in.Rest.(*rest)
		if !ok {
			t.Fatalf("got %T", in.Rest)
		}
		got := doc.req.GetAttributes().GetRequest().GetHttp()
		if whole := got.GetBody() + string(got.GetRawBody()); whole != text || (got.GetBody() == "") != raw {
			t.Errorf("%q: got body %q and raw body %q", text, got.GetBody(), got.GetRawBody())
		}
	}
	r := &http.Request{Method: http.MethodPost, Host: "h", Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(failing{})}
	if in := httpInbound(r, "/a", nil); in.Malformed == "" {
		t.Error("a body that cannot be read is no reason to refuse")
	}
	r.Body = nil
	if in := httpInbound(r, "/a", nil); in.Malformed != "" {
		t.Errorf("no body: got %q", in.Malformed)
	}
}

// failing is a body that ends too early.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("read: %w", io.ErrUnexpectedEOF) }
