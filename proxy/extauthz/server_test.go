package extauthz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/decisionlog"
)

// bundle allows ann, and nobody else, to read one tenant's documents. It reads all
// that a request holds.
const bundle = `
-- entrypoint --
test/decision
-- policy.rego --
package test

default decision := {"allowed": false, "reason": "no_permission"}

decision := {"allowed": true, "reason": "allowed", "tenant": "acme", "roles": ["reader"], "headers": {"x-method": input.attributes.request.http.method}} if {
	input.subject.id == "ann"
	input.route.id == "doc"
	count(input.parsed_path) == 4
}
-- data.json --
{"routes": {"docs": {"prefixes": ["/"], "routes": [
  {"id": "doc", "methods": ["GET"], "path": "/v1/{tenant}/documents/{doc}", "resource": "documents", "action": "read", "tenant": "{tenant}"}]}}}
`

// canary is a token that nothing may write down.
const canary = "canary-0xC0FFEE-token"

// tokens authenticates who sends the canary as ann, and refuses any other token.
type tokens struct{}

func (tokens) Authenticate(_ context.Context, _ policy.View, c proxy.Credentials) (policy.Subject, error) {
	switch values := c.Headers.Values("authorization"); {
	case len(values) == 0:
		return policy.Subject{}, nil
	case len(values) == 1 && values[0] == "Bearer "+canary:
		return policy.Subject{ID: "ann", Type: "user"}, nil
	default:
		return policy.Subject{}, errors.New("signature")
	}
}

func testGate(tb testing.TB, log *zap.Logger, recorders ...proxy.Recorder) *proxy.Gate {
	tb.Helper()
	g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, policytest.Engine(tb, bundle, policy.Config{Timeout: time.Minute}), tokens{}, recorders, nil, time.Now, log)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func checkRequest(path string, headers map[string]string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Id: "1", Method: "GET", Host: "api.example.com", Path: path, Headers: headers},
	}}}
}

// serve runs a server until the test ends and answers a connection to it.
func serve(t *testing.T, s *Server) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	target := s.Addr().String()
	if path, unix := strings.CutPrefix(s.cfg.Addr, "unix://"); unix {
		target = "unix://" + path
		if name, abstract := strings.CutPrefix(path, "@"); abstract {
			target = "unix-abstract:" + name
		}
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		conn.Close()
	}
	t.Cleanup(stop)
	return conn, stop
}

func TestServerAnswersOverTCPAndSockets(t *testing.T) {
	for name, addr := range map[string]string{
		"TCP": "127.0.0.1:0", "a socket": "unix://" + filepath.Join(t.TempDir(), "authz.sock"), "an abstract socket": abstract(t),
	} {
		t.Run(name, func(t *testing.T) {
			conn, _ := serve(t, New(Config{Addr: addr}, testGate(t, zap.NewNop()), zap.NewNop()))
			client := authv3.NewAuthorizationClient(conn)
			for _, c := range []struct {
				path, token string
				code        codes.Code
				status      int32
			}{
				{"/v1/acme/documents/d1", canary, codes.OK, 0},
				{"/v1/acme/documents/d1", "", codes.PermissionDenied, 403},
				{"/v1/acme/documents/d1", "forged", codes.PermissionDenied, 403},
				{"/v1/acme/documents/%2e%2e", canary, codes.PermissionDenied, 400},
				{"/v1/acme/documents/d1?x=%zz", canary, codes.PermissionDenied, 400},
			} {
				headers := map[string]string{"x-rolegate-roles": "owner", "x_rolegate_subject": "root"}
				if c.token != "" {
					headers["authorization"] = "Bearer " + c.token
				}
				r, err := client.Check(t.Context(), checkRequest(c.path, headers))
				if err != nil {
					t.Fatal(err)
				}
				if got := codes.Code(r.GetStatus().GetCode()); got != c.code || int32(r.GetDeniedResponse().GetStatus().GetCode()) != c.status {
					t.Errorf("%s as %q: got %v %v, want %v %d", c.path, c.token, got, r.GetDeniedResponse().GetStatus(), c.code, c.status)
				}
				if c.code == codes.OK && !strings.Contains(r.String(), "x_rolegate_subject") {
					t.Errorf("the client's x_rolegate_subject is not taken out: %v", r)
				}
			}
		})
	}
}

// abstract is the address of a socket that no file is.
func abstract(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has them")
	}
	return fmt.Sprintf("unix://@rolegate-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
}

// TestAbstractSocketsAreTakenOnce: nothing can take the place of one, so a second server
// ends; once the first has, the name is free, and nothing is left of it.
func TestAbstractSocketsAreTakenOnce(t *testing.T) {
	cfg := Config{Addr: abstract(t)}
	first := New(cfg, testGate(t, zap.NewNop()), zap.NewNop())
	_, stop := serve(t, first)
	first.SetReady(true)
	if err := New(cfg, testGate(t, zap.NewNop()), zap.NewNop()).Run(t.Context()); err == nil {
		t.Error("beside the first: got no error")
	}
	stop()
	conn, _ := serve(t, New(cfg, testGate(t, zap.NewNop()), zap.NewNop()))
	if _, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), checkRequest("/", nil)); err != nil {
		t.Errorf("after the first: %v", err)
	}
	if _, err := os.Stat(strings.TrimPrefix(cfg.Addr, "unix://")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
}

