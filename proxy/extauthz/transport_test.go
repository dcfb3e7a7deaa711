package extauthz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
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

// TestCompression: grpc-go reads what is compressed; the loop, which does not, denies it.
func TestCompression(t *testing.T) {
	for transport, want := range map[string]codes.Code{"": codes.PermissionDenied, TransportGRPC: codes.OK} {
		conn, _ := serve(t, New(Config{Addr: "127.0.0.1:0", Transport: transport}, testGate(t, zap.NewNop()), zap.NewNop()))
		req := checkRequest("/v1/acme/documents/d1", map[string]string{"authorization": "Bearer " + canary})
		r, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), req, grpc.UseCompressor(gzip.Name))
		if got := codes.Code(r.GetStatus().GetCode()); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", transport, r, err, want)
		}
	}
}

// TestWhichConnections: what is not there is said so where it is asked; another service that
// is there has a connection of its own.
func TestWhichConnections(t *testing.T) {
	s := New(Config{Addr: "127.0.0.1:0"}, testGate(t, zap.NewNop()), zap.NewNop())
	_, _ = serve(t, s)
	var dials atomic.Int64
	conn, err := grpc.NewClient(s.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), checkRequest("/", nil)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, method := range []string{"/envoy.service.auth.v3.Authorization/Allow", "/envoy.service.auth.v2.Authorization/Check", "/x"} {
			if err := conn.Invoke(t.Context(), method, &authv3.CheckRequest{}, &authv3.CheckResponse{}); grpcstatus.Code(err) != codes.Unimplemented {
				t.Errorf("%s: got %v, want %v", method, err, codes.Unimplemented)
			}
		}
	}
	if got := dials.Load(); got != 1 {
		t.Errorf("of what is not there: got %d connections, want 1", got)
	}
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := dials.Load(); got != 2 {
		t.Errorf("of another service: got %d connections, want 2", got)
	}
}

// TestStopWaitsForWhatIsUnderWay, as long as it may, and says whether that has ended by itself.
func TestStopWaitsForWhatIsUnderWay(t *testing.T) {
	for _, kind := range []string{"", TransportGRPC} {
		for _, open := range []string{"nothing", "check", "watch"} {
			t.Run(fmt.Sprintf("%q with %s", kind, open), func(t *testing.T) {
				s := New(Config{Addr: "127.0.0.1:0", Transport: kind}, testGate(t, zap.NewNop()), zap.NewNop())
				if err := s.Listen(t.Context()); err != nil {
					t.Fatal(err)
				}
				tr := s.transport(t.Context()) // so watches do not end
				served := make(chan error, 1)
				go func() { served <- tr.Serve(s.listener) }()
				conn, err := grpc.NewClient(s.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				ended := func() error { return io.EOF }
				switch open {
				case "nothing":
					_, err = authv3.NewAuthorizationClient(conn).Check(t.Context(), checkRequest("/", nil))
				case "check": // one that is never sent
					var stream grpc.ClientStream
					stream, err = conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, authv3.Authorization_Check_FullMethodName)
					ended = func() error { return stream.RecvMsg(&authv3.CheckResponse{}) }
				case "watch":
					var stream grpc.ServerStreamingClient[healthv1.HealthCheckResponse]
					if stream, err = healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{}); err == nil {
						_, err = stream.Recv()
						ended = func() error {
							_, err := stream.Recv()
							return err
						}
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				if open == "check" { // its headers have come when what was sent after them is answered
					if _, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), checkRequest("/", nil)); err != nil {
						t.Fatal(err)
					}
				}
				const limit = 100 * time.Millisecond
				if got, want := tr.Stop(limit), open == "nothing"; got != want {
					t.Errorf("it has ended by itself: got %v, want %v", got, want)
				}
				if err := <-served; err != nil {
					t.Errorf("Serve: %v", err)
				}
				if err := ended(); err == nil {
					t.Error("what was under way goes on")
				}
			})
		}
	}
}

// TestNothingIsServedWithoutAListener: when its listener fails the server ends, with the
// connections that it has.
func TestNothingIsServedWithoutAListener(t *testing.T) {
	for _, kind := range []string{"", TransportGRPC} {
		t.Run(kind, func(t *testing.T) {
			s := New(Config{Addr: "127.0.0.1:0", Transport: kind}, testGate(t, zap.NewNop()), zap.NewNop())
			if err := s.Listen(t.Context()); err != nil {
				t.Fatal(err)
			}
			ran := make(chan error, 1)
			go func() { ran <- s.Run(t.Context()) }()
			conn, err := grpc.NewClient(s.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			client := authv3.NewAuthorizationClient(conn)
			if _, err := client.Check(t.Context(), checkRequest("/", nil)); err != nil {
				t.Fatal(err)
			}
			s.listener.Close()
			if err := <-ran; !errors.Is(err, net.ErrClosed) {
				t.Errorf("Run: got %v, want %v", err, net.ErrClosed)
			}
			if _, err := client.Check(t.Context(), checkRequest("/", nil)); grpcstatus.Code(err) != codes.Unavailable {
				t.Errorf("afterwards: got %v, want %v", err, codes.Unavailable)
			}
		})
	}
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
