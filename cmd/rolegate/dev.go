package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"

	"github.com/rolegate/rolegate/internal/admin"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/proxy/extauthz"
	"github.com/rolegate/rolegate/proxy/reverse"
)

// defaultDemoDir is where the demo is, below the working directory.
const defaultDemoDir = "demo-bundle"

func (p *program) devCommand() *cobra.Command {
	// Neither a file nor the environment changes the demo: what is printed is true
	// wherever it runs.
	s := newSettings(p)
	s.cfg.Loader.Dir, s.cfg.GRPC.Addr, s.cfg.GRPC.DrainWait = defaultDemoDir, "127.0.0.1:9191", 0
	s.cfg.Loader.RunTests = false       // what is played with need not answer as it did
	s.cfg.Log.Level = zapcore.WarnLevel // what happens to the bundle is printed anyway
	listen := ""
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the demo: a proxy before an upstream, and a bundle that reloads on save",
		Long: `Run the demo: a proxy that enforces, an upstream that echoes, Envoy's ext_authz
server, and a bundle to play with, which is written to --dir if nothing is there.
Each save is told in one line: what changed, or what is wrong and where.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.readFlags(cmd); err != nil {
				return err
			}
			return p.dev(cmd.Context(), s.cfg, listen)
		},
	}
	s.flag(cmd, "loader.dir", "dir", "", "folder of the demo (default "+defaultDemoDir+")")
	s.flag(cmd, "grpc.addr", "grpc-addr", "", `where Envoy asks (default "127.0.0.1:9191")`)
	s.flag(cmd, "admin.addr", "admin-addr", "", `health, metrics, status (default "`+admin.DefaultAddr+`")`)
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address of the proxy")
	cmd.AddCommand(p.devTokenCommand())
	return cmd
}

func (p *program) dev(ctx context.Context, cfg config, listen string) error {
	d, err := p.newDemo(ctx, cfg, listen)
	if err != nil {
		return err
	}
	defer d.server.close()
	return d.server.run(ctx)
}

// newDemo wires the demo and writes its folder. Its server is to be closed.
func (p *program) newDemo(ctx context.Context, cfg config, listen string) (*demoRun, error) {
	folder := demoFolder{cfg.Loader.Dir}
	wrote, err := folder.prepare()
	if err != nil {
		return nil, err
	}
	d := &demoRun{p: p, dir: cfg.Loader.Dir, wrote: wrote}
	cfg.Loader.Observe = d.observe
	if cfg.Identity, err = folder.identity(); err != nil {
		return nil, err
	}
	cfg.HTTP.Addr = extauthz.HTTPOff // the demo has a way in by HTTP: the proxy
	log := cfg.Log.newLogger(p.stderr)
	upstream := &httpWay{name: "upstream", addr: "127.0.0.1:0", handler: http.HandlerFunc(echo), log: log}
	if err := upstream.Listen(ctx); err != nil {
		return nil, err
	}
	if d.server, err = p.newServer(cfg, log); err != nil {
		return nil, err
	}
	handler, err := reverse.New(reverse.Config{Upstream: upstream.url()}, d.server.gate, log)
	if err != nil {
		d.server.close()
		return nil, err
	}
	d.proxy = &httpWay{name: "proxy", addr: listen, handler: handler, log: log}
	d.server.ways = append(d.server.ways, upstream, d.proxy)
	return d, nil
}

// demoRun is one run of the demo. It tells on stdout what happens.
type demoRun struct {
	p       *program
	dir     string
	wrote   bool // the folder, just now
	server  *server
	proxy   *httpWay
	greeted bool
}

// observe is told of every attempt to decide on something newer.
func (d *demoRun) observe(e loader.Event) {
	c, now := d.p.paint(d.p.stdout), d.p.now().Format(time.TimeOnly)
	switch {
	case e.Installed && !d.greeted:
		d.greeted = true
		d.greet()
	case e.Installed:
		fmt.Fprintf(d.p.stdout, "%s %s %s → generation %d in %s\n",
			c.green("↻"), now, strings.Join(e.Changed, "; "), e.Generation, rounded(e.Took))
	case e.Generation == 0:
		fmt.Fprintf(d.p.stdout, "%s %s %s — nothing decides yet\n", c.red("✗"), now, wrong(e))
		return
	default:
		fmt.Fprintf(d.p.stdout, "%s %s %s — still deciding with generation %d\n", c.red("✗"), now, wrong(e), e.Generation)
		return
	}
	for _, w := range e.Problems {
		fmt.Fprintf(d.p.stdout, "%s %s %s\n", c.yellow("!"), now, w)
	}
}

// wrong is the first thing that is wrong, and how many more there are.
func wrong(e loader.Event) string {
	if len(e.Problems) == 0 {
		return e.Err.Error()
	}
	first := e.Problems[0].String()
	if more := len(e.Problems) - 1; more > 0 {
		first += fmt.Sprintf(" (and %d more)", more)
	}
	return first
}

// rounded is a time in milliseconds, as exact as a reader cares for.
func rounded(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// greet prints where everything is, and requests to paste.
func (d *demoRun) greet() {
	w, c := d.p.stdout, d.p.paint(d.p.stdout)
	names := newNames(d.server.engine.View())
	state := "reloads on save"
	if d.wrote {
		state = "just written, " + state
	}
	fmt.Fprintf(w, "%s %s   bundle %s (%d tenants, %d roles) — %s\n", c.green("◈"), c.bold("rolegate dev"),
		d.dir, len(names.object("tenants"))-1, len(names.object("roles")), state) // @root is no tenant
	fmt.Fprintf(w, "  proxy    %s  →  demo upstream\n", d.proxy.url())
	fmt.Fprintf(w, "  envoy    %s  (ext_authz over gRPC)\n", d.server.envoy.Addr())
	fmt.Fprintf(w, "  admin    http://%s\n", d.server.admin.Addr())
	fmt.Fprintf(w, "  who may do what, and why: %s\n", filepath.Join(d.dir, "README.md"))
	fmt.Fprintln(w, "  try:")
	token := d.p.name + " dev token"
	if d.dir != defaultDemoDir {
		token += " --dir " + d.dir
	}
	for _, line := range lines(tries(), token, d.proxy.url()) {
		command, comment, _ := strings.Cut(line, "#")
		fmt.Fprintf(w, "    %s%s\n", command, c.faint("#"+comment))
	}
}
