package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/rolegate/rolegate/internal/lab/certs"
	listener "github.com/rolegate/rolegate/proxy/certs"
	"github.com/rolegate/rolegate/proxy/identity"
)

const envoyName = "spiffe://mesh.example/ns/edge/sa/envoy"

// site is the certificates of a server and of the Envoy that may ask it.
type site struct {
	ca    *certs.Authority
	dir   string
	own   certs.Files
	tls   listener.Config
	roots *x509.CertPool
}

func newSite(t *testing.T) *site {
	t.Helper()
	ca, err := certs.New("test")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{ca: ca, dir: t.TempDir(), roots: x509.NewCertPool()}
	s.issue(t)
	s.tls = listener.Config{
		CertFile: s.own.Cert, KeyFile: s.own.Key, ClientCAFile: s.own.CA,
		ClientNames: []string{envoyName}, Poll: 5 * time.Millisecond,
	}
	root, err := os.ReadFile(s.own.CA)
	if err != nil || !s.roots.AppendCertsFromPEM(root) {
		t.Fatalf("read the root: %v", err)
	}
	return s
}

// issue writes a new certificate of the server over the one there is.
func (s *site) issue(t *testing.T) {
	t.Helper()
	var err error
	if s.own, err = s.ca.Issue(s.dir, "tls", "rolegate"); err != nil {
		t.Fatal(err)
	}
}

// as is the TLS of a client that is called name; "" has no certificate.
func (s *site) as(t *testing.T, name string) *tls.Config {
	t.Helper()
	cfg := &tls.Config{RootCAs: s.roots, ServerName: "rolegate", MinVersion: tls.VersionTLS12}
	if name == "" {
		return cfg
	}
	files, err := s.ca.Issue(t.TempDir(), "client", name)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg
}

func check(t *testing.T, r running, cfg *tls.Config, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	t.Helper()
	conn, err := grpc.NewClient(r.envoy.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return authv3.NewAuthorizationClient(conn).Check(t.Context(), req)
}

func overHTTP(t *testing.T, r running, cfg *tls.Config) (status int, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.http.Addr().String()+"/ext_authz/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: cfg}}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Body.Close()
}

// Both of Envoy's ports let in the Envoy that is listed and nobody else, and a
// certificate is changed without one question lost.
func TestServeTLS(t *testing.T) {
	s := newSite(t)
	cfg := defaultConfig()
	cfg.Loader.Dir = demoDir(t).dir
	cfg.GRPC.TLS, cfg.HTTP.TLS = s.tls, s.tls
	r := start(t, cfg)
	until(t, "/readyz", func() bool { status, _ := r.get(t, "/readyz"); return status == http.StatusOK })
	health := envoyRequest("GET", "/healthz", "")
	for name, want := range map[string]bool{envoyName: true, "": false, "spiffe://mesh.example/ns/shop/sa/web": false, "envoy": false} {
		client := s.as(t, name)
		got, err := check(t, r, client, health)
		if (err == nil && codes.Code(got.GetStatus().GetCode()) == codes.OK) != want {
			t.Errorf("client %q over gRPC: got %v %v, want it let in: %v", name, got, err, want)
		}
		if status, err := overHTTP(t, r, client); (err == nil && status == http.StatusOK) != want {
			t.Errorf("client %q over HTTP: got %d %v, want it let in: %v", name, status, err, want)
		}
	}
	if status, _ := fetch(t, http.MethodGet, "http://"+r.http.Addr().String()+"/ext_authz/healthz", ""); status == http.StatusOK {
		t.Error("without TLS: got 200, want no answer")
	}

	// One connection asks on and on while the certificate is changed.
	client := s.as(t, envoyName)
	conn, err := grpc.NewClient(r.envoy.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, stop := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := authv3.NewAuthorizationClient(conn).Check(ctx, health); err != nil && ctx.Err() == nil {
				asked <- err
				return
			}
		}
		asked <- nil
	}()
	serial := func() string {
		var serial string
		seen := client.Clone()
		seen.VerifyConnection = func(state tls.ConnectionState) error {
			serial = state.PeerCertificates[0].SerialNumber.String()
			return nil
		}
		if status, err := overHTTP(t, r, seen); err != nil || status != http.StatusOK {
			t.Errorf("while the certificate is changed: got %d %v", status, err)
		}
		return serial
	}
	for range 3 {
		before := serial()
		s.issue(t)
		until(t, "the new certificate", func() bool { return serial() != before })
	}
	stop()
	if err := <-asked; err != nil {
		t.Errorf("the connection from before: %v", err)
	}
}

// Callers are known by certificate, key and trusted header through the real service, and
// what a trusted header said does not reach the upstream.
func TestServeIdentities(t *testing.T) {
	cfg := defaultConfig()
	cfg.Loader.Dir = demoDir(t).dir
	cfg.Identity = identity.Config{Authenticators: []identity.Authenticator{
		{Headers: &identity.Headers{From: identity.Trusted{Sockets: []string{"/run/edge.sock"}}, ID: "x-user", Tenant: "x-tenant"}},
		{APIKey: &identity.APIKey{}},
		{MTLS: &identity.MTLS{IDs: []identity.SPIFFE{{Match: "spiffe://mesh.example/user/{user}", ID: "{user}", Kind: "user"}}}},
	}}
	r := start(t, cfg)
	until(t, "/readyz", func() bool { status, _ := r.get(t, "/readyz"); return status == http.StatusOK })
	envoy := authv3.NewAuthorizationClient(r.dial(t))
	for _, tt := range []struct {
		name    string
		change  func(*authv3.AttributeContext)
		reason  string
		subject string
	}{
		{"nobody", func(*authv3.AttributeContext) {}, "unauthenticated", ""},
		{"certificate", func(a *authv3.AttributeContext) {
			a.Source = &authv3.AttributeContext_Peer{Principal: "spiffe://mesh.example/user/bob"}
		}, "allowed", "bob"},
		{"another certificate", func(a *authv3.AttributeContext) {
			a.Source = &authv3.AttributeContext_Peer{Principal: "spiffe://evil.example/user/bob"}
		}, "bad_credential", ""},
		{"an unknown key", func(a *authv3.AttributeContext) {
			a.Request.Http.Headers["x-api-key"] = "0123456789abcdef"
		}, "bad_credential", ""},
		{"a header of anybody", func(a *authv3.AttributeContext) { a.Request.Http.Headers["x-user"] = "bob" }, "bad_credential", ""},
		{"another spelling of anybody", func(a *authv3.AttributeContext) { a.Request.Http.Headers["x_user"] = "bob" }, "unauthenticated", ""},
	} {
		req := envoyRequest("GET", "/v1/acme/documents", "")
		tt.change(req.Attributes)
		for range 2 {
			got, err := envoy.Check(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if reason := got.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); reason != tt.reason {
				t.Errorf("%s: got reason %q, want %q, in %v", tt.name, reason, tt.reason, got)
			}
			if tt.subject != "" && !hasHeader(got, "x-rolegate-subject", tt.subject) {
				t.Errorf("%s: got %v, want it to name %s", tt.name, got, tt.subject)
			}
		}
	}
	req := envoyRequest("GET", "/healthz", "")
	req.Attributes.Request.Http.Headers["x_user"] = "root"
	req.Attributes.Request.Http.Headers["X-Tenant"] = "root"
	got, err := envoy.Check(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x_user", "x-tenant"} {
		if !slices.Contains(got.GetOkResponse().GetHeadersToRemove(), name) {
			t.Errorf("%s is not taken out: %v", name, got)
		}
	}
}
