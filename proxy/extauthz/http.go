package extauthz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/certs"
)

// HTTPOff as the address turns the HTTP service off.
const HTTPOff = "off"

// HTTPConfig is where Envoy's HTTP ext_authz service is served. The zero value listens
// at :9192, below /ext_authz.
type HTTPConfig struct {
	// Addr is host:port, or unix:///path of a socket, as in [Config]; "" means ":9192",
	// "off" that there is no such service.
	Addr       string      `yaml:"addr"`
	SocketMode os.FileMode `yaml:"socket_mode"` // of the socket; 0 means 0660
	// PathPrefix comes before the path that is asked about: Envoy's path_prefix. ""
	// means "/ext_authz", "/" that every path is one that is asked about.
	PathPrefix string `yaml:"path_prefix"`
	// DrainWait is that of the gRPC service.
	DrainWait time.Duration `yaml:"-"`
	// TLS is as in [Config]; nothing is taken over from there.
	TLS certs.Config `yaml:"tls"`
	// Documents is how policies see requests.
	Documents Documents `yaml:"-"`
}

const (
	defaultHTTPAddr   = ":9192"
	defaultPathPrefix = "/ext_authz"
)

// Bounds of the HTTP service.
const (
	maxHTTPHead = 128 << 10 // above what Envoy takes from clients (60 KiB, 96 at most)
	maxHTTPBody = maxMessage
	httpHead    = 5 * time.Second // for a request's head
	httpRead    = 5 * time.Second // for all of it
	// httpWrite begins with the end of the head, so that a body that never comes is still
	// answered.
	httpWrite = 15 * time.Second
	// httpIdle is longer than Envoy keeps a connection that it does not use (an hour): if
	// we closed it first, a request would now and then meet the closing.
	httpIdle = 2 * time.Hour
)

// HTTPServer answers the checks of Envoy's HTTP service. It asks the same gate as
// [Server], and is itself the handler of every method and path: never put a mux before
// it, which would answer for it.
type HTTPServer struct {
	cfg    HTTPConfig
	prefix string // without the last slash
	gate   *proxy.Gate
	log    *zap.Logger
	port
	ending atomic.Bool
}

// NewHTTP makes a server. Nothing listens yet.
func NewHTTP(cfg HTTPConfig, gate *proxy.Gate, log *zap.Logger) (*HTTPServer, error) {
	if cfg.Addr == "" {
		cfg.Addr = defaultHTTPAddr
	}
	if cfg.SocketMode == 0 {
		cfg.SocketMode = defaultSocketMode
	}
	if cfg.PathPrefix == "" {
		cfg.PathPrefix = defaultPathPrefix
	}
	if !plainPrefix(cfg.PathPrefix) {
		return nil, fmt.Errorf("http.path_prefix is %q, want / or a path of plain segments such as %s", cfg.PathPrefix, defaultPathPrefix)
	}
	return &HTTPServer{cfg: cfg, prefix: strings.TrimSuffix(cfg.PathPrefix, "/"), gate: gate, log: log.Named("extauthz.http")}, nil
}

// plainPrefix says whether a prefix has one spelling only.
func plainPrefix(prefix string) bool {
	if prefix == "/" {
		return true
	}
	rest, ok := strings.CutPrefix(prefix, "/")
	for segment := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), "/") {
		plain := func(c rune) bool {
			return c == '-' || c == '_' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		}
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, func(c rune) bool { return !plain(c) }) {
			return false
		}
	}
	return ok
}

// Listen opens the listener, as [Server.Listen] does.
func (s *HTTPServer) Listen(ctx context.Context) error {
	if s.listener != nil {
		return nil
	}
	var err error
	if s.certs, err = loadCerts(s.cfg.TLS, "http", s.log); err != nil {
		return err
	}
	if err := s.open(ctx, s.cfg.Addr, s.cfg.SocketMode); err != nil {
		return fmt.Errorf("listen for Envoy's HTTP service at %s: %w", s.cfg.Addr, err)
	}
	return nil
}

// SetReady says that the server may be asked: its unix socket takes the place of the one
// before it. It answers before, too, where nobody else does.
func (s *HTTPServer) SetReady() { s.setReady(true, s.log) }

// Run serves until ctx ends, then drains: it has every connection end with its next
// answer, waits, and lets what is under way end, for ten seconds at most.
func (s *HTTPServer) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	defer follow(ctx, s.certs)()
	listener := s.listener
	if s.certs != nil {
		listener = tls.NewListener(listener, s.certs.TLS("http/1.1"))
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.log.Info("listening", zap.Stringer("addr", s.listener.Addr()), zap.String("path_prefix", s.cfg.PathPrefix), zap.Bool("tls", s.certs != nil))
	select {
	case err := <-served:
		return fmt.Errorf("serve Envoy's HTTP service: %w", err)
	case <-ctx.Done():
	}
	s.ending.Store(true)
	<-time.After(s.cfg.DrainWait)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		s.log.Warn("requests under way did not end in time", zap.Duration("limit", drainLimit))
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve Envoy's HTTP service: %w", err)
	}
	return nil
}

// server makes the HTTP server. It speaks HTTP/1.1 alone: Go's HTTP/2 resets the stream of
// a request whose path has a bad escape, and to Envoy that is an error and no denial.
func (s *HTTPServer) server() (*http.Server, error) {
	// What clients do wrong is theirs to see.
	complaints, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("log of Envoy's HTTP service: %w", err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler: s,
		// Without it the server itself answers "OPTIONS *", with 200: an allow.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            httpHead,
		ReadTimeout:                  httpRead,
		WriteTimeout:                 httpWrite,
		IdleTimeout:                  httpIdle,
		MaxHeaderBytes:               maxHTTPHead,
		Protocols:                    &protocols,
		ErrorLog:                     complaints,
	}, nil
}

// ServeHTTP implements [http.Handler].
func (s *HTTPServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.answer(r)
	header := w.Header()
	// On a denial Envoy gives the client every header that it is not told to keep.
	header["Date"], header["Content-Type"] = nil, nil
	for _, h := range a.headers {
		header.Add(h.Name, h.Value) // of an allow one line each, of a denial as the gRPC service has them
	}
	if s.ending.Load() {
		header.Set("Connection", "close")
	}
	w.WriteHeader(a.status)          // always: what is not written is a 200, which allows
	_, _ = io.WriteString(w, a.body) // an Envoy that is gone needs no answer
}

// answer answers one request. It answers a panic, too: with a denial. The server's own
// answer to one is a reset connection, which an Envoy may be told to take for an allow.
func (s *HTTPServer) answer(r *http.Request) (a httpAnswer) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
			a = httpRefusal()
		}
	}()
	target, ok := asked(s.prefix, r.RequestURI)
	if !ok {
		return httpAnswer{status: http.StatusNotFound, body: "checks are asked below " + s.cfg.PathPrefix + "\n"}
	}
	answer := s.gate.CheckSaid(r.Context(), httpInbound(r, target, &s.cfg.Documents), proxy.Aside{}, func(a proxy.Answer) string {
		_, fault := httpResponse(a)
		return fault
	})
	a, _ = httpResponse(answer) // what it could not say is a denial by now
	return a
}
