// Package admin is the listener for those who operate the server: health, metrics
// and status. It only reads. Its pages are on the loopback interface unless
// configured otherwise, and a page of another site cannot read them through a
// visitor's browser.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// DefaultAddr is where the server listens unless it is told otherwise.
const DefaultAddr = "127.0.0.1:9193"

const (
	// readLimit bounds how long a client may take to ask: every request is a few lines.
	readLimit = 5 * time.Second
	// writeLimit bounds an answer; the largest is a scrape.
	writeLimit = 30 * time.Second
	// drainLimit bounds the end: requests here are short, and nobody depends on the last.
	drainLimit = 2 * time.Second
)

// Config is where the server listens. The zero value works.
type Config struct {
	Addr string `yaml:"addr"` // host:port; "" means [DefaultAddr]
	// Hosts are further names that a request may be addressed to. IP addresses and
	// localhost always are; any other name could be one that an attacker points here.
	Hosts []string `yaml:"hosts"`
}

// Server answers operators. It is not ready after [Server.Drain].
type Server struct {
	cfg      Config
	status   func() Status
	metrics  prometheus.Gatherer
	log      *zap.Logger
	listener net.Listener
	draining atomic.Bool
}

// New makes a server; status is called for each request that needs it, from any
// goroutine. Nothing listens yet.
func New(cfg Config, status func() Status, metrics prometheus.Gatherer, log *zap.Logger) *Server {
	if cfg.Addr == "" {
		cfg.Addr = DefaultAddr
	}
	return &Server{cfg: cfg, status: status, metrics: metrics, log: log.Named("admin")}
}

// Listen opens the listener, so that a bad address ends the program before anything
// reports ready. A second call does nothing.
func (s *Server) Listen(ctx context.Context) error {
	if s.listener != nil {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen for operators at %s: %w", s.cfg.Addr, err)
	}
	s.listener = l
	return nil
}

// Addr is where the server listens; nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Drain makes the server not ready for good, so that no new traffic is sent here.
func (s *Server) Drain() { s.draining.Store(true) }

// Run serves until ctx ends. The listener's errors are its own.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	server := &http.Server{
		Handler: s.Handler(), ReadTimeout: readLimit, WriteTimeout: writeLimit,
		ErrorLog: zap.NewStdLog(s.log),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	s.log.Info("listening", zap.Stringer("addr", s.listener.Addr()))
	select {
	case err := <-served:
		return fmt.Errorf("serve operators: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		_ = server.Close() // a client that does not end is cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve operators: %w", err)
	}
	return nil
}

// Handler answers all paths, each guarded.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /status", s.statusPage)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /{$}", s.index)
	return guard(s.cfg.Hosts, mux)
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, "rolegate: /livez /readyz /metrics /status")
}

func (s *Server) livez(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "alive") }

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if why := s.unready(); why != "" {
		text(w, http.StatusServiceUnavailable, "not ready: "+why)
		return
	}
	text(w, http.StatusOK, "ready")
}

// unready says why traffic should not come here; "" when it should.
func (s *Server) unready() string {
	switch {
	case s.draining.Load():
		return "draining"
	case s.status().Generation == 0 && s.status().Loader.Error != "":
		return "no bundle is active yet, and what is there is refused: /status says why"
	case s.status().Generation == 0:
		return "no bundle is active yet"
	default:
		return ""
	}
}

func text(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, line)
}
