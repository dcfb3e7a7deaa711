package envoy_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/internal/lab/alwaysok"
	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
	"github.com/rolegate/rolegate/internal/lab/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBothVariantsServe runs what ships, over TCP and over a unix socket.
func TestBothVariantsServe(t *testing.T) {
	envoytest.Require(t)
	for file, network := range map[string]string{"envoy.yaml": "tcp", "envoy-unix.yaml": "unix"} {
		t.Run(file, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "a.sock")
			}
			e := start(t, file, serve(t, network, address))
			resp, err := get(t, e.URL()+"/v1/acme/documents")
			if err != nil || resp != http.StatusOK {
				t.Fatalf("GET = %d, %v, want 200", resp, err)
			}
			for name, want := range map[string]uint64{
				"http.ingress.ext_authz.rolegate.ok": 1,
				"http.ingress.ext_authz.nothing":     0,
			} {
				if got, err := e.Counter(t.Context(), name); err != nil || got != want {
					t.Errorf("Counter(%s) = %d, %v, want %d", name, got, err, want)
				}
			}
			if healthy, err := e.Healthy(t.Context(), "rolegate"); err != nil || !healthy {
				t.Errorf("Healthy(rolegate) = %t, %v, want true", healthy, err)
			}
		})
	}
}

func TestStartTellsWhatEnvoyRefused(t *testing.T) {
	envoytest.Require(t)
	c := read(t, "static_resources: {clusters: 7}\n")
	_, err := envoy.Start(t.Context(), c, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "clusters") {
		t.Errorf("Start = %v, want Envoy's own message about clusters", err)
	}
}

func start(t *testing.T, file, gate string) *envoy.Envoy {
	t.Helper()
	app := httptest.NewServer(&upstream.Echo{})
	t.Cleanup(app.Close)
	c, err := envoy.Shipped(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{c.Loopback(), c.Patient(), c.Point("rolegate", gate), c.Point("application", app.Listener.Addr().String())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return envoytest.Start(t, c)
}

// serve runs an always-OK server for one test and answers its address.
func serve(t *testing.T, network, address string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() { done <- alwaysok.Serve(ctx, l, alwaysok.Plain()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func get(t *testing.T, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Close = true
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
