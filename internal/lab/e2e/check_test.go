package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rolegate/rolegate/internal/lab/load"
)

// TestMalformedChecks asks over gRPC what Envoy never would. None of it is allowed.
func TestMalformedChecks(t *testing.T) {
	s := start(t, options{})
	conn := dial(t, s)
	signed, err := s.token("bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	good := request(t, "GET", "/v1/acme/documents/1", signed)
	if r, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), good); err != nil || r.GetStatus().GetCode() != int32(codes.OK) {
		t.Fatalf("a good check is %v, %v, want OK: all others would be denied for nothing", r, err)
	}
	http := good.GetAttributes().GetRequest().GetHttp()
	for name, req := range map[string]*authv3.CheckRequest{
		"an empty request":    {},
		"empty attributes":    {Attributes: &authv3.AttributeContext{}},
		"an empty request of": {Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{}}},
		"no HTTP (network ext_authz)": {Attributes: &authv3.AttributeContext{
			Source: &authv3.AttributeContext_Peer{Principal: "spiffe://example/ns/a/sa/b"},
		}},
		"empty HTTP": {Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{}}}},
		"no method":  edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.Method = "" }),
		"no path":    edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.Path = "" }),
		"no headers": edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.HeaderMap = nil }),
		"CONNECT":    edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.Method = "CONNECT" }),
		"dot segments, which Envoy resolves": edited(http, func(h *authv3.AttributeContext_HttpRequest) {
			h.Path = "/v1/x/../acme/documents/1"
		}),
		"an encoded slash":   edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.Path = "/v1/acme/documents/1%2f" }),
		"a whole URL":        edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.Path = "http://api/v1/acme/documents/1" }),
		"two hosts":          edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.Host = "api.example.com,evil" }),
		"a host with a user": edited(http, func(h *authv3.AttributeContext_HttpRequest) { h.Host = "u@api.example.com" }),
		"another method's case": edited(http, func(h *authv3.AttributeContext_HttpRequest) {
			h.Method = "get"
		}),
	} {
		notOK(t, name, conn, req)
	}
}

// TestGarbageChecks sends bytes that are no CheckRequest, or only just.
func TestGarbageChecks(t *testing.T) {
	s := start(t, options{})
	conn := dial(t, s)
	deep := []byte{}
	for range 100 { // attributes in attributes in attributes
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), deep)
	}
	for name, raw := range map[string][]byte{
		"nothing":        {},
		"noise":          []byte("\xff\xfe\x00GET / HTTP/1.1\r\n"),
		"truncated":      {0x0a, 0x7f},
		"unknown fields": protowire.AppendString(protowire.AppendTag(nil, 1999, protowire.BytesType), "x"),
		"deep":           deep,
		"256 KiB":        protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), make([]byte, 256<<10)),
	} {
		var r authv3.CheckResponse
		err := conn.Invoke(t.Context(), authv3.Authorization_Check_FullMethodName, &raw, &r, grpc.ForceCodecV2(bytesOut{}))
		if err == nil && r.GetStatus().GetCode() == int32(codes.OK) {
			t.Errorf("%s: %v, which allows", name, &r)
		}
	}
}

// notOK checks that an answer denies as Envoy reads it: it has a status that is not
// OK, and no gRPC error that would leave the choice to Envoy.
func notOK(t *testing.T, name string, conn *grpc.ClientConn, req *authv3.CheckRequest) {
	t.Helper()
	r, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), req)
	switch {
	case err != nil:
		t.Errorf("%s: %v, want a denial: a gRPC error leaves the choice to Envoy", name, err)
	case r.GetStatus().GetCode() == int32(codes.OK):
		t.Errorf("%s: %v, which allows", name, r)
	case r.GetDeniedResponse() == nil:
		t.Errorf("%s: %v, want a denied_response", name, r)
	}
}

// request is a check as the shipped configuration sends it. token may be empty.
func request(t *testing.T, method, path, token string) *authv3.CheckRequest {
	t.Helper()
	headers := &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: ":path", RawValue: []byte(path)}}}
	if token != "" {
		headers.Headers = append(headers.Headers, &corev3.HeaderValue{Key: "authorization", RawValue: []byte("Bearer " + token)})
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{
			Id: "1", Method: method, Path: path, Host: "api.example.com", Scheme: "http", Protocol: "HTTP/1.1", Size: -1, HeaderMap: headers,
		},
	}}}
}

func edited(http *authv3.AttributeContext_HttpRequest, edit func(*authv3.AttributeContext_HttpRequest)) *authv3.CheckRequest {
	c := &authv3.AttributeContext_HttpRequest{
		Id: http.GetId(), Method: http.GetMethod(), Path: http.GetPath(), Host: http.GetHost(),
		Scheme: http.GetScheme(), Protocol: http.GetProtocol(), Size: http.GetSize(), HeaderMap: http.GetHeaderMap(),
	}
	edit(c)
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: c}}}
}

func dial(t *testing.T, s *stack) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.config.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// checks is a load of gRPC checks without Envoy.
type checks struct {
	cancel context.CancelFunc
	done   chan load.Report
	mu     sync.Mutex
	good   int
	faults []string
}

// beginChecks asks in the background until the server is gone.
func beginChecks(t *testing.T, s *stack) *checks {
	t.Helper()
	conn := dial(t, s)
	signed, err := s.token("bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	req := request(t, "GET", "/v1/acme/documents/1", signed)
	ctx, cancel := context.WithCancel(t.Context())
	c := &checks{cancel: cancel, done: make(chan load.Report, 1)}
	go func() {
		c.done <- load.Closed(ctx, workers, func(ctx context.Context, _, _ int) string {
			r, err := authv3.NewAuthorizationClient(conn).Check(ctx, req)
			c.mu.Lock()
			defer c.mu.Unlock()
			if err == nil && r.GetStatus().GetCode() == int32(codes.OK) {
				c.good++
				return "ok"
			}
			// A server that is gone refuses connections; that is no check lost. One that
			// was accepted and not answered is.
			if status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), "connect: connection refused") {
				return "gone"
			}
			c.faults = append(c.faults, fmt.Sprintf("%s %v, %v", time.Now().Format(time.StampMicro), r, err))
			return "fault"
		})
	}()
	t.Cleanup(cancel)
	return c
}

func (c *checks) more(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		good := c.good
		c.mu.Unlock()
		if good >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d good checks within %s, want %d", good, patience, n)
		}
	}
}

func (c *checks) end(t *testing.T) {
	t.Helper()
	c.cancel()
	t.Log(<-c.done)
	for _, fault := range c.faults {
		t.Errorf("a check was lost: %s", fault)
	}
}
