package reverse_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/reverse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle allows ann everything, and everybody what is below /open/. Below /login/ it
// sends to a login page, below /own/ it answers for itself.
const bundle = `
-- entrypoint --
test/decision
-- policy.rego --
package test

default decision := {"allowed": false, "reason": "no_permission"}

decision := {
	"allowed": true, "tenant": "acme", "roles": ["reader", "wr,iter"],
	"headers": {"X-Plan": ["gold", "silver"]},
	"response_headers_to_add": {"x-seen": "yes"},
	"request_headers_to_remove": ["cookie"],
	"query_parameters_to_set": {"page": "12"}, "query_parameters_to_remove": ["debug"],
} if input.subject.id == "ann"

decision := {"allowed": true} if {
	input.parsed_path[0] == "open"
	not input.subject
	input.attributes.request.http.method == "GET"
}

decision := {"allowed": false, "http_status": 302, "headers": {"location": "https://login.example.com/"}} if input.parsed_path[0] == "login"

decision := {"allowed": false, "http_status": 404, "body": "<script>", "headers": {"x-why": "own"}} if input.parsed_path[0] == "own"
-- data.json --
{"routes": {"s": {"prefixes": ["/"], "routes": [{"id": "all", "methods": ["*"], "path": "/{rest...}", "public": true}]}}}
`

const canary = "canary-0xC0FFEE-token"

type tokens struct{}

func (tokens) Authenticate(_ context.Context, _ policy.View, c proxy.Credentials) (policy.Subject, error) {
	if slices.Equal(c.Headers.Values("authorization"), []string{"Bearer " + canary}) {
		return policy.Subject{ID: "ann", Type: "user"}, nil
	}
	return policy.Subject{}, nil
}

// upstream remembers the requests that reach it.
type upstream struct {
	mu   sync.Mutex
	seen []*http.Request
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen = append(u.seen, r)
	fmt.Fprint(w, "from upstream")
}

func (u *upstream) take() (seen []*http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen, u.seen = u.seen, nil
	return seen
}

// start runs a proxy before an upstream, and answers its address and its log.
func start(t *testing.T) (addr string, u *upstream, log *bytes.Buffer) {
	t.Helper()
	u, log = &upstream{}, &bytes.Buffer{}
	behind := httptest.NewServer(u)
	t.Cleanup(behind.Close)
	return serve(t, behind.URL, log), u, log
}

