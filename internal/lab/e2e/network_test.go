package e2e_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/certs"
	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
)

// TestConnections has Envoy ask about connections. What a policy allows gets through;
// nothing else does, and nothing at all when rolegate is gone.
func TestConnections(t *testing.T) {
	t.Run("a policy of one's own", func(t *testing.T) {
		n := startNetwork(t, options{bundles: "testdata/network", settings: "loader: {entrypoint: peers/decision}\n"})
		for name, c := range map[string]struct {
			who, sni string
			passes   bool
		}{
			"who may":               {"spiffe://example.org/ns/shop/sa/orders", "db.example.org", true},
			"to another name":       {"spiffe://example.org/ns/shop/sa/orders", "db.example.net", false},
			"without a name":        {"spiffe://example.org/ns/shop/sa/orders", "", false},
			"who may not":           {"spiffe://example.org/ns/shop/sa/web", "db.example.org", false},
			"of another domain":     {"spiffe://example.com/ns/shop/sa/orders", "db.example.org", false},
			"an id that begins so":  {"spiffe://example.org/ns/shop/sa/orders/x", "db.example.org", false},
			"a name of a DNS alone": {"orders.example.org", "db.example.org", false},
		} {
			before := n.app.Served()
			err := n.connect(t, c.who, c.sni)
			if (err == nil) != c.passes || (n.app.Served() != before) != c.passes {
				t.Errorf("%s: got %v, and %d requests reached the application, want it to pass: %t", name, err, n.app.Served()-before, c.passes)
			}
		}
		if err := n.gate.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := n.connect(t, "spiffe://example.org/ns/shop/sa/orders", "db.example.org"); err == nil {
			t.Error("without rolegate a connection passes")
		}
	})
	t.Run("the role library", func(t *testing.T) {
		n := startNetwork(t, options{})
		if err := n.connect(t, "spiffe://example.org/ns/shop/sa/orders", "db.example.org"); err == nil {
			t.Error("the role library lets a connection pass")
		}
	})
}

// network is a stack whose Envoy takes connections.
type network struct {
	*stack
	authority *certs.Authority
}

func startNetwork(t *testing.T, o options) network {
	t.Helper()
	authority, err := certs.New("test")
	if err != nil {
		t.Fatal(err)
	}
	n := network{authority: authority}
	o.without = func(s *stack) {
		n.stack = s
		app := httptest.NewServer(s.app)
		t.Cleanup(app.Close)
		cfg, err := envoy.Shipped("network/envoy.yaml")
		if err != nil {
			t.Fatal(err)
		}
		f, err := authority.Issue(t.TempDir(), "envoy", "db.example.org")
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(cfg.Loopback(), cfg.Patient(), cfg.Point("rolegate", s.config.GRPC), cfg.Point("application", app.Listener.Addr().String()),
			cfg.TLSFiles("static_resources/listeners/0/filter_chains/0", f.Cert, f.Key, f.CA))
		if err != nil {
			t.Fatal(err)
		}
		s.envoy = envoytest.Start(t, cfg)
	}
	start(t, o)
	return n
}

// connect connects as somebody to a name, and sends a request to see whether anybody is
// there.
func (n network) connect(t *testing.T, who, sni string) error {
	t.Helper()
	f, err := n.authority.Issue(t.TempDir(), "client", who)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair}, ServerName: sni, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // the name asked for is what is tested; the server is our own
	}
	transport := &http.Transport{DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", n.envoy.Addr())
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://db/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
