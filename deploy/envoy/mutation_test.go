package envoy_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rolegate/rolegate/internal/lab/alwaysok"
	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
	"github.com/rolegate/rolegate/internal/lab/upstream"
)

// puppet is an ext_authz server that allows, and sets or removes what the request's
// header x-case says: "set NAME=VALUE" or "remove NAME".
type puppet struct {
	authv3.UnimplementedAuthorizationServer
}

// Check implements the service.
func (puppet) Check(_ context.Context, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	answer := alwaysok.Plain()
	ok := answer.GetOkResponse()
	for _, h := range req.GetAttributes().GetRequest().GetHttp().GetHeaderMap().GetHeaders() {
		if h.GetKey() != "x-case" {
			continue
		}
		verb, what, _ := strings.Cut(string(h.GetRawValue()), " ")
		name, value, _ := strings.Cut(what, "=")
		if verb == "remove" {
			ok.HeadersToRemove = append(ok.HeadersToRemove, name)
			continue
		}
		ok.Headers = append(ok.Headers, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: name, Value: value},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return answer, nil
}

// TestEnvoyRefusesForbiddenMutations has a server that is not rolegate try what
// rolegate never does: the configuration alone must hold.
func TestEnvoyRefusesForbiddenMutations(t *testing.T) {
	url, app := behindPuppet(t)
	for _, c := range []struct {
		mutation string
		status   int
	}{
		{"set x-user=ann", http.StatusOK},
		{"set x-forwarded-user=ann", http.StatusOK},
		{"set traceparent=00-1", http.StatusOK},
		{"remove x-user", http.StatusOK},
		{"set content-length=5", http.StatusInternalServerError},
		{"set transfer-encoding=chunked", http.StatusInternalServerError},
		{"set connection=close", http.StatusInternalServerError},
		{"set keep-alive=timeout", http.StatusInternalServerError},
		{"set te=trailers", http.StatusInternalServerError},
		{"set trailer=x", http.StatusInternalServerError},
		{"set upgrade=h2c", http.StatusInternalServerError},
		{"set proxy-authorization=x", http.StatusInternalServerError},
		{"set host=evil", http.StatusInternalServerError},
		{"set :authority=evil", http.StatusInternalServerError},
		{"set :path=/admin", http.StatusInternalServerError},
		{"set :method=DELETE", http.StatusInternalServerError},
		{"set :scheme=https", http.StatusInternalServerError},
		{"set x-envoy-original-path=/admin", http.StatusInternalServerError},
		{"set x-forwarded-for=10.0.0.1", http.StatusInternalServerError},
		{"set x-forwarded-proto=https", http.StatusInternalServerError},
		{"set x-forwarded-host=evil", http.StatusInternalServerError},
		{"set x-forwarded-port=443", http.StatusInternalServerError},
		{"set x-forwarded-client-cert=By=x", http.StatusInternalServerError},
		{"remove content-length", http.StatusInternalServerError},
		{"remove x-forwarded-for", http.StatusInternalServerError},
		{"set x user=ann", http.StatusInternalServerError},
		// Envoy sends this on, and Go's server refuses it. rolegate does not send it.
		{"set =ann", http.StatusBadRequest},
	} {
		before := app.Served()
		status, seen := post(t, url, c.mutation)
		if status != c.status {
			t.Errorf("%q: %d, want %d", c.mutation, status, c.status)
		}
		if reached := app.Served() - before; reached != 0 != (c.status == http.StatusOK) {
			t.Errorf("%q is %d and reached the application %d times as %v", c.mutation, status, reached, seen)
		}
	}
}

func behindPuppet(t *testing.T) (url string, app *upstream.Echo) {
	t.Helper()
	envoytest.Require(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	authv3.RegisterAuthorizationServer(g, puppet{})
	healthv1.RegisterHealthServer(g, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	app = &upstream.Echo{}
	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	c := shipped(t, "envoy.yaml")
	for _, err := range []error{c.Loopback(), c.Patient(), c.Point("rolegate", l.Addr().String()), c.Point("application", server.Listener.Addr().String())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return envoytest.Start(t, c).URL(), app
}

// post sends ten bytes, so that a smuggled content-length has something to cut.
func post(t *testing.T, url, mutation string) (status int, seen upstream.Seen) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/a", strings.NewReader("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Case", mutation)
	req.Close = true
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		t.Fatalf("%q: %v", mutation, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", mutation, err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &seen); err != nil {
			t.Fatalf("%q: %v in %s", mutation, err, body)
		}
	}
	return resp.StatusCode, seen
}