func serve(t *testing.T, behind string, log *bytes.Buffer) string {
	t.Helper()
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(log)), zapcore.DebugLevel))
	gate, err := proxy.New(proxy.Config{MaxTime: time.Minute}, policytest.Engine(t, bundle, policy.Config{Timeout: time.Minute}), tokens{}, nil, nil, time.Now, logger)
	if err != nil {
		t.Fatal(err)
	}
	h, err := reverse.New(reverse.Config{Upstream: behind}, gate, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

type answer struct {
	StatusCode int
	Header     http.Header
}

// send writes bytes as they are, and answers what comes back.
func send(t *testing.T, addr, raw string) (res answer, body string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return answer{StatusCode: response.StatusCode, Header: response.Header}, string(text)
}

func get(target string, headers ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n" + strings.Join(append(headers, "", ""), "\r\n")
}

// What is allowed reaches the upstream as it was sent; what is refused reaches it
// never.
func TestTargets(t *testing.T) {
	addr, u, _ := start(t)
	for _, c := range []struct {
		target string
		status int
	}{
		{"/open", 200},
		{"/open/", 200},
		{"/open/a%20b;c=%41,d", 200},
		{"/open/%C3%A9?x=1&&y=%2F&z", 200},
		{"/open?", 200},
		{"/%6Fpen/x", 200},
		{"/open/a?q=/../x//", 200},
		{"/closed", 403},
		{"/open/../closed", 400},
		{"/open/%2e%2e/closed", 400},
		{"/open/..;/closed", 400},
		{"//open/x", 400},
		{"/open//x", 400},
		{"/open/a%2Fb", 400},
		{"/open/a%5Cb", 400},
		{"/open/%zz", 400},
		{"/open/%2500", 400},
		{"/open/%00", 400},
		{"/open?x=1;y=2", 400},
		{"/open?x=%zz", 400},
		{"http://evil.example.com/open", 400},
		{"*", 400},
	} {
		res, _ := send(t, addr, get(c.target))
		seen := u.take()
		if res.StatusCode != c.status {
			t.Errorf("%s: got %d, want %d", c.target, res.StatusCode, c.status)
		}
		switch {
		case c.status != 200 && len(seen) > 0:
			t.Errorf("%s: refused with %d and forwarded as %s", c.target, c.status, seen[0].RequestURI)
		case c.status == 200 && (len(seen) != 1 || seen[0].RequestURI != c.target || seen[0].Host != "api.example.com"):
			t.Errorf("%s: the upstream saw %v, want the same target and host", c.target, seen)
		}
	}
}

// What would make a second, unchecked request of a checked one is refused.
func TestTunnelsAreRefused(t *testing.T) {
	addr, u, _ := start(t)
	for name, raw := range map[string]string{
		"websocket":       "GET /open HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"lonely upgrade":  "GET /open HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n",
		"h2c":             "GET /open HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
		"connect":         "CONNECT open:443 HTTP/1.1\r\nHost: open:443\r\n\r\n",
		"nominated":       "GET /open HTTP/1.1\r\nHost: h\r\nConnection: close, X-Rolegate-Subject\r\n\r\n",
		"nominated token": "GET /open HTTP/1.1\r\nHost: h\r\nConnection: authorization\r\nAuthorization: Bearer " + canary + "\r\n\r\n",
		"empty host":      "GET /open HTTP/1.1\r\nHost:\r\n\r\n",
		"host with user":  "GET /open HTTP/1.1\r\nHost: a@b\r\n\r\n",
	} {
		res, _ := send(t, addr, raw)
		if res.StatusCode != 400 || len(u.take()) > 0 {
			t.Errorf("%s: got %d, want 400 and nothing at the upstream", name, res.StatusCode)
		}
	}
}

// TestIdentityHeaders: whatever the client sends under our names, in any case, more
// than once or with underscores, the upstream sees ours or none.
func TestIdentityHeaders(t *testing.T) {
	addr, u, _ := start(t)
	own := map[string]string{"X-Rolegate-Subject": "ann", "X-Rolegate-Tenant": "acme", "X-Rolegate-Roles": "reader,wr%2Citer"}
	for _, name := range []string{"Subject", "Tenant", "Roles", "Decision-Id", "Anything"} {
		for _, spelling := range []string{"x-rolegate-" + name, "X-ROLEGATE-" + strings.ToUpper(name), "X_Rolegate_" + name, "x-rolegate_" + strings.ToLower(name)} {
			for _, token := range []string{"", "Authorization: Bearer " + canary} {
				headers := []string{spelling + ": root", spelling + ": admin", "X-Kept: 1", "Cookie: c=1"}
				if token != "" {
					headers = append(headers, token)
				}
				res, body := send(t, addr, get("/open/x", headers...))
				seen := u.take()
				if res.StatusCode != 200 || len(seen) != 1 {
					t.Fatalf("%s: got %d %s", spelling, res.StatusCode, body)
				}
				got := map[string]string{}
				for header, values := range seen[0].Header {
					if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(header), "_", "-"), "x-rolegate") {
						got[header] = strings.Join(values, "|")
					}
				}
				want := map[string]string{}
				if token != "" {
					want = own
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s with %q (-want +upstream):\n%s", spelling, token, diff)
				}
				if seen[0].Header.Get("X-Kept") != "1" {
					t.Errorf("%s: another header is lost: %v", spelling, seen[0].Header)
				}
			}
		}
	}
}

