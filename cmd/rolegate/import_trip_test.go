package main

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/zap/zaptest"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/issue"
)

// trip is an export, tokens as its system makes them, and what they may do.
type trip struct {
	Vendor    string            `json:"vendor"`
	Preset    string            `json:"preset"` // "": the vendor's
	Export    string            `json:"export"` // a case of the importer's
	Issuer    string            `json:"issuer"`
	Authority string            `json:"authority"`
	Time      time.Time         `json:"time"` // of the questions
	Tokens    map[string]tokens `json:"tokens"`
	Questions []struct {
		Who    string    `json:"who"` // a token
		May    string    `json:"may"` // RESOURCE:ACTION
		In     string    `json:"in"`  // a tenant
		At     time.Time `json:"at"`  // instead of time
		Answer string    `json:"answer"`
		Roles  []string  `json:"granting_roles"`
	} `json:"questions"`
}

type tokens map[string]any

// From another system's export and its tokens to decisions, the whole way.
func TestImportedBundlesDecide(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/import/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no trips: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var tr trip
			if err := json.Unmarshal(text, &tr); err != nil {
				t.Fatal(err)
			}
			tr.run(t)
		})
	}
}

func (tr trip) run(t *testing.T) {
	t.Helper()
	view := tr.imported(t).View()
	people, key := tr.identity(t)
	for _, q := range tr.Questions {
		claims := tokens{"iss": tr.Issuer, "aud": "app", "exp": 4102444800}
		maps.Copy(claims, tr.Tokens[q.Who])
		if len(tr.Tokens[q.Who]) == 0 {
			t.Errorf("no token %q", q.Who)
		}
		signed, err := key.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		subject, err := people.Authenticate(t.Context(), view, proxy.Credentials{Headers: bearerOnly(signed)})
		if err != nil {
			t.Errorf("%s: %v", q.Who, err)
			continue
		}
		resource, action, ok := strings.Cut(q.May, ":")
		if !ok {
			resource, action = "-", q.May
		}
		now := tr.Time
		if !q.At.IsZero() {
			now = q.At
		}
		d, err := view.Decide(t.Context(), view.Entrypoint(), policy.Document{
			Subject: subject, Route: route.Match{Tenant: q.In, Resource: resource, Action: action},
		}, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Effect.String() + " " + d.Reason; got != q.Answer {
			t.Errorf("may %s %s in %s? got %s, want %s\nsubject %v %s %v", q.Who, q.May, q.In, got, q.Answer, subject.ID, subject.Type, subject.Claims)
		}
		if got := grantingRoles(t, d); q.Roles != nil && !slices.Equal(got, q.Roles) {
			t.Errorf("may %s %s in %s? got it through %q, want %q", q.Who, q.May, q.In, got, q.Roles)
		}
	}
}

func grantingRoles(t *testing.T, d policy.Decision) (roles []string) {
	t.Helper()
	plain, err := ast.JSON(d.Result)
	if err != nil {
		t.Fatal(err)
	}
	result, _ := plain.(map[string]any)
	list, _ := result["granting_roles"].([]any)
	roles = []string{}
	for _, role := range list {
		name, _ := role.(string)
		roles = append(roles, name)
	}
	return roles
}

func (tr trip) imported(t *testing.T) *policy.Engine {
	t.Helper()
	ar, err := txtar.ParseFile(tr.Export)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := importer.Config{
		Vendor: tr.Vendor, Dir: filepath.Join(dir, "bundle"),
		Issuers: map[string]importer.Issuer{tr.Issuer: {Authority: tr.Authority}},
	}
	var args []string
	for _, f := range ar.Files {
		if f.Name == "args" {
			args = strings.Fields(string(f.Data))
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, arg := range args {
		f := importer.NamedFile(arg, nil)
		name := filepath.Join(dir, f.Name)
		f.Open = func() (io.ReadCloser, error) { return os.Open(name) }
		cfg.Files = append(cfg.Files, f)
	}
	if _, err := importer.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	set, err := loader.Open(t.Context(), loader.Config{Dir: cfg.Dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range set.Warnings {
		t.Log(w)
	}
	engine, err := policy.NewEngine(policy.Config{AuditEvery: 1, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	engine.Install(set.Snapshot)
	return engine
}

// identity believes the system's issuer, its claims mapped as the preset says.
func (tr trip) identity(t *testing.T) (*identity.Identity, *issue.Key) {
	t.Helper()
	key, err := issue.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	set, err := issue.JWKS(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	preset := tr.Preset
	if preset == "" {
		preset = tr.Vendor
	}
	people, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: []identity.Issuer{
		{Issuer: tr.Issuer, JWKSFile: file, Audiences: []string{"app"}, Claims: identity.Claims{Preset: preset}},
	}}}}}, nil, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := people.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return people, key
}

// bearerOnly is a request's headers: one token.
type bearerOnly string

// Values implements [proxy.Headers].
func (b bearerOnly) Values(name string) []string {
	if name != "authorization" {
		return nil
	}
	return []string{"Bearer " + string(b)}
}
