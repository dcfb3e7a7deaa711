package main

import (
	"context"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/rolegate/rolegate/internal/admin"
	"github.com/rolegate/rolegate/internal/cases"
	"github.com/rolegate/rolegate/internal/telemetry"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/decisionlog"
	"github.com/rolegate/rolegate/proxy/extauthz"
	"github.com/rolegate/rolegate/proxy/identity"
)

// gcPercent is how much garbage is collected later than Go's default: what lives is role
// data and remembered decisions, which every collection walks for nothing. GOGC and
// GOMEMLIMIT are honored.
const gcPercent = 400

func (p *program) serveCommand() *cobra.Command {
	s := newSettings(p)
	cmd := &cobra.Command{
		Use:   "serve -b DIR",
		Short: "Answer Envoy (ext_authz over gRPC and HTTP)",
		Long: `Answer Envoy's external authorization requests from the bundles in DIR, which are
read again whenever they change. Until the first bundle is active, every answer is
a denial and the server is not ready.

A flag wins over its variable (ROLEGATE_GRPC_ADDR), that over the file of --config,
that over the default.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.read(cmd)
			if err == nil {
				err = cfg.check()
			}
			if err != nil {
				return err
			}
			log := cfg.Log.newLogger(p.stderr)
			for _, stray := range s.strays() {
				log.Warn("environment variable", zap.String("problem", stray))
			}
			cfg.announce(s.notes, log)
			if _, set := p.lookup("GOGC"); !set {
				debug.SetGCPercent(gcPercent)
			}
			server, err := p.newServer(cfg, log)
			if err != nil {
				return s.locate(err)
			}
			defer server.close()
			return server.run(cmd.Context())
		},
	}
	s.configFlag(cmd)
	s.flag(cmd, "loader.dir", "bundle-dir", "b", "folder with one bundle, or with one in each subfolder or *.tar.gz")
	s.flag(cmd, "grpc.addr", "grpc-addr", "", `where Envoy asks: host:port or unix:///path (default ":9191")`)
	s.flag(cmd, "http.addr", "http-addr", "", `where Envoy's HTTP service asks, likewise; off: nowhere (default ":9192")`)
	s.flag(cmd, "grpc.drain_wait", "drain-wait", "", "time between not being ready and the end (default 2s)")
	s.flag(cmd, "admin.addr", "admin-addr", "", `health, metrics, status (default "`+admin.DefaultAddr+`")`)
	s.flag(cmd, "decision_log.path", "decision-log", "", "file that decisions are added to; - is stdout")
	s.flag(cmd, "profile", "profile", "", "whose policies are asked: rolegate or opa-envoy")
	s.flag(cmd, "loader.v0_compatible", "v0-compatible", "", "Rego is v0 where a manifest does not say which it is")
	s.flag(cmd, "cache.entries", "cache-entries", "", "decisions to remember; -1: none (default 100000)")
	return cmd
}

// way is a way in beside Envoy's.
type way interface {
	Listen(ctx context.Context) error
	Run(ctx context.Context) error // serves until ctx ends, and drains
}

// server is everything that runs, wired: nothing else introduces packages to each
// other.
type server struct {
	engine    *policy.Engine
	loader    *loader.Loader
	identity  *identity.Identity
	decisions *decisionlog.Log // nil: not written
	gate      *proxy.Gate
	envoy     *extauthz.Server
	http      *extauthz.HTTPServer // nil: off; else one of ways
	admin     *admin.Server
	ways      []way // may be added to before run
	build     telemetry.Build
	started   time.Time
	suspect   atomic.Uint64 // generation in which an audit last differed
	log       *zap.Logger
}

// newServer wires a server. Nothing listens, and nothing but the configuration was
// read. close ends it, whether or not it ran.
func (p *program) newServer(cfg config, log *zap.Logger) (*server, error) {
	s := &server{build: build(), started: p.now(), log: log}
	reg, err := telemetry.NewRegistry(s.build)
	if err != nil {
		return nil, err
	}
	if s.identity, err = identity.New(cfg.Identity, reg, log); err != nil {
		return nil, err
	}
	var recorders []proxy.Recorder
	if cfg.DecisionLog.Path != "" {
		if s.decisions, err = decisionlog.New(cfg.DecisionLog, reg, log); err != nil {
			return nil, err
		}
		recorders = append(recorders, s.decisions)
	}
	if cfg.OPAMetrics != nil {
		m, err := newOPARecorder(*cfg.OPAMetrics, reg)
		if err != nil {
			return nil, err
		}
		recorders = append(recorders, m)
	}
	if cfg.GRPC.Documents, err = cfg.documents(); err != nil {
		return nil, err
	}
	cfg.HTTP.Documents = cfg.GRPC.Documents
	if cfg.Loader.Metrics, err = loader.NewMetrics(reg); err != nil {
		return nil, err
	}
	if s.engine, err = policy.NewEngine(policy.Config{
		Entries: cfg.Cache.Entries, MaxAge: cfg.Cache.MaxAge, SkipNegative: !cfg.Cache.Negative,
		Timeout: cfg.Cache.Timeout, AuditEvery: cfg.Cache.AuditEvery, Mismatch: s.mismatch,
		Concurrency: cfg.Evaluations.Concurrency, QueueWait: cfg.Evaluations.QueueWait, Overdue: s.overdue,
	}); err != nil {
		return nil, err
	}
	cfg.Gate.ReservedHeaders = slices.Concat(cfg.Gate.ReservedHeaders, s.identity.Headers())
	if s.gate, err = proxy.New(cfg.Gate, s.engine, s.identity, recorders, reg, nil, log); err != nil {
		s.close()
		return nil, err
	}
	s.envoy = extauthz.New(cfg.GRPC, s.gate, log)
	if cfg.HTTP.Addr != extauthz.HTTPOff {
		cfg.HTTP.DrainWait = cfg.GRPC.DrainWait
		if s.http, err = extauthz.NewHTTP(cfg.HTTP, s.gate, log); err != nil {
			s.close()
			return nil, err
		}
		s.ways = append(s.ways, s.http)
	}
	loaderLog := log
	if cfg.Loader.Observe != nil { // who observes tells it, once
		loaderLog = log.WithOptions(zap.IncreaseLevel(zap.DPanicLevel))
	}
	cfg.Loader.Verify = cases.Verifier(librarySnapshot, p.now)
	s.loader = loader.New(cfg.Loader, s.install, loaderLog)
	s.admin = admin.New(cfg.Admin, s.status, reg, log)
	if err := telemetry.RegisterEngine(reg, s.reading); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close ends what outlives the servers, after they have stopped.
func (s *server) close() { s.engine.Close() }

// install makes a snapshot the one that answers; with the first, Envoy may come.
func (s *server) install(snapshot *policy.Snapshot) uint64 {
	generation := s.engine.Install(snapshot)
	s.envoy.SetReady(true)
	if s.http != nil {
		s.http.SetReady()
	}
	return generation
}

// mismatch is told of an audit that differed: the footprint of a policy is wrong.
func (s *server) mismatch(m policy.Mismatch) {
	s.suspect.Store(m.Generation)
	s.log.Error("an audit found another answer: report this; nothing is remembered until the next generation",
		zap.String("entrypoint", m.Entrypoint), zap.Uint64("generation", m.Generation),
		zap.String("source", string(m.Origin)), zap.String("question", m.Question),
		zap.String("got_result", m.GotResult), zap.String("want_result", m.WantResult),
		// A policy's own reason may hold values of the request.
		zap.String("got", policy.Decision{Reason: m.Got}.ReasonLabel()),
		zap.String("want", policy.Decision{Reason: m.Want}.ReasonLabel()))
}

// overdue is told of an evaluation that does not end.
func (s *server) overdue(entrypoint string) {
	s.log.Error("an evaluation still runs a second after its time limit: the policy calls what cannot be interrupted",
		zap.String("entrypoint", entrypoint))
}

// listen opens every listener, so that what is wrong with one ends the program
// before anything reports ready.
func (s *server) listen(ctx context.Context) error {
	if s.decisions != nil {
		if err := s.decisions.Open(); err != nil {
			return err
		}
	}
	if err := s.identity.Load(ctx); err != nil {
		return err
	}
	for _, w := range append([]way{s.envoy, s.admin}, s.ways...) {
		if err := w.Listen(ctx); err != nil {
			return err
		}
	}
	return nil
}

// run serves until ctx ends or something fails. The ways in drain first; what they
// depend on, and health, last until they have.
func (s *server) run(ctx context.Context) error {
	if err := s.listen(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, s.admin.Drain)()
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		defer stop()
		in, ctx := errgroup.WithContext(ctx)
		for _, w := range append([]way{s.envoy}, s.ways...) {
			in.Go(func() error { return w.Run(ctx) })
		}
		return in.Wait()
	})
	g.Go(func() error { return s.loader.Run(behind) })
	g.Go(func() error { return s.identity.Run(behind) })
	g.Go(func() error { return s.admin.Run(behind) })
	if s.decisions != nil {
		g.Go(func() error { return s.decisions.Run(behind) })
	}
	return g.Wait()
}

