package extauthz

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// httpService runs the HTTP service until the test ends, and answers where.
func httpService(t *testing.T, cfg HTTPConfig, log *zap.Logger) (s *HTTPServer, stop func()) {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	s, err := NewHTTP(cfg, testGate(t, log), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// conn is one connection on which requests are written byte by byte.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func open(t *testing.T, s *HTTPServer) conn {
	t.Helper()
	address := s.Addr().String()
	if path, ok := strings.CutPrefix(s.cfg.Addr, "unix://"); ok {
		address = path
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), s.Addr().Network(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn{c, bufio.NewReader(c)}
}

// said is an answer.
type said struct {
	status int
	header http.Header
	body   string
	ends   bool // the connection
}

// ask sends bytes and reads the answer to a request of a method.
func (c conn) ask(t *testing.T, method, request string) said {
	t.Helper()
	// The server may answer, and close, before it has read everything.
	_, _ = io.WriteString(c, request)
	r, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.200q: %v", request, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%.200q: %v", request, err)
	}
	return said{r.StatusCode, r.Header, string(body), r.Close}
}

const asAnn = "Authorization: Bearer " + canary + "\r\n"

// TestHTTPAnswers: requests byte by byte. Only what the policy allows is 200, nothing is
// redirected, nothing of a policy's is 5xx.
func TestHTTPAnswers(t *testing.T) {
	s, _ := httpService(t, HTTPConfig{PathPrefix: "/"}, zap.NewNop())
	for _, c := range []struct {
		line, headers string
		status        int
	}{
		{"GET /v1/acme/documents/d1", asAnn, 200},
		{"GET /v1/acme/documents/d1?x=1", asAnn, 200},
		{"GET /v1/acme/documents/d1", "", 403},
		{"GET /v1/acme/documents/d1", "Authorization: Bearer forged\r\n", 403},
		{"GET /v1/acme/documents/d1", asAnn + asAnn, 403},
		{"PUT /v1/acme/documents/d1", asAnn, 403},
		{"FOO /v1/acme/documents/d1", asAnn, 403},
		{"HEAD /v1/acme/documents/d1", asAnn, 200}, // GET's route
		{"HEAD /v1/acme/documents/d1", "", 403},
		// What Go's mux would redirect or clean.
		{"GET //v1/acme/documents/d1", asAnn, 400},
		{"GET /x/../v1/acme/documents/d1", asAnn, 400},
		{"GET /./v1/acme/documents/d1", asAnn, 400},
		{"GET /v1/acme/documents/%2e%2e", asAnn, 400},
		{"GET /v1/acme/documents/a%2fb", asAnn, 400},
		{"GET /v1/acme/documents/d1/", asAnn, 403},
		{"GET /v1/acme/documents/d1?x=%zz", asAnn, 400},
		{"GET /v1/acme/documents/%zz", asAnn, 400},
		{"GET /v1/acme/documents/d%", asAnn, 400},
		{"GET /v1/acme/documents/d1#x", asAnn, 400},
		// What Go's server would answer itself, the first with 200.
		{"OPTIONS *", asAnn, 400},
		{"GET *", asAnn, 400},
		{"OPTIONS /", asAnn, 403},
		{"GET http://api.example.com/v1/acme/documents/d1", asAnn, 400},
		{"CONNECT api.example.com:443", asAnn, 400},
		{"TRACE /v1/acme/documents/d1", asAnn, 403},
		{"GET /v1/acme/documents/d1", asAnn + "Upgrade: websocket\r\nConnection: upgrade\r\n", 200}, // Envoy's to refuse
		{"GET /v1/acme/documents/d1", asAnn + "Expect: something\r\n", 417},
		{"GET /v1/acme/documents/d1", asAnn + "X-Long: " + strings.Repeat("x", 200<<10) + "\r\n", 431},
	} {
		method, _, _ := strings.Cut(c.line, " ")
		r := open(t, s).ask(t, method, c.line+" HTTP/1.1\r\nHost: api.example.com\r\nX-Rolegate-Roles: owner\r\nX_Rolegate_Subject: root\r\n"+c.headers+"\r\n")
		if r.status != c.status {
			t.Errorf("%s with %.60q: got %d %s, want %d", c.line, c.headers, r.status, r.body, c.status)
		}
		if r.header.Get("Location") != "" || r.header.Get("Date") != "" && c.status < 405 {
			t.Errorf("%s: got headers %v", c.line, r.header)
		}
		removed := r.header.Get(headerRemove)
		if allowed := c.status == 200; allowed != strings.Contains(removed, "x_rolegate_subject") || allowed != (r.header.Get("X-Rolegate-Subject") == "ann") {
			t.Errorf("%s: got subject %q, removed %q", c.line, r.header.Get("X-Rolegate-Subject"), removed)
		}
	}
}

