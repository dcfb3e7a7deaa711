package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestHTTPHop sends what is about the client's connection, and what could be taken for a
// part of the check: Envoy's HTTP service makes a new message of a request's headers. It
// must stay one check, with the answer that the request deserves.
func TestHTTPHop(t *testing.T) {
	s := start(t, options{http: true})
	tokens := map[int]string{}
	for status, user := range map[int]string{http.StatusOK: "bob", http.StatusForbidden: "eve"} {
		signed, err := s.token(user, nil)
		if err != nil {
			t.Fatal(err)
		}
		tokens[status] = signed
	}
	const chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for _, c := range []struct{ method, rest string }{
		{"GET", "\r\n"},
		{"GET", "Connection: keep-alive, te\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\n\r\n"},
		{"GET", "Expect: 100-continue\r\n\r\n"},
		{"GET", "Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\n\r\n"},
		{"GET", "X-Envoy-Expected-Rq-Timeout-Ms: 1\r\nX-Envoy-Auth-Partial-Body: true\r\n\r\n"},
		{"GET", "X-Envoy-Auth-Headers-To-Remove: authorization\r\n\r\n"},
		{"PUT", "Content-Length: 5\r\n\r\nhello"},
		{"PUT", "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"},
		{"PUT", chunked},
		{"PUT", "Trailer: x-rolegate-roles\r\n" + strings.Replace(chunked, "0\r\n\r\n", "0\r\nx-rolegate-roles: owner\r\n\r\n", 1)},
		{"DELETE", "Content-Length: 0\r\n\r\n"},
	} {
		for want, token := range tokens {
			before := s.app.Served()
			got, err := s.raw(t.Context(), fmt.Sprintf("%s /v1/acme/documents/1 HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer %s\r\n%s", c.method, token, c.rest))
			if err != nil {
				t.Errorf("%s with %q: %v", c.method, c.rest, err)
				continue
			}
			if got.status != want {
				t.Errorf("%s with %q is %d, want %d\n%s", c.method, c.rest, got.status, want, got.body)
			}
			if reached := s.app.Served() - before; reached != 0 != (want == http.StatusOK) {
				t.Errorf("%s with %q is %d and reached the application %d times", c.method, c.rest, got.status, reached)
			}
			if want == http.StatusOK && got.seen.Header["authorization"] == nil {
				t.Errorf("%s with %q: the application did not get the client's own headers: %v", c.method, c.rest, got.seen.Header)
			}
		}
	}
}

// TestHTTPFailsClosed turns on the setting that nobody should, over HTTP: what rolegate
// denies stays denied, because none of it is 5xx; but "OPTIONS *", which Go's own server
// would answer, is one of the things that must not slip through.
func TestHTTPFailsClosed(t *testing.T) {
	s := start(t, options{http: true, edit: failOpen})
	for user, want := range map[string]int{"ann": http.StatusOK, "eve": http.StatusForbidden, "": http.StatusUnauthorized} {
		if got, err := s.get(t.Context(), http.MethodGet, "/v1/acme/documents/1", user); err != nil || got.status != want {
			t.Errorf("%q gets %d, %v, want %d", user, got.status, err, want)
		}
	}
	for _, line := range []string{"OPTIONS *", "GET *", "OPTIONS /", "GET /nowhere", "TRACE /v1/acme/documents/1", "GET //", "GET /?x=%zz", "GET /v1/acme/documents/%zz"} {
		before := s.app.Served()
		got, err := s.raw(t.Context(), line+" HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got.status < 400 || got.status > 499 || s.app.Served() != before {
			t.Errorf("%s is %d and reached the application %d times, want a denial", line, got.status, s.app.Served()-before)
		}
	}
}

// TestHTTPTerm ends rolegate as an orchestrator does, with checks under way: clients get
// an answer or 503, and rolegate ends well. Then another one takes over its address.
func TestHTTPTerm(t *testing.T) {
	s := start(t, options{http: true, hold: deniedNever(t)})
	tr := begin(t, s)
	tr.more(t, "bob 200", 50)
	if err := s.gate.Stop(); err != nil { // waits for the end
		t.Errorf("rolegate ended with %v, want exit code 0", err)
	}
	tr.more(t, "bob 503", 5)
	s.startGate(t)
	tr.more(t, "bob 200", 50)
	tr.end(t, "bob 200", "bob 503", "eve 403", "eve 503")
}
