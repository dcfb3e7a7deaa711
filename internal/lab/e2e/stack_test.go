package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolegate/rolegate/internal/lab/certs"
	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/token"
	"github.com/rolegate/rolegate/internal/lab/upstream"
)

const (
	issuer   = "https://idp.example"
	audience = "documents-api"
	// patience bounds every wait: an end-to-end test that hangs says where.
	patience = time.Minute
	// canary stands in every token. It must not be found anywhere afterwards.
	canary = "c4n4ry-9d1f"
)

// configuration is rolegate's, for every test. %[1]s is the issuer, %[2]s the file
// with its keys, %[3]s the audience, %[4]s the decision log.
const configuration = `
decision_log:
  path: %[4]s
identity:
  authenticators:
    - jwt:
        issuers:
          - issuer: %[1]s
            jwks_file: %[2]s
            audiences: [%[3]s]
`

// stack is an application behind Envoy behind rolegate.
type stack struct {
	app     *upstream.Echo
	envoy   *envoy.Envoy
	gate    *sidecar.Sidecar
	config  sidecar.Config
	bundles string // directory that rolegate watches
	source  string // of the bundles there
	idp     token.Issuer
	client  *http.Client
	certs   certificates // of mutual TLS; zero without
}

// certificates are the files of both sides.
type certificates struct{ envoy, gate certs.Files }

// options of a stack. The zero value is what ships, but for time limits.
type options struct {
	unix     bool                      // ask rolegate over a unix socket
	abstract bool                      // ask rolegate over a socket that is no file, of Linux
	http     bool                      // ask rolegate over Envoy's HTTP service
	mtls     bool                      // ask rolegate over mutual TLS
	empty    bool                      // begin without bundles
	bundles  string                    // folder of bundles; "" is testdata/bundles
	settings string                    // added to rolegate's configuration
	edit     func(*envoy.Config) error // changes Envoy's configuration
	hold     func(*http.Request)       // called by the application
	without  func(*stack)              // starts another Envoy in place of the usual one
	hasty    bool                      // with the time limits that ship: the others wait, for what is decided, not how soon, is looked at
}

// patient has rolegate take its time, whatever the machine does beside.
func patient() []string {
	var env []string
	for _, name := range []string{"CACHE_TIMEOUT", "GATE_MAX_TIME", "EVALUATIONS_QUEUE_WAIT"} {
		env = append(env, "ROLEGATE_"+name+"="+patience.String())
	}
	return env
}

// start runs a stack for one test. It is ready unless it begins without bundles.
func start(t *testing.T, o options) *stack {
	t.Helper()
	if testing.Short() {
		t.Skip("runs real processes")
	}
	envoytest.Require(t)
	if o.bundles == "" {
		o.bundles = "testdata/bundles"
	}
	s := &stack{app: &upstream.Echo{Hold: o.hold}, bundles: t.TempDir(), source: o.bundles, client: client(t)}
	s.gateConfig(t, o)
	if !o.empty {
		s.restore(t)
	}
	s.startGate(t)
	if !o.empty {
		s.await(t, "rolegate is ready", s.gate.Ready)
	}
	if o.without != nil {
		o.without(s)
	} else {
		s.startEnvoy(t, o)
	}
	return s
}

func (s *stack) gateConfig(t *testing.T, o options) {
	t.Helper()
	var err error
	if s.idp, err = token.New(issuer, "k1"); err != nil {
		t.Fatal(err)
	}
	keys, err := s.idp.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if o.mtls {
		o.settings += s.issue(t, dir)
	}
	keyFile, file := filepath.Join(dir, "jwks.json"), filepath.Join(dir, "rolegate.yaml")
	writeFile(t, keyFile, keys)
	writeFile(t, file, fmt.Appendf(nil, configuration+o.settings, issuer, keyFile, audience, filepath.Join(dir, "decisions.jsonl")))
	s.config = sidecar.Config{
		Binary: sidecar.Prebuilt(), Bundles: s.bundles, File: file, GRPC: freePort(t), Admin: freePort(t),
	}
	if !o.hasty {
		s.config.Env = patient()
	}
	if o.unix {
		s.config.GRPC = "unix://" + filepath.Join(shortDir(t), "gate.sock")
	}
	if o.abstract {
		s.config.GRPC = fmt.Sprintf("unix://@rolegate-e2e-%d-%s", os.Getpid(), t.Name())
	}
	if o.http {
		s.config.HTTP = freePort(t)
	}
}

// envoyName is who Envoy is to rolegate.
const envoyName = "spiffe://example.org/ns/edge/sa/envoy"

// issue makes the certificates of mutual TLS and answers rolegate's settings.
func (s *stack) issue(t *testing.T, dir string) string {
	t.Helper()
	authority, err := certs.New("test")
	if err == nil {
		s.certs.gate, err = authority.Issue(dir, "rolegate", "rolegate")
	}
	if err == nil {
		s.certs.envoy, err = authority.Issue(dir, "envoy", envoyName)
	}
	if err != nil {
		t.Fatal(err)
	}
	f := s.certs.gate
	return fmt.Sprintf("grpc: {tls: {cert_file: %q, key_file: %q, client_ca_file: %q, client_names: [%q]}}\n", f.Cert, f.Key, f.CA, envoyName)
}

