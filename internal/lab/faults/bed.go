package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/token"
	"github.com/rolegate/rolegate/internal/lab/upstream"
)

const (
	issuer       = "https://idp.example"
	secondIssuer = "https://second.example"
	audience     = "lab"
	// patience bounds every wait: what hangs says where.
	patience = time.Minute
	// tokenLife is longer than any campaign.
	tokenLife = 12 * time.Hour
	// lookEvery is the pause between two looks at something that is awaited.
	lookEvery = 5 * time.Millisecond
	// requestLimit bounds a request; Envoy answers long before.
	requestLimit = 30 * time.Second
)

// configuration is rolegate's. %[1]s is the issuer, %[2]s the file with its keys, %[3]s
// the audience, %[4]s the second issuer, %[5]s where it publishes its keys, %[6]s how
// often they are fetched, %[7]s how old they may be, %[8]s how long a fetch may take.
const configuration = `
loader: {entrypoint: gate/decision}
identity:
  authenticators:
    - jwt:
        issuers:
          - issuer: %[1]s
            jwks_file: %[2]s
            audiences: [%[3]s]
          - issuer: %[4]s
            jwks_uri: %[5]s
            jwks: {refresh: %[6]s, max_stale: %[7]s, timeout: %[8]s}
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
	issuer  *provider
	wallet  wallet
	current atomic.Pointer[credentials]
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
	if err := errors.Join(b.sign(), b.startIssuer(ctx)); err != nil {
		return b, err
	}
	settings := fmt.Appendf(nil, configuration, issuer, b.keys, audience, secondIssuer, b.issuer.uri(), refresh, maxStale, fetchTime)
	if err := errors.Join(b.put(b.config.File, settings), os.CopyFS(b.config.Bundles, cfg.Bundles)); err != nil {
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
	err := b.confirm(ctx)
	return b, err
}

// claimsOf are the claims of a member's token.
func claimsOf(m int) map[string]any {
	return map[string]any{"sub": member(m), "aud": audience, "exp": time.Now().Add(tokenLife).Unix()}
}

// startIssuer has the second issuer publish its first key.
func (b *bed) startIssuer(ctx context.Context) error {
	first, err := b.wallet.issue(1)
	if err != nil {
		return err
	}
	b.current.Store(first)
	keys := &b.checker.keys
	if b.issuer, err = newProvider(ctx, keys); err != nil {
		return err
	}
	keys.published.Store(1)
	keys.known.Store(1) // as soon as rolegate is ready
	return errors.Join(b.issuer.publish(b.wallet.issuers[0]), b.issuer.set(ctx, well))
}

// sign makes the first issuer's keys and tokens, and forges some of both.
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
	for m := range members {
		signed, err := idp.Sign(claimsOf(m))
		if err != nil {
			return err
		}
		b.tokens = append(b.tokens, signed)
	}
	stolen, err1 := thief.Sign(claimsOf(always))
	unsigned, err2 := idp.Unsigned(claimsOf(always))
	other, err3 := idp.Sign(map[string]any{"sub": member(always), "aud": "another", "exp": time.Now().Add(tokenLife).Unix()})
	ended, err4 := idp.Sign(map[string]any{"sub": member(always), "aud": audience, "exp": time.Now().Add(-time.Hour).Unix()})
	early, err5 := idp.Sign(map[string]any{
		"sub": member(always), "aud": audience, "nbf": time.Now().Add(tokenLife).Unix(), "exp": time.Now().Add(2 * tokenLife).Unix(),
	})
	b.forged = []string{stolen, unsigned, other, ended, early, "", "nonsense", b.tokens[always] + "A"}
	return errors.Join(err1, err2, err3, err4, err5, b.forgeSecond(idp), b.put(b.keys, keys))
}

// forgeSecond adds tokens that say that they are the second issuer's: of a key that
// nobody has, of another key under a name that is known, and of the first issuer's key.
func (b *bed) forgeSecond(first token.Issuer) error {
	for _, kid := range []string{"unknown", "r1", "k1"} {
		thief, err := token.New(secondIssuer, kid)
		if err != nil {
			return err
		}
		forged, err := thief.Sign(claimsOf(always))
		if err != nil {
			return err
		}
		b.forged = append(b.forged, forged)
	}
	claims := claimsOf(always)
	claims["iss"] = secondIssuer
	forged, err := first.Sign(claims)
	b.forged = append(b.forged, forged)
	return err
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
		cfg.Set(manager+"access_log", []any{}), showBodies(cfg))
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

// manager is where requests are read, in Envoy's configuration.
const manager = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/"

// showBodies has Envoy show rolegate the beginning of bodies, on the routes where one
// counts: on two of them of any body, on the third only of those that are no longer.
func showBodies(cfg *envoy.Config) error {
	const routes = manager + "route_config/virtual_hosts/0/routes"
	var list []any
	if err := cfg.Get(routes, &list); err != nil {
		return err
	}
	for prefix, partial := range map[string]bool{"/pay/": true, "/note/": true, "/whole/": false} {
		list = slices.Insert(list, 0, any(map[string]any{
			"match": map[string]any{"prefix": prefix},
			"route": map[string]any{"cluster": "application", "timeout": "30s"},
			"typed_per_filter_config": map[string]any{"envoy.filters.http.ext_authz": map[string]any{
				"@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
				"check_settings": map[string]any{"with_request_body": map[string]any{
					"max_request_bytes": shownBytes, "allow_partial_message": partial,
				}},
			}},
		}))
	}
	return cfg.Set(routes, list)
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
	if b.issuer != nil {
		errs = append(errs, b.issuer.close())
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
		r := b.ask(ctx, b.as(always, read, "/w/probe"))
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