// TestHTTPBodies: a body is read whole or refused, and what is left of one on the wire is
// never taken for a request.
func TestHTTPBodies(t *testing.T) {
	s, _ := httpService(t, HTTPConfig{}, zap.NewNop())
	const head = "GET /ext_authz/v1/acme/documents/d1 HTTP/1.1\r\nHost: h\r\n" + asAnn
	for _, c := range []struct {
		size   int
		status int
	}{{0, 200}, {1, 200}, {maxHTTPBody, 200}, {maxHTTPBody + 1, 400}, {4 << 20, 400}} {
		sized := head + "Content-Length: " + strconv.Itoa(c.size) + "\r\n\r\n" + strings.Repeat("x", c.size)
		chunked := head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", c.size, strings.Repeat("x", c.size))
		if c.size == 0 {
			chunked = head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		}
		for _, request := range []string{sized, chunked} {
			if r := open(t, s).ask(t, "GET", request); r.status != c.status {
				t.Errorf("a body of %d bytes: got %d, want %d", c.size, r.status, c.status)
			}
		}
	}
	// One connection, several requests with a body, each with an answer of its own.
	c := open(t, s)
	for range 3 {
		if r := c.ask(t, "GET", head+"Content-Length: 4\r\n\r\nGET "); r.status != 200 || r.ends {
			t.Fatalf("on a connection that is kept: got %d, close %t", r.status, r.ends)
		}
	}
	if r := open(t, s).ask(t, "GET", head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n"); r.status != 400 {
		t.Errorf("a broken body: got %d, want 400", r.status)
	}
}

// TestHTTPPrefix: what is not below the prefix is not asked about, and no allow.
func TestHTTPPrefix(t *testing.T) {
	s, _ := httpService(t, HTTPConfig{PathPrefix: "/a/b/"}, zap.NewNop())
	for path, status := range map[string]int{
		"/a/b/v1/acme/documents/d1": 200, "/v1/acme/documents/d1": 404, "/a/b": 404, "/a/bv1/acme/documents/d1": 404,
		"/a/%62/v1/acme/documents/d1": 404, "/a/b/../b/v1/acme/documents/d1": 400, "//a/b/v1/acme/documents/d1": 404, "*": 404,
	} {
		if r := open(t, s).ask(t, "GET", "GET "+path+" HTTP/1.1\r\nHost: h\r\n"+asAnn+"\r\n"); r.status != status {
			t.Errorf("%s: got %d, want %d", path, r.status, status)
		}
	}
	if _, err := NewHTTP(HTTPConfig{PathPrefix: "check"}, nil, zap.NewNop()); err == nil {
		t.Error("a prefix that is no path passes")
	}
}

// TestHTTPOverSockets: the same by a unix socket.
func TestHTTPOverSockets(t *testing.T) {
	s, _ := httpService(t, HTTPConfig{Addr: "unix://" + filepath.Join(t.TempDir(), "http.sock")}, zap.NewNop())
	for token, status := range map[string]int{canary: 200, "forged": 403} {
		if r := open(t, s).ask(t, "GET", "GET /ext_authz/v1/acme/documents/d1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+token+"\r\n\r\n"); r.status != status {
			t.Errorf("got %d, want %d", r.status, status)
		}
	}
	// By HTTP/2 some requests would have no answer at all.
	c := open(t, s)
	if r := c.ask(t, "PRI", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); r.status < 400 {
		t.Errorf("HTTP/2 is answered with %d", r.status)
	}
}

