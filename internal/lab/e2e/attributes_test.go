package e2e_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/certs"
	"github.com/rolegate/rolegate/internal/lab/envoy"
)

const (
	authz  = manager + "http_filters/name=envoy.filters.http.ext_authz/typed_config"
	chain  = "static_resources/listeners/0/filter_chains/0"
	mirror = "loader: {entrypoint: mirror/decision}\n"
)

// attributes is what the tests look at of what a policy sees.
type attributes struct {
	Source      peerAttributes `json:"source"`
	Destination peerAttributes `json:"destination"`
	Request     struct {
		HTTP struct {
			Method    string            `json:"method"`
			Path      string            `json:"path"`
			Host      string            `json:"host"`
			Scheme    string            `json:"scheme"`
			Protocol  string            `json:"protocol"`
			Size      int               `json:"size"`
			Body      string            `json:"body"`
			RawBody   string            `json:"rawBody"`
			Headers   map[string]string `json:"headers"`
			HeaderMap struct {
				Headers []struct {
					Key      string `json:"key"`
					RawValue []byte `json:"rawValue"`
				} `json:"headers"`
			} `json:"headerMap"`
		} `json:"http"`
	} `json:"request"`
	Extensions map[string]string `json:"contextExtensions"`
	Metadata   struct {
		Filters map[string]any `json:"filterMetadata"`
	} `json:"metadataContext"`
	RouteMetadata struct {
		Filters map[string]any `json:"filterMetadata"`
	} `json:"routeMetadataContext"`
	TLS struct {
		SNI string `json:"sni"`
	} `json:"tlsSession"`
}

type peerAttributes struct {
	Principal   string `json:"principal"`
	Certificate string `json:"certificate"`
	Service     string `json:"service"`
}

func seen(t *testing.T, a answer) (seen attributes) {
	t.Helper()
	if a.status != http.StatusForbidden {
		t.Fatalf("%d, want 403\n%s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &seen); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return seen
}

// TestBodies: a policy sees the part of a body that Envoy is told to send, and can tell
// whether it is all of it.
func TestBodies(t *testing.T) {
	for name, o := range map[string]options{
		"as text":           {edit: sendBody(map[string]any{"encode_raw_headers": false}, false)},
		"as bytes":          {edit: sendBody(map[string]any{"encode_raw_headers": false}, true)},
		"headers as bytes":  {edit: sendBody(nil, false)},
		"http":              {http: true, edit: sendBody(nil, false)},
		"http, as bytes":    {http: true, edit: sendBody(nil, true)},
		"without (shipped)": {},
	} {
		t.Run(name, func(t *testing.T) {
			o.bundles, o.settings = "testdata/mirror", mirror
			s := start(t, o)
			for _, size := range []int{0, 1, 63, 64, 65, 200} {
				body := strings.Repeat("b", size)
				for _, framing := range []string{
					fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, body),
					fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body),
				} {
					if size == 0 {
						framing = "\r\n"
					}
					got, err := s.raw(t.Context(), "POST /a?b=c HTTP/1.1\r\nHost: h\r\nX-Envoy-Auth-Partial-Body: maybe\r\n"+framing)
					if err != nil {
						t.Fatal(err)
					}
					checkBody(t, seen(t, got), body[:min(size, 64)], size > 64, o.edit != nil)
				}
			}
		})
	}
}

func checkBody(t *testing.T, a attributes, want string, cut, sent bool) {
	t.Helper()
	h := a.Request.HTTP
	if raw, err := base64.StdEncoding.DecodeString(h.RawBody); err != nil || h.Body+string(raw) != want && sent || !sent && h.Body+h.RawBody != "" {
		t.Errorf("the policy's body is %q, %q, want %q (sent: %t)", h.Body, raw, want, sent)
	}
	partial := h.Headers["x-envoy-auth-partial-body"]
	if sent && (partial == "true") != cut {
		t.Errorf("of a body of which %q was sent the policy's x-envoy-auth-partial-body is %q, want cut: %t", want, partial, cut)
	}
	if partial == "maybe" {
		t.Error("a client says whether its body is cut")
	}
	if h.Method != "POST" || h.Path != "/a?b=c" || h.Host != "h" {
		t.Errorf("the policy's request is %s %s of %s", h.Method, h.Path, h.Host)
	}
}

// sendBody has Envoy send 64 bytes of bodies.
func sendBody(settings map[string]any, asBytes bool) func(*envoy.Config) error {
	return func(c *envoy.Config) error {
		filter := map[string]any{}
		if err := c.Get(authz, &filter); err != nil {
			return err
		}
		maps.Copy(filter, settings)
		filter["with_request_body"] = map[string]any{"max_request_bytes": 64, "allow_partial_message": true, "pack_as_bytes": asBytes}
		return c.Set(authz, filter)
	}
}

