package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rolegate/rolegate/bundles/demo"
	"github.com/rolegate/rolegate/internal/admin"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/decisionlog"
)

// output is what a program writes, readable while it does.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// until waits for a condition.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patienceOfTests)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for: %s", patienceOfTests, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// demoDir is a folder with the demo and its keys.
func demoDir(t *testing.T) demoFolder {
	t.Helper()
	d := demoFolder{filepath.Join(t.TempDir(), "demo-bundle")}
	if wrote, err := d.prepare(); err != nil || !wrote {
		t.Fatalf("write the demo: %v, %v", wrote, err)
	}
	return d
}

// running is a server in this process.
type running struct {
	*server
	stop  context.CancelFunc
	ended chan error
}

// patient gives decisions time: what a busy machine makes of it is not looked at.
func (c config) patient() config {
	c.Cache.Timeout, c.Gate.MaxTime, c.Evaluations.QueueWait = patienceOfTests, patienceOfTests, patienceOfTests
	return c
}

// start starts a server with the demo's bundle on free ports; it has ended when the
// test has.
func start(t *testing.T, cfg config) running {
	t.Helper()
	cfg = cfg.patient()
	if cfg.GRPC.DrainWait == drainWait {
		cfg.GRPC.DrainWait = 0 // for tests that are not about it
	}
	cfg.GRPC.Addr, cfg.HTTP.Addr, cfg.Admin.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	p := &program{stdout: io.Discard, stderr: io.Discard, now: time.Now}
	s, err := p.newServer(cfg, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r := running{s, stop, make(chan error, 1)}
	go func() { r.ended <- s.run(ctx); close(r.ended) }()
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Errorf("got %v at the end of the server, want none", err)
		}
		s.close()
	})
	return r
}

func (r running) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	return fetch(t, http.MethodGet, "http://"+r.admin.Addr().String()+path, "")
}

// fetch sends one request on a connection of its own.
func fetch(t *testing.T, method, url, token string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func (r running) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(r.envoy.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// envoyRequest is what Envoy would send.
func envoyRequest(method, path, token string) *authv3.CheckRequest {
	headers := map[string]string{}
	if token != "" {
		headers["authorization"] = "Bearer " + token
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Method: method, Path: path, Host: "api.example", Headers: headers},
	}}}
}

// Envoy asks, and is answered from the bundle; the log and the metrics say so.
func TestServe(t *testing.T) {
	folder := demoDir(t)
	cfg := defaultConfig()
	cfg.Loader.Dir = folder.dir
	cfg.DecisionLog.Path = filepath.Join(t.TempDir(), "decisions.jsonl")
	var err error
	if cfg.Identity, err = folder.identity(); err != nil {
		t.Fatal(err)
	}
	r := start(t, cfg)
	until(t, "/readyz", func() bool { status, _ := r.get(t, "/readyz"); return status == http.StatusOK })

	conn := r.dial(t)
	health, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || health.Status != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got health %v, %v, want SERVING", health, err)
	}
	envoy := authv3.NewAuthorizationClient(conn)
	bob, err := folder.token("bob", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		method, path, token string
		code                codes.Code
		http                int32
	}{
		{"GET", "/v1/acme/documents", bob, codes.OK, 0},
		{"PUT", "/v1/acme/documents/plan", bob, codes.PermissionDenied, 403},
		{"GET", "/v1/acme/documents", "", codes.PermissionDenied, 401},
		{"GET", "/v1/acme/documents", bob[:len(bob)-4] + "AAAA", codes.PermissionDenied, 401},
		{"GET", "/healthz", "", codes.OK, 0},
	} {
		got, err := envoy.Check(t.Context(), envoyRequest(c.method, c.path, c.token))
		if err != nil {
			t.Fatal(err)
		}
		if codes.Code(got.GetStatus().GetCode()) != c.code || int32(got.GetDeniedResponse().GetStatus().GetCode()) != c.http {
			t.Errorf("%s %s: got %v, want %v and HTTP status %d", c.method, c.path, got, c.code, c.http)
		}
		// A decision is remembered a moment after it was told; each is asked for twice.
		until(t, "the decision to be remembered", func() bool { return r.engine.Stats().Memory.Cost == uint64(i+1) })
		// The HTTP service says the same.
		url := "http://" + r.http.Addr().String() + "/ext_authz" + c.path
		if status, body := fetch(t, c.method, url, c.token); status != int(max(c.http, http.StatusOK)) {
			t.Errorf("%s %s over HTTP: got %d %s, want what gRPC says: %v", c.method, c.path, status, body, got)
		}
		if c.path == "/v1/acme/documents" && c.code == codes.OK && !hasHeader(got, proxy.HeaderSubject, "bob") {
			t.Errorf("%s %s: got no header that names the caller, in %v", c.method, c.path, got)
		}
	}

	_, metrics := r.get(t, "/metrics")
	for _, want := range []string{
		`rolegate_decisions_total{protocol="grpc",reason="allowed",source="miss",verdict="allow"} 1`,
		`rolegate_decisions_total{protocol="grpc",reason="bad_credential",source="miss",verdict="unauthenticated"} 1`,
		`rolegate_bundle_info{bundle="demo-bundle",revision="demo-1"} 1`,
		`rolegate_bundle_generation 1`,
		`rolegate_cache_requests_total{result="miss"} 5`,
		`rolegate_build_info{`,
		`go_goroutines `,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("got no metric %s, in:\n%s", want, metrics)
		}
	}
	_, text := r.get(t, "/status")
	var status admin.Status
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	if !status.Ready || status.Degraded || status.Generation != 1 || len(status.Loader.Bundles) != 1 ||
		status.Loader.Bundles[0].Revision != "demo-1" || status.Cache.Misses != 5 {
		t.Errorf("got status %s, want ready with generation 1 of demo-1 and 5 misses", text)
	}

	r.stop()
	if err := <-r.ended; err != nil {
		t.Errorf("got %v at the end, want none", err)
	}
	log, err := os.ReadFile(cfg.DecisionLog.Path)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for line := range strings.Lines(string(log)) {
		var e decisionlog.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v, in %s", err, line)
		}
		reasons = append(reasons, e.Reason)
	}
	const want = "allowed allowed no_permission no_permission unauthenticated unauthenticated bad_credential bad_credential public public"
	if got := strings.Join(reasons, " "); got != want {
		t.Errorf("got decisions %q in the log, want %q", got, want)
	}
	if strings.Contains(string(log), bob) || strings.Contains(metrics, bob) || strings.Contains(text, bob) {
		t.Error("a token was told")
	}
}

