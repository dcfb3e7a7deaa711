// Package alwaysok is the ext_authz server that others are measured against: grpc-go
// and the generated protobuf code as their examples use them, and one answer for
// everything. It allows whatever it is asked: never put it in front of anything.
package alwaysok

import (
	"context"
	"errors"
	"fmt"
	"net"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// server answers every check with the same message, marshaled anew each time.
type server struct {
	authv3.UnimplementedAuthorizationServer
	answer *authv3.CheckResponse
}

// Check implements the service.
func (s server) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return s.answer, nil
}

// Plain is the least answer that allows.
func Plain() *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status:       &rpcstatus.Status{},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
	}
}

// Serve answers every check on l with answer until ctx is done.
func Serve(ctx context.Context, l net.Listener, answer *authv3.CheckResponse) error {
	g := grpc.NewServer()
	authv3.RegisterAuthorizationServer(g, server{answer: answer})
	h := health.NewServer() // SERVING from the start
	healthv1.RegisterHealthServer(g, h)
	stop := context.AfterFunc(ctx, g.Stop)
	defer stop()
	if err := g.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve always-ok: %w", err)
	}
	return nil
}
