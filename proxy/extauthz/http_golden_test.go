package extauthz

import (
	"bufio"
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestHTTPRequests: checks as the HTTP service gets them, and what the gate is given.
func TestHTTPRequests(t *testing.T) {
	golden(t, "http-requests", func(t *testing.T, input []byte) any {
		t.Helper()
		// A case is text; on the wire lines end otherwise.
		head, body, _ := bytes.Cut(input, []byte("\n\n"))
		wire := slices.Concat(bytes.ReplaceAll(head, []byte("\n"), []byte("\r\n")), []byte("\r\n\r\n"), bytes.TrimSuffix(body, []byte("\n")))
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil {
			t.Fatal(err)
		}
		target, ok := asked("/ext_authz", r.RequestURI)
		if !ok {
			return map[string]any{"asked": false}
		}
		in := httpInbound(r, target, nil)
		headers := map[string][]string{}
		for name := range in.HeaderNames {
			if values := in.Credentials.Headers.Values(name); values != nil {
				headers[name] = values
			}
		}
		shown := map[string]any{
			"protocol": in.Protocol, "method": in.Method, "host": in.Host, "path": in.Path, "query_of_credentials": in.Credentials.Path,
			"principal": in.Credentials.Principal, "headers": headers, "malformed": in.Malformed,
		}
		rest, _, err := in.Rest.Lookup(nil)
		if err != nil {
			shown["unread"] = err.Error()
		} else if shown["rest"], err = ast.JSON(rest); err != nil {
			t.Fatal(err)
		}
		return shown
	})
}

// TestHTTPResponses: the cases of the gRPC service, said in HTTP.
func TestHTTPResponses(t *testing.T) {
	golden(t, "http-responses", func(t *testing.T, input []byte) any {
		t.Helper()
		r, fault := httpResponse(readAnswer(t, input))
		headers := map[string][]string{}
		for _, h := range r.headers {
			headers[h.Name] = append(headers[h.Name], h.Value)
		}
		return map[string]any{"status": r.status, "headers": headers, "body": r.body, "fault": fault}
	})
}

// TestPrefix: what is below the prefix is asked about, byte for byte.
func TestPrefix(t *testing.T) {
	for _, c := range []struct{ prefix, uri, target string }{
		{"/ext_authz", "/ext_authz/v1/x?y=/z", "/v1/x?y=/z"},
		{"/ext_authz", "/ext_authz//v1", "//v1"},
		{"/ext_authz", "/ext_authz/", "/"},
		{"/ext_authz", "/ext_authz/../x", "/../x"},
		{"", "/a", "/a"},
		{"", "*", "*"},
		{"", "http://h/a", "http://h/a"},
	} {
		if got, ok := asked(c.prefix, c.uri); !ok || got != c.target {
			t.Errorf("%q below %q: got %q, %t, want %q", c.uri, c.prefix, got, ok, c.target)
		}
	}
	for _, uri := range []string{"", "/", "*", "/ext_authz", "/ext_authz?x", "/ext_authz*", "/ext_authzz/a", "//ext_authz/a", "/Ext_authz/a", "/ext%5fauthz/a", "/x/../ext_authz/a", "http://h/ext_authz/a"} {
		if got, ok := asked("/ext_authz", uri); ok {
			t.Errorf("%q is taken for %q, want it not to be asked about", uri, got)
		}
	}
	for prefix, want := range map[string]bool{
		"/": true, "/a": true, "/a/": true, "/a-b_c.d/E9": true,
		"a": false, "//": false, "/a//b": false, "/../a": false, "/.": false, "/a%20": false, "/a?b": false, "/é": false, "/a b": false, "": false,
	} {
		if got := plainPrefix(prefix); got != want {
			t.Errorf("prefix %q: got %t, want %t", prefix, got, want)
		}
	}
}

// TestHopHeaders: none of them is seen by identity, in any case.
func TestHopHeaders(t *testing.T) {
	all := http.Header{}
	for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", "Proxy-Authorization", "X-Kept"} {
		all.Set(name, "v")
	}
	var seen []string
	for name := range maps.Keys(all) {
		if copies(all).Values(strings.ToLower(name)) != nil {
			seen = append(seen, name)
		}
	}
	if !slices.Equal(seen, []string{"X-Kept"}) {
		t.Errorf("got %q, want only X-Kept", seen)
	}
}
