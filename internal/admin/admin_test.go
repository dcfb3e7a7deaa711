package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/rolegate/rolegate/internal/admin"
	"github.com/rolegate/rolegate/loader"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(t *testing.T, status func() admin.Status, hosts ...string) *admin.Server {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "rolegate_test", Help: "x"}))
	return admin.New(admin.Config{Addr: "127.0.0.1:0", Hosts: hosts}, status, reg, zaptest.NewLogger(t))
}

func ready() admin.Status { return admin.Status{Generation: 1} }

func ask(t *testing.T, h http.Handler, method, host, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	h := server(t, ready).Handler()
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/livez", 200, "alive\n"},
		{"HEAD", "/livez", 200, "alive\n"},
		{"GET", "/readyz", 200, "ready\n"},
		{"GET", "/metrics", 200, "rolegate_test 0"},
		{"GET", "/status", 200, `"schema_version": 1`},
		{"GET", "/", 200, "/readyz"},
		{"GET", "/nowhere", 404, ""},
		{"POST", "/status", 405, "only GET"},
		{"OPTIONS", "/status", 405, "only GET"},
		{"DELETE", "/", 405, "only GET"},
	} {
		w := ask(t, h, c.method, "127.0.0.1:9193", c.path)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s: got %d %q, want %d and %q in it", c.method, c.path, w.Code, w.Body, c.status, c.body)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Cache-Control"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%s %s: got no header %s", c.method, c.path, name)
			}
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s %s: got Access-Control-Allow-Origin %q, want none", c.method, c.path, got)
		}
	}
}

// Only names that nobody else can point at us may be asked for.
func TestHosts(t *testing.T) {
	h := server(t, ready, "rolegate.svc").Handler()
	for host, want := range map[string]int{
		"127.0.0.1:9193": 200, "127.0.0.1": 200, "[::1]:9193": 200, "[::1]": 200, "10.0.0.7:9193": 200,
		"localhost:9193": 200, "LOCALHOST": 200, "localhost.": 200, "rolegate.svc:9193": 200, "Rolegate.SVC": 200,
		"evil.example": 421, "evil.example:9193": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"": 421, ":9193": 421, "rolegate.svc.evil.example": 421,
	} {
		if got := ask(t, h, "GET", host, "/status").Code; got != want {
			t.Errorf("got %d, want %d, for the host %q", got, want, host)
		}
	}
}

func TestReadiness(t *testing.T) {
	var generation uint64
	s := server(t, func() admin.Status { return admin.Status{Generation: generation} })
	read := func() (int, string) {
		w := ask(t, s.Handler(), "GET", "localhost", "/readyz")
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	if code, body := read(); code != 503 || body != "not ready: no bundle is active yet" {
		t.Errorf("got %d %q before the first bundle, want 503 and why", code, body)
	}
	generation = 1
	if code, _ := read(); code != 200 {
		t.Errorf("got %d with a bundle, want 200", code)
	}
	s.Drain()
	if code, body := read(); code != 503 || body != "not ready: draining" {
		t.Errorf("got %d %q while draining, want 503 and why", code, body)
	}
	if code := ask(t, s.Handler(), "GET", "localhost", "/livez").Code; code != 200 {
		t.Errorf("got %d from /livez while draining, want 200: it must not be restarted", code)
	}
}

func TestStatus(t *testing.T) {
	loaded := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	given := admin.Status{
		Degraded: true, Started: loaded, Build: "b", Generation: 3,
		Loader: loader.Status{
			Generation: 3, Ready: true, Watching: true,
			Bundles: []loader.BundleStatus{{Name: "acme", Revision: "r", Digest: "d", Loaded: loaded, Problems: []string{"broken"}}},
		},
		Cache: admin.Cache{Hits: 1, Misses: 2, Waits: 3, Bypassed: 4, BypassedBy: map[string]uint64{"clock": 4}, NotRemembered: "clock", Stored: 5, Dropped: 6, Audits: 7},
	}
	w := ask(t, server(t, func() admin.Status { return given }).Handler(), "GET", "localhost", "/status")
	var got admin.Status
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v, in %s", err, w.Body)
	}
	want := given
	want.SchemaVersion, want.Ready = 1, true
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := server(t, ready)
	if s.Addr() != nil {
		t.Errorf("got address %v before Listen, want none", s.Addr())
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + s.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("got %d %q, want 200", res.StatusCode, body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v at the end, want none", err)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	first := server(t, ready)
	if err := first.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	second := admin.New(admin.Config{Addr: first.Addr().String()}, ready, prometheus.NewRegistry(), zaptest.NewLogger(t))
	if err := second.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), first.Addr().String()) {
		t.Errorf("got %v, want an error that names the address that is taken", err)
	}
	if err := first.Run(ctx); err != nil { // closes the listener
		t.Error(err)
	}
}
