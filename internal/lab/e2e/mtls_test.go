package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	grpctls "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rolegate/rolegate/internal/lab/certs"
)

// TestMutualTLS asks rolegate directly: only who Envoy is has an answer, whatever it
// would have been.
func TestMutualTLS(t *testing.T) {
	s := start(t, options{mtls: true})
	stranger, err := certs.New("test") // of the same name
	if err != nil {
		t.Fatal(err)
	}
	other, err := stranger.Issue(t.TempDir(), "envoy", envoyName)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		credentials grpctls.TransportCredentials
		answered    bool
	}{
		"Envoy":                   {peer(t, s, s.certs.envoy, tls.VersionTLS13), true},
		"Envoy, by TLS 1.1":       {peer(t, s, s.certs.envoy, tls.VersionTLS11), false},
		"nobody":                  {peer(t, s, certs.Files{}, tls.VersionTLS13), false},
		"of another authority":    {peer(t, s, other, tls.VersionTLS13), false},
		"another of the same one": {peer(t, s, s.certs.gate, tls.VersionTLS13), false},
		"in the clear":            {insecure.NewCredentials(), false},
	} {
		conn, err := grpc.NewClient("passthrough:///"+s.config.GRPC, grpc.WithTransportCredentials(c.credentials))
		if err != nil {
			t.Fatal(err)
		}
		r, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), request(t, "GET", "/healthz", ""))
		if (err == nil) != c.answered {
			t.Errorf("%s: got %v, %v, want answered: %t", name, r, err, c.answered)
		}
		conn.Close()
	}
}

// peer are the credentials of whoever has these files.
func peer(t *testing.T, s *stack, f certs.Files, most uint16) grpctls.TransportCredentials {
	t.Helper()
	authority, err := os.ReadFile(s.certs.gate.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	cfg := &tls.Config{RootCAs: roots, ServerName: "rolegate", MinVersion: tls.VersionTLS10, MaxVersion: most} //nolint:gosec // what a server must refuse
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			t.Fatal(err)
		}
		// Whatever the server asks for.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return grpctls.NewTLS(cfg)
}