func TestHealthFollowsReady(t *testing.T) {
	s := New(Config{Addr: "127.0.0.1:0"}, testGate(t, zap.NewNop()), zap.NewNop())
	conn, stop := serve(t, s)
	state := func() healthv1.HealthCheckResponse_ServingStatus {
		r, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "envoy.service.auth.v3.Authorization"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus()
	}
	if got := state(); got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("before SetReady: got %v", got)
	}
	s.SetReady(true)
	if got := state(); got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("ready: got %v", got)
	}
	s.SetReady(false)
	if got := state(); got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("no longer ready: got %v", got)
	}
	stop()
	s.SetReady(true) // a bundle that arrives while draining changes nothing
}

// TestDrain: a server that ends says so first, and still answers while it waits.
func TestDrain(t *testing.T) {
	s := New(Config{Addr: "127.0.0.1:0", DrainWait: 300 * time.Millisecond}, testGate(t, zap.NewNop()), zap.NewNop())
	conn, stop := serve(t, s)
	s.SetReady(true)
	client := authv3.NewAuthorizationClient(conn)
	watch, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("got %v, %v, want SERVING", r, err)
	}
	ended, began := make(chan struct{}), time.Now()
	go func() { stop(); close(ended) }()
	if r, err := watch.Recv(); err != nil || r.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Fatalf("got %v, %v, want NOT_SERVING", r, err)
	}
	if _, err := client.Check(t.Context(), checkRequest("/", nil)); err != nil {
		t.Errorf("while draining: %v", err)
	}
	if _, err := watch.Recv(); err == nil {
		t.Error("the watch goes on after the server has ended")
	}
	<-ended
	if took := time.Since(began); took > drainLimit {
		t.Errorf("draining took %v: it waited for the watch", took)
	}
}

func TestBadAddressEndsTheProgram(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, addr := range []string{taken.Addr().String(), "nonsense", "unix://relative.sock", "unix:///no/such/folder/x.sock"} {
		s := New(Config{Addr: addr}, testGate(t, zap.NewNop()), zap.NewNop())
		if err := s.Run(t.Context()); err == nil {
			t.Errorf("%s: got no error", addr)
		}
	}
}

// TestPanicsOfOtherServices: who asks for anything but a check is told of an error, and the
// server goes on.
func TestPanicsOfOtherServices(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{}, testGate(t, zap.NewNop()), logTo(&log))
	info := &grpc.UnaryServerInfo{FullMethod: "/x"}
	panics := func(context.Context, any) (any, error) { panic(canary) }
	if answer, err := s.recovered(t.Context(), &healthv1.HealthCheckRequest{}, info, panics); grpcstatus.Code(err) != codes.Internal || answer != nil {
		t.Errorf("got %v, %v, want an internal error", answer, err)
	}
	if strings.Contains(log.String(), canary) || !strings.Contains(log.String(), "server_test.go") {
		t.Errorf("the log must say where, and not what was panicked with: %s", log.String())
	}
	fails := func(_ context.Context, req any) (any, error) { return req, context.Canceled }
	if answer, err := s.recovered(t.Context(), 7, info, fails); answer != 7 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want what was answered", answer, err)
	}
}

// TestTokensAreWrittenNowhere sends tokens in each place, good and bad, and looks for
// them in every response, in every log line and in the decision log.
func TestTokensAreWrittenNowhere(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	records, err := decisionlog.New(decisionlog.Config{Path: path}, nil, logTo(&log))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{}, testGate(t, logTo(&log), records), logTo(&log))
	var responses strings.Builder
	for _, path := range []string{"/v1/acme/documents/d1", "/other?access_token=" + canary, "/a/../b?" + canary, "/a?t=" + canary + ";"} {
		for _, token := range []string{"Bearer " + canary, "Bearer x" + canary, "Basic " + canary, canary + "\x00"} {
			for _, header := range []string{"authorization", "cookie", "x-rolegate-subject"} {
				r, err := s.Check(t.Context(), checkRequest(path, map[string]string{header: token}))
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(&responses, r)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := records.Run(ctx); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"a response": responses.String(), "the log": log.String(), "the decision log": string(written)} {
		if text == "" {
			t.Errorf("%s is empty", where)
		}
		if i := strings.Index(text, canary); i >= 0 {
			t.Errorf("%s holds the token: %s", where, text[max(0, i-200):i+len(canary)])
		}
	}
}

// FuzzCheckRequest: whatever bytes Envoy might send, the answer is a response that
// can be sent, and never an allow for nobody.
func FuzzCheckRequest(f *testing.F) {
	for _, req := range []*authv3.CheckRequest{
		{},
		{Attributes: &authv3.AttributeContext{}},
		checkRequest("", nil),
		checkRequest("/v1/acme/documents/d1?x=1", map[string]string{"authorization": "Bearer t", "X_Rolegate_\xff": "1"}),
	} {
		raw, err := proto.MarshalOptions{AllowPartial: true}.Marshal(req)
		if err != nil {
			raw = []byte{0x0a, 0x02, 0x22, 0x00}
		}
		f.Add(raw)
	}
	g := testGate(f, zap.NewNop())
	s := New(Config{}, g, zap.NewNop())
	f.Fuzz(func(t *testing.T, raw []byte) {
		req := &authv3.CheckRequest{}
		if proto.Unmarshal(raw, req) != nil || strings.Contains(string(raw), canary) {
			return
		}
		r, err := s.Check(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if r.GetStatus().GetCode() == int32(codes.OK) || r.GetOkResponse() != nil {
			t.Errorf("%v is allowed: %v", req, r)
		}
		if _, err := proto.Marshal(r); err != nil {
			t.Errorf("%v: the response cannot be sent: %v", req, err)
		}
		_, _ = newRest(req, nil).document() // whether or not a policy read it
	})
}

func logTo(w *bytes.Buffer) *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(w)), zapcore.DebugLevel))
}
