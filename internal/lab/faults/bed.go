package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/token"
	"github.com/rolegate/rolegate/internal/lab/upstream"
)

const (
	issuer   = "https://idp.example"
	audience = "lab"
	// patience bounds every wait: what hangs says where.
	patience = 30 * time.Second
	// tokenLife is longer than any campaign.
	tokenLife = 12 * time.Hour
	// lookEvery is the pause between two looks at something that is awaited.
	lookEvery = 5 * time.Millisecond
	// requestLimit bounds a request; Envoy answers long before.
	requestLimit = 10 * time.Second
)

// configuration is rolegate's. %[1]s is the issuer, %[2]s the file with its keys, %[3]s
// the audience.
const configuration = `
loader: {entrypoint: gate/decision}
identity:
  authenticators:
    - jwt:
        issuers:
          - issuer: %[1]s
            jwks_file: %[2]s
            audiences: [%[3]s]
`

// bed is an application behind Envoy behind rolegate.
type bed struct {
	checker *checker
	dir     string
	keys    string // file
	config  sidecar.Config
	gate    *sidecar.Sidecar
	envoy   *envoy.Envoy
	app     *http.Server
	client  *http.Client
	tokens  []string // of each member
	forged  []string // that must never be believed
}

// newBed starts everything in dir, whose path has to be short, for a socket is in it.
func newBed(ctx context.Context, cfg Config) (*bed, error) {
	dir := cfg.Dir
	b := &bed{
		checker: &checker{}, dir: dir, keys: filepath.Join(dir, "jwks.json"),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}, Timeout: requestLimit},
	}
	b.config = sidecar.Config{
		Binary: cfg.Binary, Bundles: filepath.Join(dir, "bundles"), File: filepath.Join(dir, "rolegate.yaml"),
		GRPC: "unix://" + filepath.Join(dir, "gate.sock"),
	}
	err := errors.Join(b.sign(), b.put(filepath.Join(dir, "rolegate.yaml"), fmt.Appendf(nil, configuration, issuer, b.keys, audience)), os.CopyFS(b.config.Bundles, cfg.Bundles))
	if err != nil {
		return b, err
	}
	if err := b.write(1); err != nil {
		return b, err
	}
	if err := b.start(ctx); err != nil {
		return b, err
	}
	if err := b.await(ctx, "rolegate is ready", b.gate.Ready); err != nil {
		return b, err
	}
	if err := b.startEnvoy(ctx); err != nil {
		return b, err
	}
	err = b.confirm(ctx)
	return b, err
}

// sign makes keys and tokens.
func (b *bed) sign() error {
	idp, err := token.New(issuer, "k1")
	if err != nil {
		return err
	}
	thief, err := token.New(issuer, "k1") // says that it is the same, and has another key
	if err != nil {
		return err
	}
	keys, err := idp.JWKS()
	if err != nil {
		return err
	}
	claims := func(m int) map[string]any {
		return map[string]any{"sub": member(m), "aud": audience, "exp": time.Now().Add(tokenLife).Unix()}
	}
	for m := range members {
		signed, err := idp.Sign(claims(m))
		if err != nil {
			return err
		}
		b.tokens = append(b.tokens, signed)
	}
	stolen, err1 := thief.Sign(claims(always))
	unsigned, err2 := idp.Unsigned(claims(always))
	other, err3 := idp.Sign(map[string]any{"sub": member(always), "aud": "another", "exp": time.Now().Add(tokenLife).Unix()})
	ended, err4 := idp.Sign(map[string]any{"sub": member(always), "aud": audience, "exp": time.Now().Add(-time.Hour).Unix()})
	early, err5 := idp.Sign(map[string]any{
		"sub": member(always), "aud": audience, "nbf": time.Now().Add(tokenLife).Unix(), "exp": time.Now().Add(2 * tokenLife).Unix(),
	})
	b.forged = []string{stolen, unsigned, other, ended, early, "", "nonsense", b.tokens[always] + "A"}
	return errors.Join(err1, err2, err3, err4, err5, b.put(b.keys, keys))
}

// put writes a file beside the watched tree and renames it to where it belongs.
func (b *bed) put(file string, content []byte) error {
	temp := filepath.Join(b.dir, "new")
	if err := os.WriteFile(temp, content, 0o600); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	return os.Rename(temp, file)
}

// worldFile holds the world.
func (b *bed) worldFile() string { return filepath.Join(b.config.Bundles, "world", "data.json") }

// write makes a world the newest.
func (b *bed) write(world int64) error {
	text, err := document(world)
	if err != nil {
		return err
	}
	b.checker.written.Store(world)
	return b.put(b.worldFile(), text)
}

// start runs a new rolegate; it is not ready yet.
func (b *bed) start(ctx context.Context) (err error) {
	if b.config.Admin, err = sidecar.FreePort(ctx); err != nil {
		return err
	}
	b.gate, err = sidecar.Start(context.WithoutCancel(ctx), b.config)
	return err
}

func (b *bed) startEnvoy(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.app = &http.Server{Handler: &upstream.Echo{Hold: b.checker.judge}, ReadHeaderTimeout: patience}
	go func() { _ = b.app.Serve(l) }() // until close
	cfg, err := envoy.Shipped("envoy-unix.yaml")
	if err != nil {
		return err
	}
	err = errors.Join(cfg.Loopback(), cfg.Point("rolegate", filepath.Join(b.dir, "gate.sock")), cfg.Point("application", l.Addr().String()),
		// A million lines say nothing here.
		cfg.Set("static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log", []any{}))
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "envoy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	b.envoy, err = envoy.Start(context.WithoutCancel(ctx), cfg, dir)
	return err
}

// stop ends a rolegate as an orchestrator does. Its own limits are longer than what
// [sidecar.Sidecar] waits: two seconds to be forgotten, ten for what is under way.
func (b *bed) stop(gate *sidecar.Sidecar) error {
	if err := gate.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-gate.Done():
		return gate.Stop() // how it ended
	case <-time.After(patience):
		return fmt.Errorf("rolegate did not end within %s", patience)
	}
}

// close ends everything.
func (b *bed) close() error {
	var errs []error
	b.client.CloseIdleConnections()
	if b.gate != nil {
		_ = b.gate.Signal(signalContinue)
		_ = b.gate.Kill()
	}
	if b.envoy != nil {
		errs = append(errs, b.envoy.Stop())
	}
	if b.app != nil {
		errs = append(errs, b.app.Close())
	}
	return errors.Join(errs...)
}

// await polls until ok answers nil.
func (b *bed) await(ctx context.Context, what string, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, last)
		case <-time.After(lookEvery):
		}
	}
}

// healthy is nil when Envoy would ask rolegate.
func (b *bed) healthy(ctx context.Context) error {
	ok, err := b.envoy.Healthy(ctx, "rolegate")
	if err == nil && !ok {
		err = errors.New("unhealthy")
	}
	return err
}

// confirm waits until the newest world is in force: who asks from here on must be
// answered by it, or by a newer one.
func (b *bed) confirm(ctx context.Context) error {
	world := b.checker.written.Load()
	err := b.await(ctx, fmt.Sprintf("world %d is in force", world), func(ctx context.Context) error {
		r := b.ask(ctx, question{member: always, action: read, path: "/w/probe"})
		if r.world != world {
			return fmt.Errorf("got %s of world %d", r.outcome, r.world)
		}
		return nil
	})
	if err == nil {
		b.checker.confirmed.Store(world)
	}
	return err
}
