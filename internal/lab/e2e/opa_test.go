package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// plugin is the configuration of somebody who ran opa-envoy-plugin.
const plugin = `
plugins:
  envoy_ext_authz_grpc:
    path: envoy/authz/allow
`

// TestOPAEnvoyPlugin runs a policy written for opa-envoy-plugin, and its configuration,
// behind a real Envoy that lets requests pass when an answer fails: there each of what
// is denied here for want of an answer would pass.
func TestOPAEnvoyPlugin(t *testing.T) {
	s := start(t, options{bundles: "testdata/opa", settings: plugin, edit: sendBody(map[string]any{"failure_mode_allow": true}, false)})
	signed, err := s.token("ann", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, path, token, body string
		status                          int
		upstream, client                map[string]string // headers
		says                            string            // to a denied client
	}{
		{name: "public", path: "/public/x", status: 200},
		{name: "public, with a token that is none", path: "/public/x", token: "garbage", status: 200},
		{name: "a header for the application and one for the client", path: "/people/1", token: signed, status: 200, upstream: map[string]string{"x-user": "ann"}, client: map[string]string{"X-Decided": "yes"}},
		{name: "an answer of the policy's", path: "/people/1", status: 401, says: "log in", client: map[string]string{"Www-Authenticate": "Basic", "Set-Cookie": "a=1,b=2"}},
		{name: "no", path: "/other", status: 403},
		{name: "a body", method: "POST", path: "/orders", body: `{"amount": 99}`, status: 200},
		{name: "another body", method: "POST", path: "/orders", body: `{"amount": 100}`, status: 403},
		{name: "a body that is cut", method: "POST", path: "/orders", body: `{"amount": 1, "note": "` + strings.Repeat("x", 64) + `"}`, status: 403},
		{name: "a body that is none", method: "POST", path: "/orders", body: `{"amount": 1`, status: 400, says: "request_parse_error"},
		{name: "a query that is none", path: "/public?x=%zz", status: 400, says: "request_parse_error"},
		{name: "a header of the wrong type", path: "/broken", status: 403},
		{name: "a word", path: "/word", status: 403},
		{name: "a denial with the status of a success", path: "/cached", status: 200, says: "cached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{"Content-Type": {"application/json"}, "X-User": {impostor}}
			if c.token != "" {
				header.Set("Authorization", "Bearer "+c.token)
			}
			before := s.app.Served()
			got, err := s.ask(t.Context(), c.method, c.path, c.body, header)
			if err != nil {
				t.Fatal(err)
			}
			passes := c.status == http.StatusOK && c.says == ""
			if reached := s.app.Served() > before; got.status != c.status || reached != passes {
				t.Errorf("got %d, reached the application: %t, want %d: %s", got.status, reached, c.status, got.body)
			}
			if !passes && (!strings.HasPrefix(got.body, c.says) || strings.Contains(got.body, "amount")) {
				t.Errorf("the client is told %q, want %q", got.body, c.says)
			}
			for name, want := range c.upstream {
				if v := strings.Join(got.seen.Header[name], ","); v != want {
					t.Errorf("the application's %s is %q, want %q", name, v, want)
				}
			}
			for name, want := range c.client {
				if v := strings.Join(got.header[name], ","); v != want {
					t.Errorf("the client's %s is %q, want %q", name, v, want)
				}
			}
		})
	}
}

// TestOPAEnvoyPluginOnAnAbstractSocket: the address of a socket that is no file, and a
// bound of messages: what is larger is denied, even by an Envoy that allows whatever fails.
func TestOPAEnvoyPluginOnAnAbstractSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has abstract sockets")
	}
	const limit, shown = 16 << 10, 64 << 10
	settings := plugin + fmt.Sprintf("    grpc-max-recv-msg-size: %d\n", limit)
	s := start(t, options{bundles: "testdata/opa", settings: settings, abstract: true, edit: func(c *envoy.Config) error {
		filter := map[string]any{}
		err := c.Get(authz, &filter)
		filter["failure_mode_allow"] = true
		filter["with_request_body"] = map[string]any{"max_request_bytes": shown, "allow_partial_message": true}
		return errors.Join(err, c.Set(authz, filter))
	}})
	for size, status := range map[int]int{0: 200, limit / 2: 200, limit: 400, 2 * shown: 400} {
		before := s.app.Served()
		got, err := s.ask(t.Context(), http.MethodPost, "/public/x", strings.Repeat("x", size), http.Header{})
		if err != nil {
			t.Fatal(err)
		}
		if reached := s.app.Served() > before; got.status != status || reached != (status == 200) {
			t.Errorf("a body of %d bytes: got %d, reached the application: %t, want %d", size, got.status, reached, status)
		}
	}
}

// ask sends a request with a body.
func (s *stack) ask(ctx context.Context, method, path, body string, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.envoy.URL()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = header
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
	_ = json.Unmarshal(text, &a.seen) // a denial may have the status of a success
	return a, err
}
