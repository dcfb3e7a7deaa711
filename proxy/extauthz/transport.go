package extauthz

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

// TransportGRPC has grpc-go speak HTTP/2 on every connection.
const TransportGRPC = "grpc-go"

// transport serves what a listener accepts, until it is stopped.
type transport interface {
	// Serve answers nil once it was stopped.
	Serve(l net.Listener) error
	// Stop lets what is under way end, and ends it at the limit; false if that was
	// necessary. It closes the listener.
	Stop(limit time.Duration) bool
}

func (s *Server) transport(ended context.Context) transport {
	g := grpcTransport{s.server(ended)}
	if s.cfg.Transport == TransportGRPC {
		return g
	}
	services := g.GetServiceInfo()
	cfg := unary.Config{
		Method: authv3.Authorization_Check_FullMethodName,
		Answer: s.AppendAnswer, Unreadable: s.unreadable,
		Others: func(path string) bool {
			name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
			_, ok := services[name]
			return ok && name != authv3.Authorization_ServiceDesc.ServiceName
		},
		MaxMessage: s.cfg.MaxMessage, MaxStreams: maxStreams, StreamWindow: streamWindow, ConnWindow: connWindow,
		MaxAge: s.cfg.MaxConnectionAge, AgeGrace: ageGrace, Log: s.log,
	}
	if s.certs != nil {
		cfg.TLS = s.certs.TLS("h2")
	}
	return &loopTransport{loop: unary.New(cfg), others: g}
}

// grpcTransport is grpc-go.
type grpcTransport struct{ *grpc.Server }

// Serve implements [transport].
func (g grpcTransport) Serve(l net.Listener) error {
	if err := g.Server.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Stop implements [transport].
func (g grpcTransport) Stop(limit time.Duration) bool {
	stopped := make(chan struct{})
	go func() {
		g.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
		return true
	case <-time.After(limit):
		g.Server.Stop()
		<-stopped
		return false
	}
}

// loopTransport answers checks by itself, and leaves the rest to grpc-go.
type loopTransport struct {
	loop   *unary.Server
	others grpcTransport
}

// Serve implements [transport].
func (t *loopTransport) Serve(l net.Listener) error {
	others := make(chan error, 1)
	go func() { others <- t.others.Serve(t.loop.Others()) }()
	err := t.loop.Serve(l)
	stopped := errors.Is(err, unary.ErrStopped)
	if !stopped {
		t.others.Server.Stop()
	}
	of := <-others
	if stopped { // both: the other has heard of it, by its listener or before
		return nil
	}
	return errors.Join(err, of)
}

// Stop implements [transport].
func (t *loopTransport) Stop(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	others := make(chan bool, 1)
	go func() { others <- t.others.Stop(limit) }()
	t.loop.Stop(ctx)
	return <-others && ctx.Err() == nil
}