// TestAttributes: what Envoy knows of a route, of other filters and of the client's
// certificate reaches a policy as it is.
func TestAttributes(t *testing.T) {
	authority, err := certs.New("test")
	if err != nil {
		t.Fatal(err)
	}
	const web = "spiffe://example.org/ns/shop/sa/web"
	gateway, err := authority.Issue(t.TempDir(), "gateway", "api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	caller, err := authority.Issue(t.TempDir(), "caller", web)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, options{bundles: "testdata/mirror", settings: mirror, edit: func(c *envoy.Config) error { return tellEverything(c, gateway) }})
	pair, err := tls.LoadX509KeyPair(caller.Cert, caller.Key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair}, ServerName: "api.example.com", MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // Envoy's own certificate is not what is tested
	}
	transport := &http.Transport{DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", s.envoy.Addr())
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/v1/x?y=z", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["X-A"] = []string{"1", "2"}
	req.Header.Set("X-Envoy-Downstream-Service-Cluster", "claimed")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(resp)
	if err != nil {
		t.Fatal(err)
	}
	a := seen(t, got)
	certificate, err := url.PathUnescape(a.Source.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(caller.Cert)
	if err != nil {
		t.Fatal(err)
	}
	var copies []string
	for _, h := range a.Request.HTTP.HeaderMap.Headers {
		if h.Key == "x-a" {
			copies = append(copies, string(h.RawValue))
		}
	}
	for what, pair := range map[string][2]any{
		"source.principal":      {web, a.Source.Principal},
		"source.certificate":    {string(pem), certificate},
		"destination.principal": {"api.example.com", a.Destination.Principal},
		"tlsSession.sni":        {"api.example.com", a.TLS.SNI},
		"contextExtensions":     {map[string]string{"application": "documents"}, a.Extensions},
		"metadataContext":       {map[string]any{"example.noted": map[string]any{"team": "docs", "level": 3.0, "list": []any{"a", true}}}, a.Metadata.Filters},
		"routeMetadataContext":  {map[string]any{"example.route": map[string]any{"owner": "docs"}}, a.RouteMetadata.Filters},
		"copies of x-a":         {[]string{"1", "2"}, copies},
		"joined x-a":            {"1,2", a.Request.HTTP.Headers["x-a"]},
		"scheme":                {"https", a.Request.HTTP.Scheme},
		"path":                  {"/v1/x?y=z", a.Request.HTTP.Path},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("the policy's %s (-want +got):\n%s", what, diff)
		}
	}
}

// tellEverything has Envoy tell rolegate all that it can.
func tellEverything(c *envoy.Config, f certs.Files) error {
	filters, filter, host, first := []any{}, map[string]any{}, map[string]any{}, map[string]any{}
	const virtual = manager + "route_config/virtual_hosts/0"
	if err := errors.Join(c.Get(manager+"http_filters", &filters), c.Get(authz, &filter), c.Get(virtual, &host), c.Get(chain, &first)); err != nil {
		return err
	}
	filter["include_peer_certificate"], filter["include_tls_session"] = true, true
	filter["metadata_context_namespaces"], filter["route_metadata_context_namespaces"] = []string{"example.noted"}, []string{"example.route"}
	if err := c.Set(authz, filter); err != nil {
		return err
	}
	if err := c.Get(manager+"http_filters", &filters); err != nil {
		return err
	}
	note := map[string]any{"name": "envoy.filters.http.set_metadata", "typed_config": map[string]any{
		"@type":    "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
		"metadata": []any{map[string]any{"metadata_namespace": "example.noted", "value": map[string]any{"team": "docs", "level": 3, "list": []any{"a", true}}}},
	}}
	host["typed_per_filter_config"] = extensions(map[string]any{"application": "documents"})
	routes, _ := host["routes"].([]any)
	route, ok := routes[0].(map[string]any)
	if !ok {
		return errors.New("no route")
	}
	route["metadata"] = map[string]any{"filter_metadata": map[string]any{"example.route": map[string]any{"owner": "docs"}}}
	if err := errors.Join(c.Set(manager+"http_filters", append([]any{note}, filters...)), c.Set(virtual, host)); err != nil {
		return err
	}
	if err := c.Get(chain, &first); err != nil {
		return err
	}
	first["transport_socket"] = map[string]any{"name": "envoy.transport_sockets.tls", "typed_config": map[string]any{
		"@type":                      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
		"require_client_certificate": true,
		"common_tls_context": map[string]any{
			"tls_certificates":   []any{map[string]any{"certificate_chain": map[string]any{"filename": f.Cert}, "private_key": map[string]any{"filename": f.Key}}},
			"validation_context": map[string]any{"trusted_ca": map[string]any{"filename": f.CA}},
		},
	}}
	return c.Set(chain, first)
}

// extensions are the context extensions of a route or a virtual host.
func extensions(list map[string]any) map[string]any {
	return map[string]any{"envoy.filters.http.ext_authz": map[string]any{
		"@type":          "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
		"check_settings": map[string]any{"context_extensions": list},
	}}
}

// TestContextExtensions: an Envoy route chooses the entry point where rolegate's
// configuration says that it may.
func TestContextExtensions(t *testing.T) {
	choose := func(entrypoint string) func(*envoy.Config) error {
		return func(c *envoy.Config) error {
			const virtual = manager + "route_config/virtual_hosts/0"
			host := map[string]any{}
			err := c.Get(virtual, &host)
			host["typed_per_filter_config"] = extensions(map[string]any{"entrypoint": entrypoint})
			return errors.Join(err, c.Set(virtual, host))
		}
	}
	const listed = mirror + "grpc: {context_extensions: {entrypoint: [mirror/other]}}\n"
	for name, c := range map[string]struct {
		settings, entrypoint string
		status               int
	}{
		"listed":         {listed, "mirror/other", http.StatusPaymentRequired},
		"not listed":     {listed, "mirror/decision", http.StatusBadRequest},
		"not configured": {mirror, "mirror/other", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, options{bundles: "testdata/mirror", settings: c.settings, edit: choose(c.entrypoint)})
			got, err := s.get(t.Context(), http.MethodGet, "/a", "")
			if err != nil || got.status != c.status {
				t.Errorf("%d, %v, want %d\n%s", got.status, err, c.status, got.body)
			}
		})
	}
}
