package extauthz

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/certs"
)

// Bounds of the server. A check is small: headers, and metadata of other filters.
const (
	maxMessage   = 256 << 10
	streamWindow = 256 << 10
	maxStreams   = 1000 // a connection; never unlimited (rapid reset, CVE-2023-44487)
	// streamWorkers is above what one Envoy has under way in a usual moment; more of them
	// would wait for nothing, and cost a stack each.
	streamWorkers = 64
	connWindow    = 4 << 20
	drainLimit    = 10 * time.Second
	ageGrace      = 30 * time.Second
)

// Config is where a server listens and how it ends. The zero value listens at :9191.
type Config struct {
	// Addr is host:port, or unix:///path of a socket; "" means ":9191". A socket is
	// put in place of one that is there, in one step, so that a new server can take
	// over from an old one that still answers.
	Addr string `yaml:"addr"`
	// SocketMode is the mode of the socket; 0 means 0660.
	SocketMode os.FileMode `yaml:"socket_mode"`
	// DrainWait is how long the server still takes requests after it has said that it
	// no longer serves: two intervals of Envoy's health checks. 0: not at all.
	DrainWait time.Duration `yaml:"drain_wait"`
	// MaxConnectionAge closes connections, gracefully, so that they spread again over
	// all instances; 0 means 10 minutes.
	MaxConnectionAge time.Duration `yaml:"max_connection_age"`
	// ContextExtensions gives two of Envoy's context_extensions a meaning.
	ContextExtensions ContextExtensions `yaml:"context_extensions"`
	// TLS is who the server is to Envoy, and which Envoys may ask. Without it, and without a
	// socket, whoever reaches the port may ask what every caller may do.
	TLS certs.Config `yaml:"tls"`
	// MaxMessage bounds one check, in bytes; 0 means 256 KiB. Bodies that Envoy sends are
	// within.
	MaxMessage int `yaml:"max_message"`
	// Transport is who speaks HTTP/2: "" for a loop of our own, which hands what is no check
	// to grpc-go, or [TransportGRPC].
	Transport string `yaml:"transport"`
	// Reflection has the server tell which services it has (gRPC reflection).
	Reflection bool `yaml:"reflection"`
	// Documents is how policies see requests.
	Documents Documents `yaml:"-"`
}

const (
	defaultAddr          = ":9191"
	defaultSocketMode    = 0o660
	defaultConnectionAge = 10 * time.Minute
)

// Server answers Envoy. It does not serve, to health checks, until [Server.SetReady].
type Server struct {
	authv3.UnimplementedAuthorizationServer

	cfg    Config
	gate   *proxy.Gate
	log    *zap.Logger
	health *health.Server
	port
	teller *teller
	shape  *shape    // of a CheckRequest
	wires  sync.Pool // of *wire
}

// New makes a server. Nothing listens yet.
func New(cfg Config, gate *proxy.Gate, log *zap.Logger) *Server {
	if cfg.Addr == "" {
		cfg.Addr = defaultAddr
	}
	if cfg.SocketMode == 0 {
		cfg.SocketMode = defaultSocketMode
	}
	if cfg.MaxConnectionAge == 0 {
		cfg.MaxConnectionAge = defaultConnectionAge
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = maxMessage
	}
	log = log.Named("extauthz")
	s := &Server{
		cfg: cfg, gate: gate, log: log, health: health.NewServer(), teller: &teller{log},
		shape: shapes{}.of((&authv3.CheckRequest{}).ProtoReflect().Descriptor()),
	}
	s.SetReady(false)
	return s
}

// server makes the gRPC server. Its streams, which only health checks open, end with
// ended: a graceful stop would wait for them for ever.
func (s *Server) server(ended context.Context) *grpc.Server {
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(proto.Name)}),
		grpc.MaxRecvMsgSize(s.cfg.MaxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		// Goroutines whose stacks have grown already, enough for all streams of a busy
		// moment: a new one grows its stack at each check, which costs more than the check.
		grpc.NumStreamWorkers(streamWorkers),
		// Windows that hold any message, and do not change: looking for better ones costs
		// a ping for every few messages.
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: s.cfg.MaxConnectionAge, MaxConnectionAgeGrace: ageGrace,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.recovered),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			ctx, cancel := context.WithCancel(stream.Context())
			defer cancel()
			defer context.AfterFunc(ended, cancel)()
			return handler(srv, endingStream{stream, ctx})
		}),
	}
	if s.certs != nil && s.cfg.Transport == TransportGRPC {
		options = append(options, grpc.Creds(credentials.NewTLS(s.certs.TLS("h2"))))
	}
	g := grpc.NewServer(options...)
	g.RegisterService(s.service(), s)
	healthv1.RegisterHealthServer(g, s.health)
	if s.cfg.Reflection {
		reflection.Register(g)
	}
	return g
}

// endingStream is a stream with another context.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream is asked for its context
}

func (s endingStream) Context() context.Context { return s.ctx }

// SetReady tells health checks whether the server may be asked. When it may be for the
// first time, its unix socket takes the place of the one before it.
func (s *Server) SetReady(ready bool) {
	state := healthv1.HealthCheckResponse_NOT_SERVING
	if ready {
		state = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", state)
	s.health.SetServingStatus(authv3.Authorization_ServiceDesc.ServiceName, state)
	s.setReady(ready, s.log)
}

// Check answers one request of Envoy's that is decoded already. The error is always
// nil: a gRPC error would leave the choice to Envoy.
func (s *Server) Check(ctx context.Context, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	in := inbound(req, &s.cfg.Documents)
	aside := s.cfg.ContextExtensions.aside(&in)
	return s.teller.response(s.gate.CheckAside(ctx, in, aside)), nil
}

// recovered answers a panic of what is no check: checks answer theirs themselves.
func (s *Server) recovered(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", zap.String("method", info.FullMethod),
				zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
			answer, err = nil, grpcstatus.Error(codes.Internal, "internal error")
		}
	}()
	return handler(ctx, req)
}

// Listen opens the listener, so that a bad address ends the program before anything
// reports ready. Addr answers where afterwards.
func (s *Server) Listen(ctx context.Context) error {
	if s.listener != nil {
		return nil
	}
	if t := s.cfg.Transport; t != "" && t != TransportGRPC {
		return fmt.Errorf("grpc.transport is %q, want %s or nothing", t, TransportGRPC)
	}
	var err error
	if s.certs, err = loadCerts(s.cfg.TLS, "grpc", s.log); err != nil {
		return err
	}
	if err := s.open(ctx, s.cfg.Addr, s.cfg.SocketMode); err != nil {
		return fmt.Errorf("listen for Envoy at %s: %w", s.cfg.Addr, err)
	}
	return nil
}

// Run serves until ctx ends, then drains: it says that it no longer serves, waits,
// and lets what is under way end, for ten seconds at most.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer follow(ctx, s.certs)()
	t := s.transport(ended)
	served := make(chan error, 1)
	go func() { served <- t.Serve(s.listener) }()
	s.log.Info("listening", zap.Stringer("addr", s.listener.Addr()), zap.Bool("tls", s.certs != nil))
	select {
	case err := <-served:
		t.Stop(0)
		return fmt.Errorf("serve Envoy: %w", err)
	case <-ctx.Done():
	}
	s.health.Shutdown() // not serving, and no SetReady changes it back
	<-time.After(s.cfg.DrainWait)
	end()
	if !t.Stop(drainLimit) {
		s.log.Warn("requests under way did not end in time", zap.Duration("limit", drainLimit))
	}
	if err := <-served; err != nil {
		return fmt.Errorf("serve Envoy: %w", err)
	}
	return nil
}