func hasHeader(r *authv3.CheckResponse, name, value string) bool {
	for _, h := range r.GetOkResponse().GetHeaders() {
		if h.GetHeader().GetKey() == name && headerValue(h) == value {
			return true
		}
	}
	return false
}

func headerValue(h *corev3.HeaderValueOption) string {
	if raw := h.GetHeader().GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return h.GetHeader().GetValue()
}

// Without a bundle the server is there, not ready, and denies; with the first it
// decides.
func TestServeBeforeTheFirstBundle(t *testing.T) {
	cfg := defaultConfig()
	cfg.Loader.Dir = t.TempDir()
	r := start(t, cfg)
	until(t, "/livez", func() bool { status, _ := r.get(t, "/livez"); return status == http.StatusOK })
	if status, body := r.get(t, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("got /readyz %d %q, want 503", status, body)
	}
	conn := r.dial(t)
	health, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || health.Status != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got health %v, %v, want NOT_SERVING", health, err)
	}
	envoy := authv3.NewAuthorizationClient(conn)
	got, err := envoy.Check(t.Context(), envoyRequest("GET", "/healthz", ""))
	if err != nil || got.GetStatus().GetCode() == int32(codes.OK) || got.GetDeniedResponse().GetStatus().GetCode() != 503 {
		t.Errorf("got %v, %v, want a denial with 503", got, err)
	}

	if err := os.CopyFS(filepath.Join(cfg.Loader.Dir, "demo"), demo.Files()); err != nil {
		t.Fatal(err)
	}
	until(t, "/readyz", func() bool { status, _ := r.get(t, "/readyz"); return status == http.StatusOK })
	got, err = envoy.Check(t.Context(), envoyRequest("GET", "/healthz", ""))
	if err != nil || got.GetStatus().GetCode() != int32(codes.OK) {
		t.Errorf("got %v, %v, want an allow", got, err)
	}
}

// Told to end, a server is not ready at once, answers for as long as it drains, and
// health can be asked until the last.
func TestServeDrains(t *testing.T) {
	for wait := 300 * time.Millisecond; ; wait *= 4 { // until there is time to look, on a busy machine too
		if drains(t, wait) {
			return
		}
		if wait > patienceOfTests {
			t.Fatalf("a server that drains for %v did not say so in time", wait)
		}
	}
}

// drains looks at a server that is told to end; false when it ended before all was seen.
func drains(t *testing.T, wait time.Duration) bool {
	t.Helper()
	cfg := defaultConfig()
	cfg.Loader.Dir = demoDir(t).dir
	cfg.GRPC.DrainWait = wait
	r := start(t, cfg)
	until(t, "/readyz", func() bool { status, _ := r.get(t, "/readyz"); return status == http.StatusOK })
	conn := r.dial(t)
	envoy, health := authv3.NewAuthorizationClient(conn), healthv1.NewHealthClient(conn)
	if _, err := envoy.Check(t.Context(), envoyRequest("GET", "/healthz", "")); err != nil {
		t.Fatal(err)
	}

	r.stop()
	told := time.Now()
	over := func() bool { return time.Since(told) >= wait } // it may be gone
	until(t, "/readyz to say no", func() bool {
		status, body := r.get(t, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "draining") || over()
	})
	until(t, "health to say no", func() bool {
		h, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{})
		return err == nil && h.Status == healthv1.HealthCheckResponse_NOT_SERVING || over()
	})
	got, err := envoy.Check(t.Context(), envoyRequest("GET", "/healthz", ""))
	if over() {
		return false
	}
	if err != nil || got.GetStatus().GetCode() != int32(codes.OK) {
		t.Errorf("got %v, %v while draining, want an answer as before", got, err)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("got %v at the end, want none", err)
	}
	if status, body := r.get(t, "/livez"); status != 0 {
		t.Errorf("got /livez %d %q after the end, want nobody there", status, body)
	}
	return true
}