// TestHTTPSocketIsTakenOver: a second server is asked once it is ready, and not before.
func TestHTTPSocketIsTakenOver(t *testing.T) {
	cfg := HTTPConfig{Addr: "unix://" + filepath.Join(t.TempDir(), "http.sock")}
	const request = "GET /ext_authz/v1/acme/documents/d1 HTTP/1.1\r\nHost: h\r\n" + asAnn + "\r\n"
	first, stop := httpService(t, cfg, zap.NewNop())
	first.SetReady()
	cfg.PathPrefix = "/other" // tells the second apart
	second, _ := httpService(t, cfg, zap.NewNop())
	if r := open(t, second).ask(t, "GET", request); r.status != 200 {
		t.Errorf("while the second is not ready: got %d, want the first's 200", r.status)
	}
	second.SetReady()
	if r := open(t, second).ask(t, "GET", request); r.status != 404 {
		t.Errorf("once the second is ready: got %d, want its 404", r.status)
	}
	stop() // and the file stays the second's
	if r := open(t, second).ask(t, "GET", request); r.status != 404 {
		t.Errorf("after the end of the first: got %d, want the second's 404", r.status)
	}
}

// TestHTTPDrain: a server that ends still answers while it waits, and has connections
// end with an answer.
func TestHTTPDrain(t *testing.T) {
	s, stop := httpService(t, HTTPConfig{DrainWait: 300 * time.Millisecond}, zap.NewNop())
	const request = "GET /ext_authz/v1/acme/documents/d1 HTTP/1.1\r\nHost: h\r\n" + asAnn + "\r\n"
	c := open(t, s)
	if r := c.ask(t, "GET", request); r.status != 200 || r.ends {
		t.Fatalf("before: got %d, close %t", r.status, r.ends)
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for deadline := time.Now().Add(time.Minute); !s.ending.Load() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if r := c.ask(t, "GET", request); r.status != 200 || !r.ends {
		t.Errorf("on an old connection: got %d, close %t, want 200 and the end of it", r.status, r.ends)
	}
	if r := open(t, s).ask(t, "GET", request); r.status != 200 {
		t.Errorf("on a new connection: got %d, want 200", r.status)
	}
	<-stopped
}

// TestHTTPPanicIsADenial: a panic is told, and not by a reset connection.
func TestHTTPPanicIsADenial(t *testing.T) {
	var log bytes.Buffer
	s, err := NewHTTP(HTTPConfig{}, nil, logTo(&log)) // no gate: a nil dereference
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ext_authz/"+canary, http.NoBody))
	if w.Code != http.StatusForbidden {
		t.Errorf("got %d, want 403", w.Code)
	}
	if !strings.Contains(log.String(), "panic") || strings.Contains(log.String(), canary) {
		t.Errorf("the log does not tell of it, or tells the request: %s", log.String())
	}
}

// TestHTTPResponseLaws: of any answer, 200 comes only of an allow that gRPC tells as one
// too; a denial is 3xx or 4xx, whatever it holds; 503 is a fault and nothing else.
func TestHTTPResponseLaws(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		a := answers().Draw(t, "answer")
		if rapid.Bool().Draw(t, "sound") {
			a = sound(a)
		}
		r, fault := httpResponse(a)
		g, unsent := guard(response(a), a.Effect)
		switch {
		case r.status == http.StatusOK:
			allowed++
			if a.Effect != policy.Allow || fault != "" || g.GetStatus().GetCode() != int32(codes.OK) {
				t.Errorf("%+v is allowed; gRPC says %v", a, g)
			}
		case r.status == http.StatusServiceUnavailable:
			if !a.Reply.Fault || a.Effect == policy.Allow || fault != "" {
				t.Errorf("%+v is an error", a)
			}
		case r.status < 300 || r.status > 499:
			t.Errorf("%+v: got status %d", a, r.status)
		}
		if unsent != "" && fault == "" {
			t.Errorf("%+v: gRPC would not send it (%s), HTTP does", a, unsent)
		}
		names := map[string]bool{}
		for _, h := range r.headers {
			if !holdable(h.Name) || !holdable(h.Value) {
				t.Errorf("%+v: no header holds %q: %q", a, h.Name, h.Value)
			}
			if lower := strings.ToLower(h.Name); r.status == http.StatusOK && !h.Append {
				if names[lower] {
					t.Errorf("%+v: %s stands twice, and Envoy takes one", a, lower)
				}
				names[lower] = true
			}
		}
	})
	if allowed == 0 {
		t.Error("no answer was allowed: the law was not tried")
	}
}