// startGate starts rolegate; it is killed at the end of the test if it still runs.
func (s *stack) startGate(t *testing.T) {
	t.Helper()
	gate, err := sidecar.Start(context.WithoutCancel(t.Context()), s.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = gate.Kill()
		if t.Failed() {
			t.Logf("rolegate's log:\n%s%s", gate.Stdout(), gate.Stderr())
		}
	})
	s.gate = gate
}

func (s *stack) startEnvoy(t *testing.T, o options) {
	t.Helper()
	app := httptest.NewServer(s.app)
	t.Cleanup(app.Close)
	file, address := "envoy.yaml", s.config.GRPC
	switch {
	case o.unix:
		file, address = "envoy-unix.yaml", strings.TrimPrefix(address, "unix://")
	case o.http:
		file, address = "envoy-http.yaml", s.config.HTTP
	case o.mtls:
		file = "envoy-mtls.yaml"
	}
	cfg, err := envoy.Shipped(file)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case o.http:
		err = cfg.PointHealth("rolegate", s.config.Admin)
	case o.abstract:
		// Envoy's name of one begins with @, too, and Point takes only files for sockets.
		address = "/placeholder"
	case o.mtls:
		err = cfg.TLSFiles("static_resources/clusters/name=rolegate", s.certs.envoy.Cert, s.certs.envoy.Key, s.certs.envoy.CA)
	}
	err = errors.Join(err, cfg.Loopback(), cfg.Point("rolegate", address), cfg.Point("application", app.Listener.Addr().String()))
	if o.abstract {
		const pipe = "static_resources/clusters/name=rolegate/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/pipe/path"
		err = errors.Join(err, cfg.Set(pipe, strings.TrimPrefix(s.config.GRPC, "unix://")))
	}
	if !o.hasty {
		err = errors.Join(err, cfg.Patient())
	}
	if o.edit != nil {
		err = errors.Join(err, o.edit(cfg))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.envoy = envoytest.Start(t, cfg)
}

// restore puts the bundles into rolegate's directory.
func (s *stack) restore(t *testing.T) {
	t.Helper()
	if err := copyTree(s.bundles, os.DirFS(s.source)); err != nil {
		t.Fatal(err)
	}
}

// member changes a user of acme in the bundle, as one rename. A nil record removes
// the user.
func (s *stack) member(t *testing.T, user string, record any) {
	t.Helper()
	file := filepath.Join(s.bundles, "members", "rbac", "members", "acme", "data.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	if members[user] = record; record == nil {
		delete(members, user)
	}
	if raw, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, file, raw)
}

// await polls until ok answers nil.
func (s *stack) await(t *testing.T, what string, ok func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.gate.Await(ctx, ok); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   string
	seen   upstream.Seen // what the application got; zero when the request did not reach it
}

// get asks as a user of the identity provider, "" for nobody.
func (s *stack) get(ctx context.Context, method, path, user string) (answer, error) {
	header := http.Header{}
	if user != "" {
		signed, err := s.token(user, nil)
		if err != nil {
			return answer{}, err
		}
		header.Set("Authorization", "Bearer "+signed)
	}
	return s.send(ctx, method, path, header)
}

func (s *stack) send(ctx context.Context, method, path string, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.envoy.URL()+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	req.Header = header
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	return read(resp)
}

// raw writes a request byte by byte, which Go's client would not.
func (s *stack) raw(ctx context.Context, request string) (answer, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.envoy.Addr())
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return answer{}, err
	}
	for in := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return answer{}, err
		}
		if a, err := read(resp); err != nil || a.status != http.StatusContinue {
			return a, err
		}
	}
}

func read(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(bytes.TrimSpace(body), &a.seen)
	}
	return a, err
}

// token signs a token for a user. claims replace what a good token says.
func (s *stack) token(user string, claims map[string]any) (string, error) {
	return s.idp.Sign(body(user, claims))
}

func body(user string, claims map[string]any) map[string]any {
	all := map[string]any{
		"sub": user, "aud": audience, "exp": time.Now().Add(time.Hour).Unix(), "note": canary,
	}
	maps.Copy(all, claims)
	return all
}

func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func freePort(t *testing.T) string {
	t.Helper()
	address, err := sidecar.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// shortDir is for a socket: its whole path must be shorter than 108 bytes, which
// t.TempDir's are not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rg") //nolint:usetesting // t.TempDir's paths are too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func writeFile(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaceFile writes beside the watched tree and renames over the file.
func replaceFile(t *testing.T, file string, content []byte) {
	t.Helper()
	temp := filepath.Join(t.TempDir(), "new")
	writeFile(t, temp, content)
	if err := os.Rename(temp, file); err != nil {
		t.Fatal(err)
	}
}

func copyTree(dir string, from fs.FS) error {
	return fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		raw, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, raw, 0o600)
	})
}