func TestPolicyHeadersAndParameters(t *testing.T) {
	addr, u, _ := start(t)
	res, body := send(t, addr, get("/x?a=1&page=9&debug=1&%64ebug=2&b=%20", "Authorization: Bearer "+canary, "X-Plan: stolen", "Cookie: c=1",
		"X-Forwarded-For: 6.6.6.6", "X_Forwarded_Client_Cert: By=root", "Forwarded: for=6.6.6.6"))
	seen := u.take()
	if res.StatusCode != 200 || body != "from upstream" || len(seen) != 1 {
		t.Fatalf("got %d %q", res.StatusCode, body)
	}
	r := seen[0]
	if got, want := r.RequestURI, "/x?a=1&b=%20&page=12"; got != want {
		t.Errorf("got target %s, want %s", got, want)
	}
	if got := r.Header["X-Plan"]; !slices.Equal(got, []string{"gold", "silver"}) {
		t.Errorf("got x-plan %q, want the policy's", got)
	}
	if r.Header.Get("Cookie") != "" || r.Header.Get("Forwarded") != "" || r.Header["X_forwarded_client_cert"] != nil {
		t.Errorf("the upstream sees what was to be taken out: %v", r.Header)
	}
	if got := r.Header.Get("X-Forwarded-For"); got != "127.0.0.1" {
		t.Errorf("got x-forwarded-for %q, want the client's address", got)
	}
	if res.Header.Get("X-Seen") != "yes" {
		t.Errorf("the response lacks the policy's header: %v", res.Header)
	}
}

func TestDenials(t *testing.T) {
	addr, _, _ := start(t)
	res, body := send(t, addr, get("/closed"))
	id := res.Header.Get("X-Rolegate-Decision-Id")
	if want := `{"error":"forbidden","decision_id":"` + id + `"}`; res.StatusCode != 403 || len(id) != 32 || body != want {
		t.Errorf("got %d %s, want 403 %s", res.StatusCode, body, want)
	}
	if res, _ = send(t, addr, get("/login/x")); res.StatusCode != 302 || res.Header.Get("Location") != "https://login.example.com/" {
		t.Errorf("got %d %v, want a redirect", res.StatusCode, res.Header)
	}
	res, body = send(t, addr, get("/own/x"))
	if res.StatusCode != 404 || body != "<script>" || res.Header.Get("X-Why") != "own" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("got %d %q %v, want the policy's own answer as text", res.StatusCode, body, res.Header)
	}
}

// What stands after the body was checked by nobody.
func TestTrailersEnd(t *testing.T) {
	addr, u, _ := start(t)
	raw := "POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer " + canary +
		"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Rolegate-Subject\r\n\r\n1\r\na\r\n0\r\nX-Rolegate-Subject: root\r\n\r\n"
	res, _ := send(t, addr, raw)
	seen := u.take()
	if res.StatusCode != 200 || len(seen) != 1 {
		t.Fatalf("got %d", res.StatusCode)
	}
	if len(seen[0].Trailer) > 0 || seen[0].Header.Get("X-Rolegate-Subject") != "ann" {
		t.Errorf("the upstream sees trailers %v and headers %v", seen[0].Trailer, seen[0].Header)
	}
}

func TestUpstreamFailures(t *testing.T) {
	var log bytes.Buffer
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	res, body := send(t, serve(t, dead.URL, &log), get("/open"))
	if res.StatusCode != 502 || !strings.Contains(body, `"error":"bad_gateway"`) {
		t.Errorf("got %d %s, want 502", res.StatusCode, body)
	}
	for _, head := range []string{"Connection: Upgrade\r\nUpgrade: x\r\n", ""} {
		switching := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\n"+head+"\r\n")
			_ = buf.Flush()
		}))
		if res, _ := send(t, serve(t, switching.URL, &log), get("/open")); res.StatusCode != 502 {
			t.Errorf("an upstream that switches protocols with %q: got %d, want 502", head, res.StatusCode)
		}
		switching.Close()
	}
}

func TestTokensAreWrittenNowhere(t *testing.T) {
	addr, _, log := start(t)
	for _, target := range []string{"/closed", "/a/../b", "/x?token=" + canary} {
		for _, header := range []string{"Authorization: Bearer x" + canary, "Cookie: " + canary, "X-Rolegate-Subject: " + canary} {
			res, body := send(t, addr, get(target, header))
			if strings.Contains(body+fmt.Sprint(res.Header), canary) {
				t.Errorf("%s with %s: the response holds the token", target, header)
			}
		}
	}
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log holds the token: %s", log)
	}
}

func TestUpstreamIsChecked(t *testing.T) {
	for _, upstream := range []string{"", "localhost:80", "ftp://h", "http://", "http://h/base", "http://h?q", "http://u:p@h", "http://h/#f"} {
		if _, err := reverse.New(reverse.Config{Upstream: upstream}, nil, zap.NewNop()); err == nil {
			t.Errorf("%q is accepted", upstream)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the error holds the password: %v", upstream, err)
		}
	}
}