// sound makes of an answer one that a gate could have given.
func sound(a proxy.Answer) proxy.Answer {
	bad := func(h proxy.Header) bool { return h.Name == "" || !holdable(h.Name) || !holdable(h.Value) }
	r := &a.Reply
	r.SetHeaders, r.AddToResponse = slices.DeleteFunc(r.SetHeaders, bad), slices.DeleteFunc(r.AddToResponse, bad)
	for i := range r.AddToResponse {
		r.AddToResponse[i].Append = true
	}
	r.RemoveHeaders = []string{"x_rolegate_roles"}
	for _, name := range []string{proxy.HeaderSubject, proxy.HeaderTenant, proxy.HeaderRoles} {
		if !slices.ContainsFunc(r.SetHeaders, func(h proxy.Header) bool { return h.Name == name }) {
			r.RemoveHeaders = append(r.RemoveHeaders, name)
		}
	}
	r.SetHeaders = slices.DeleteFunc(r.SetHeaders, func(h proxy.Header) bool { return contains(r.RemoveHeaders, h.Name) })
	return a
}

// FuzzHTTPCheck: whatever bytes come, the answer is none or a denial: nobody who knows no
// token is allowed.
func FuzzHTTPCheck(f *testing.F) {
	for _, request := range []string{
		"GET /ext_authz/v1/acme/documents/d1 HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /ext_authz/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"GET http://h/ext_authz/ HTTP/1.0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add(request)
	}
	service, err := NewHTTP(HTTPConfig{}, testGate(f, zap.NewNop()), zap.NewNop())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, request string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil || strings.Contains(request, canary) {
			return
		}
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r.WithContext(t.Context()))
		if w.Code < 300 || w.Code > 499 {
			t.Errorf("%q: got %d", request, w.Code)
		}
	})
}

// TestHTTPAndGRPCAgree: one gate, two ways to ask it, one answer.
func TestHTTPAndGRPCAgree(t *testing.T) {
	g := testGate(t, zap.NewNop())
	service, err := NewHTTP(HTTPConfig{PathPrefix: "/"}, g, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	server := New(Config{}, g, zap.NewNop())
	rapid.Check(t, func(t *rapid.T) {
		segments := rapid.SliceOfN(rapid.SampledFrom([]string{"v1", "acme", "documents", "d1", "..", "%2e", "", "a%2fb", "é", "%zz"}), 0, 5).Draw(t, "segments")
		path := rapid.SampledFrom([]string{"/v1/acme/documents/d1", "/" + strings.Join(segments, "/")}).Draw(t, "path")
		headers := map[string]string{}
		if token := rapid.SampledFrom([]string{"", canary, "forged"}).Draw(t, "token"); token != "" {
			headers["authorization"] = "Bearer " + token
		}
		check, err := server.Check(context.Background(), checkRequest(path, headers))
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: http.MethodGet, Host: "api.example.com", RequestURI: path, Header: http.Header{}, Body: http.NoBody}
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		want := http.StatusOK
		if denied := check.GetDeniedResponse(); denied != nil {
			want = int(denied.GetStatus().GetCode())
		}
		if w.Code != want {
			t.Errorf("%q with %v: HTTP says %d, gRPC %d", path, headers, w.Code, want)
		}
		if got := w.Header().Get(proxy.HeaderSubject); (got == "ann") != (want == http.StatusOK) {
			t.Errorf("%q: got subject %q with %d", path, got, want)
		}
	})
}

// BenchmarkHTTPAnswer is one check from memory, without a socket.
func BenchmarkHTTPAnswer(b *testing.B) {
	service, err := NewHTTP(HTTPConfig{}, testGate(b, zap.NewNop()), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/ext_authz/v1/acme/documents/d1", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+canary)
	b.ReportAllocs()
	for b.Loop() {
		if a := service.answer(r); a.status != http.StatusOK {
			b.Fatalf("got %d", a.status)
		}
	}
}
