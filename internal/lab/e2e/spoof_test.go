package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// impostor is what a client would like the application to believe.
const impostor = "mallory"

// TestSpoofedHeaders sends the headers that only rolegate may set, in every spelling,
// to Envoy as it ships and to one that lets underscores pass: there rolegate alone
// removes them.
func TestSpoofedHeaders(t *testing.T) {
	for name, o := range map[string]options{
		"as shipped":                {},
		"underscores allowed":       {edit: allowUnderscores},
		"headers joined":            {edit: joinHeaders},
		"unix, as shipped":          {unix: true},
		"mtls, as shipped":          {mtls: true},
		"http, as shipped":          {http: true},
		"http, underscores allowed": {http: true, edit: allowUnderscores},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, o)
			signed, err := s.token("ann", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/v1/acme/documents/1", "/healthz"} {
				for _, spoof := range spoofs() {
					spoofOne(t, s, path, signed, spoof, o.edit == nil)
				}
			}
			spoofHTTP2(t, s, signed)
		})
	}
}

// spoofOne sends one block of header lines.
func spoofOne(t *testing.T, s *stack, path, signed, spoof string, rejects bool) {
	t.Helper()
	got, err := s.raw(t.Context(), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer %s\r\nX-Control: %s\r\n%s\r\n",
		path, signed, impostor, spoof))
	if err != nil {
		t.Fatalf("%s with %q: %v", path, spoof, err)
	}
	if rejects && strings.Contains(spoof, "_") {
		if got.status != http.StatusBadRequest {
			t.Errorf("%s with %q is %d, want 400", path, spoof, got.status)
		}
		return
	}
	if got.status != http.StatusOK {
		t.Errorf("%s with %q is %d, want 200\n%s", path, spoof, got.status, got.body)
		return
	}
	checkSpoof(t, path, spoof, got)
}

func checkSpoof(t *testing.T, path, spoof string, got answer) {
	t.Helper()
	// Without this a test whose headers never leave the client would pass.
	if !slices.Contains(got.seen.Header["x-control"], impostor) {
		t.Errorf("%s with %q: an ordinary header did not reach the application: %v", path, spoof, got.seen.Header)
	}
	want := map[string][]string{"x-rolegate-subject": {"ann"}, "x-rolegate-tenant": {"acme"}, "x-rolegate-roles": {"reader"}}
	if path == "/healthz" {
		want = map[string][]string{}
	}
	ours := map[string][]string{}
	for name, values := range got.seen.Header {
		if strings.HasPrefix(strings.ReplaceAll(name, "_", "-"), "x-rolegate-") {
			ours[name] = values
		}
	}
	if diff := cmp.Diff(want, ours); diff != "" {
		t.Errorf("%s with %q: what the application believes (-want +got):\n%s", path, spoof, diff)
	}
}

// spoofs are blocks of header lines.
func spoofs() (blocks []string) {
	line := func(name string) string { return name + ": " + impostor + "\r\n" }
	for _, name := range []string{"x-rolegate-subject", "x-rolegate-tenant", "x-rolegate-roles", "x-rolegate-decision-id", "x-rolegate-admin"} {
		for _, spelled := range spellings(name) {
			blocks = append(blocks,
				"Connection: close\r\n"+line(spelled),
				"Connection: close\r\n"+line(spelled)+line(spelled)+line(strings.ToUpper(spelled)), // duplicates
				"Connection: close, "+spelled+"\r\n"+line(spelled),                                 // nominated as hop-by-hop
			)
		}
	}
	return blocks
}

// spellings of a name that a lax application takes for it.
func spellings(name string) []string {
	title := http.CanonicalHeaderKey(name)
	all := []string{
		name, strings.ToUpper(name), title,
		strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(title, "-", "_"),
	}
	for i := range name { // one underscore each
		if name[i] == '-' {
			all = append(all, name[:i]+"_"+name[i+1:])
		}
	}
	return all
}

// spoofHTTP2 sends the same by HTTP/2, where names are in lower case and a stream
// with underscores is reset when Envoy rejects them.
func spoofHTTP2(t *testing.T, s *stack, signed string) {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	h2 := &stack{envoy: s.envoy, client: &http.Client{Transport: transport, Timeout: patience}}
	header := http.Header{
		"Authorization":      {"Bearer " + signed},
		"X-Control":          {impostor},
		"X-Rolegate-Subject": {impostor, impostor},
		"X-Rolegate-Roles":   {impostor},
		"X-Rolegate-Admin":   {impostor},
	}
	got, err := h2.send(t.Context(), http.MethodGet, "/v1/acme/documents/1", header)
	if err != nil || got.status != http.StatusOK {
		t.Fatalf("by HTTP/2: %d, %v", got.status, err)
	}
	checkSpoof(t, "/v1/acme/documents/1", "HTTP/2", got)
}

func allowUnderscores(c *envoy.Config) error {
	return c.Set("static_resources/listeners/0/filter_chains/0/filters/0/typed_config/common_http_protocol_options/headers_with_underscores_action", "ALLOW")
}

// joinHeaders is Envoy's own default form of headers, and lets underscores pass.
func joinHeaders(c *envoy.Config) error {
	if err := allowUnderscores(c); err != nil {
		return err
	}
	return c.Set("static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/name=envoy.filters.http.ext_authz/typed_config/encode_raw_headers", false)
}
