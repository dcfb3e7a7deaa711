package extauthz

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	grpcstatus "google.golang.org/grpc/status"
)

// TestTransports: whoever speaks HTTP/2, each service is there on each connection, and what
// is not there is said to be unimplemented.
func TestTransports(t *testing.T) {
	for _, transport := range []string{"", TransportGRPC} {
		for _, first := range []string{"check", "health", "reflection"} {
			t.Run(fmt.Sprintf("%q begins with %s", transport, first), func(t *testing.T) {
				s := New(Config{Addr: "127.0.0.1:0", Transport: transport, Reflection: true}, testGate(t, zap.NewNop()), zap.NewNop())
				conn, _ := serve(t, s)
				s.SetReady(true)
				calls := map[string]func(context.Context) error{
					"check": func(ctx context.Context) error {
						r, err := authv3.NewAuthorizationClient(conn).Check(ctx, checkRequest("/v1/acme/documents/d1", map[string]string{"authorization": "Bearer " + canary}))
						if err == nil && r.GetOkResponse() == nil {
							return fmt.Errorf("denied: %v", r)
						}
						return err
					},
					"health": func(ctx context.Context) error {
						_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
						return err
					},
					"reflection": func(ctx context.Context) error { return reflect(ctx, conn) },
				}
				if err := calls[first](t.Context()); err != nil {
					t.Errorf("%s, at first: %v", first, err)
				}
				for name, call := range calls {
					if err := call(t.Context()); err != nil {
						t.Errorf("%s, then: %v", name, err)
					}
				}
				for _, method := range []string{"/envoy.service.auth.v3.Authorization/Allow", "/envoy.service.auth.v2.Authorization/Check", "/x"} {
					err := conn.Invoke(t.Context(), method, &authv3.CheckRequest{}, &authv3.CheckResponse{})
					if got := grpcstatus.Code(err); got != codes.Unimplemented {
						t.Errorf("%s: got %v, want %v", method, err, codes.Unimplemented)
					}
				}
			})
		}
	}
}

// reflect asks which services there are.
func reflect(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return stream.CloseSend()
}

func TestUnknownTransport(t *testing.T) {
	err := New(Config{Addr: "127.0.0.1:0", Transport: "quic"}, testGate(t, zap.NewNop()), zap.NewNop()).Listen(t.Context())
	if err == nil || !strings.Contains(err.Error(), `grpc.transport is "quic", want grpc-go or nothing`) {
		t.Errorf("got %v", err)
	}
}

// TestAgingLosesNothing: connections that are asked to end while checks come without a pause
// lose none of them.
func TestAgingLosesNothing(t *testing.T) {
	for _, transport := range []string{"", TransportGRPC} {
		t.Run(transport, func(t *testing.T) {
			conn, _ := serve(t, New(Config{Addr: "127.0.0.1:0", Transport: transport, MaxConnectionAge: 30 * time.Millisecond}, testGate(t, zap.NewNop()), zap.NewNop()))
			client := authv3.NewAuthorizationClient(conn)
			var wg sync.WaitGroup
			var asked atomic.Int64
			for end := time.Now().Add(500 * time.Millisecond); asked.Load() == 0 || time.Now().Before(end); {
				for range 16 {
					wg.Go(func() {
						asked.Add(1)
						if _, err := client.Check(t.Context(), checkRequest("/", nil)); err != nil {
							t.Errorf("check %d: %v", asked.Load(), err)
						}
					})
				}
				wg.Wait()
			}
		})
	}
}
