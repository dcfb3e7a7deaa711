// Package imported holds what other systems export against what the gate answers once
// it is imported: a token as that system writes it goes in, a reason comes out.
package imported

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zaptest"
	"go.yaml.in/yaml/v3"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/issue"
)

const (
	exports   = "../../../loader/importer/testdata"
	issuerURL = "https://idp.example"
	audience  = "shop"

	// patience is for a busy machine: what is asked here is what is said, not how soon.
	patience = time.Minute
)

// world is a file requests.json: what is asked once the export beside it is imported.
type world struct {
	Named   []string        // kinds whose files, named after them, say so
	Claims  json.RawMessage // as in identity: a preset, and what an operator adds
	Tenant  string          // that the issuer speaks for; "" is none
	APIKeys bool            `json:"api_keys"` // keys are believed too
	At      time.Time       // when it is asked
	Routes  map[string]any
	Cases   []question
}

type question struct {
	Name    string
	At      time.Time // zero: the world's
	Request string    // METHOD PATH
	Token   map[string]any
	Key     string // in x-api-key
	Reason  string
	Roles   []string
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(exports, "*", "requests.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no worlds: %v", err)
	}
	for _, file := range files {
		vendor := filepath.Base(filepath.Dir(file))
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			w := readWorld(t, file)
			s := build(t, vendor, w)
			for _, q := range w.Cases {
				t.Run(q.Name, func(t *testing.T) { s.ask(t, q) })
			}
		})
	}
}

func readWorld(t *testing.T, file string) world {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var w world
	if err := d.Decode(&w); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return w
}

// stand is a gate on the imported bundle and a bundle of routes.
type stand struct {
	gate *proxy.Gate
	key  *issue.Key
	now  time.Time
	at   time.Time // of the world
}

func build(t *testing.T, vendor string, w world) *stand {
	t.Helper()
	dir := t.TempDir()
	imports(t, vendor, filepath.Join(dir, "imported"), w)
	write(t, filepath.Join(dir, "routes", ".manifest"), map[string]any{"revision": "1", "rego_version": 1, "roots": []string{"routes/shop"}})
	write(t, filepath.Join(dir, "routes", "routes", "shop", "data.json"), w.Routes)
	set, err := loader.Open(t.Context(), loader.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := policy.NewEngine(policy.Config{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	engine.Install(set.Snapshot)

	s := &stand{at: w.At}
	if s.key, err = issue.NewKey(); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return s.now }
	if s.gate, err = proxy.New(proxy.Config{MaxTime: patience}, engine, s.identity(t, w), nil, nil, clock, zaptest.NewLogger(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func imports(t *testing.T, vendor, dir string, w world) {
	t.Helper()
	cfg := importer.Config{Vendor: vendor, Dir: dir, Issuers: map[string]importer.Issuer{issuerURL: {Tenant: w.Tenant}}}
	files, err := filepath.Glob(filepath.Join(exports, vendor, "export", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no export: %v", err)
	}
	for _, name := range files {
		if kind := strings.TrimSuffix(filepath.Base(name), ".json"); slices.Contains(w.Named, kind) {
			name = kind + "=" + name
		}
		cfg.Files = append(cfg.Files, importer.NamedFile(name, nil))
	}
	if _, err := importer.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stand) identity(t *testing.T, w world) *identity.Identity {
	t.Helper()
	jwks, err := issue.JWKS(s.key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, jwks, 0o600); err != nil {
		t.Fatal(err)
	}
	issuer := identity.Issuer{Issuer: issuerURL, JWKSFile: file, Audiences: []string{audience}}
	d := yaml.NewDecoder(bytes.NewReader(w.Claims))
	d.KnownFields(true)
	if err := d.Decode(&issuer.Claims); err != nil {
		t.Fatalf("claims: %v", err)
	}
	cfg := identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: []identity.Issuer{issuer}}}}}
	if w.APIKeys {
		cfg.Authenticators = append(cfg.Authenticators, identity.Authenticator{APIKey: &identity.APIKey{}})
	}
	id, err := identity.New(cfg, nil, zaptest.NewLogger(t))
	if err == nil {
		err = id.Load(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s *stand) ask(t *testing.T, q question) {
	t.Helper()
	if s.now = s.at; !q.At.IsZero() {
		s.now = q.At
	}
	headers := http.Header{}
	if q.Token != nil {
		headers.Set("authorization", "Bearer "+s.token(t, q.Token))
	}
	if q.Key != "" {
		headers.Set("x-api-key", q.Key)
	}
	method, path, _ := strings.Cut(q.Request, " ")
	got := s.gate.Check(t.Context(), proxy.Inbound{
		Method: method, Host: "shop.example", Path: path,
		Credentials: proxy.Credentials{Headers: headers, Path: path},
	})
	if want := q.Reason; got.Reason != want || (got.Effect == policy.Allow) != (want == "allowed") {
		t.Errorf("%s of %v%s: got %v %q, want %q", q.Request, q.Token, q.Key, got.Effect, got.Reason, want)
	}
	if diff := cmp.Diff(q.Roles, append([]string{}, got.Roles...)); diff != "" {
		t.Errorf("%s of %v%s: roles (-want +got):\n%s", q.Request, q.Token, q.Key, diff)
	}
}

// token signs claims as the system does: around the time of asking.
func (s *stand) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": issuerURL, "aud": audience, "iat": s.now.Unix(), "exp": s.now.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	token, err := s.key.Sign(all)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