// reading is what the metrics say of the engine.
func (s *server) reading() telemetry.Engine {
	n := s.engine.Stats()
	return telemetry.Engine{
		Hits: n.Hits, Misses: n.Misses, Waits: n.Waits, Bypassed: n.Bypassed, BypassedBy: n.BypassedBy,
		Stored: n.Memory.Stored, Dropped: n.Memory.Dropped, Rejected: n.Memory.Rejected, Evicted: n.Memory.Evicted,
		Cost: n.Memory.Cost, Capacity: n.Memory.Capacity,
		Audits: n.Audits, Mismatches: n.Mismatches, Shed: n.Shed, Overdue: n.Overdue, Running: n.Running,
	}
}

// status is what operators are told.
func (s *server) status() admin.Status {
	now, view, n := s.loader.Status(), s.engine.View(), s.engine.Stats()
	generation := view.Generation()
	maps.DeleteFunc(n.BypassedBy, func(_ string, n uint64) bool { return n == 0 })
	return admin.Status{
		Degraded:   now.Degraded || generation > 0 && s.suspect.Load() == generation,
		Generation: generation, Started: s.started, Build: s.build, Loader: now,
		Cache: admin.Cache{
			Hits: n.Hits, Misses: n.Misses, Waits: n.Waits,
			Bypassed: n.Bypassed, BypassedBy: n.BypassedBy, NotRemembered: view.Bypass(),
			Stored: n.Memory.Stored, Dropped: n.Memory.Dropped, Rejected: n.Memory.Rejected, Evicted: n.Memory.Evicted,
			Cost: n.Memory.Cost, Capacity: n.Memory.Capacity,
			Audits: n.Audits, Mismatches: n.Mismatches,
		},
		Evaluations: admin.Evaluations{Running: n.Running, Shed: n.Shed, Overdue: n.Overdue},
	}
}
