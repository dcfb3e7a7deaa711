package identity_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// sent is the credentials of a request, as a case writes them.
type sent struct {
	Headers   headers  `json:"headers"`
	Principal string   `json:"principal"`
	Socket    string   `json:"socket"`
	Path      string   `json:"path"`
	Metadata  filtered `json:"metadata"`
}

// filtered is Envoy's filter metadata: namespace → key → value. The value "unreadable"
// stands for one that cannot be read.
type filtered map[string]map[string]json.RawMessage

func (f filtered) Metadata(namespace, key string) (ast.Value, bool, error) {
	raw, ok := f[namespace][key]
	if !ok {
		return nil, false, nil
	}
	if string(raw) == `"unreadable"` {
		return nil, false, errors.New("metadata")
	}
	v, err := ast.ValueFromReader(strings.NewReader(string(raw)))
	return v, true, err
}

func (s sent) credentials() proxy.Credentials {
	c := proxy.Credentials{Headers: s.Headers, Principal: s.Principal, Socket: s.Socket, Path: s.Path}
	if s.Metadata != nil {
		c.Metadata = s.Metadata
	}
	return c
}

// TestCredentials is what each way to tell who asks makes of requests, good ones and
// hostile ones. A name that begins with "good" must give a subject, one with "nobody"
// none, and every other a refusal; -update cannot bless an acceptance.
func TestCredentials(t *testing.T) {
	requests := 0
	cases(t, "credentials", func(t *testing.T, parts map[string][]byte) string {
		t.Helper()
		var cfg identity.Config
		strictly(t, parts["identity.yaml"], &cfg)
		var all map[string]sent
		if err := json.Unmarshal(written(parts["requests.json"]), &all); err != nil {
			t.Fatal(err)
		}
		requests += len(all)
		engine := policytest.Engine(t, "-- data.json --\n"+string(written(parts["data.json"])), policy.Config{})
		core, logs := observer.New(zapcore.DebugLevel)
		reg := prometheus.NewRegistry()
		id, err := identity.New(cfg, reg, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		counted := map[string]float64{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			c := all[name].credentials()
			subject, err := id.Authenticate(t.Context(), engine.View(), c)
			again, errAgain := id.Authenticate(t.Context(), engine.View(), c)
			if !errors.Is(errAgain, err) || !sameSubject(subject, again) {
				t.Errorf("%s: asked again: got %v %v, want %v %v as at first", name, again, errAgain, subject, err)
			}
			text := answerOf(t, name, subject, err)
			if text != "nobody" {
				word, _, _ := strings.Cut(text, "{") // "" before a subject
				counted[cmp.Or(word, "verified")] += 2
			}
			kind, _, _ := strings.Cut(name, ":")
			if want := map[string]string{"good": "{", "nobody": "nobody"}[kind]; want == "" && (err == nil) || !strings.HasPrefix(text, want) {
				t.Errorf("%s: got %s", name, text)
			}
			fmt.Fprintf(&got, "%s\n\t%s\n", name, text)
		}
		_, kind, _ := strings.Cut(t.Name(), "/")
		kind, _, _ = strings.Cut(kind, "-")
		if diff := gocmp.Diff(counted, credentialsCounted(t, reg, kind)); diff != "" {
			t.Errorf("rolegate_credentials_total of %s by result (-want +got):\n%s", kind, diff)
		}
		said := logged(t, logs) + gathered(t, reg)
		for _, secret := range []string{"canary"} {
			if strings.Contains(said, secret) {
				t.Errorf("logs or metrics tell %q:\n%s", secret, said)
			}
		}
		return got.String()
	})
	if requests < 120 && !t.Failed() {
		t.Errorf("%d requests, want at least 120", requests)
	}
}

// credentialsCounted is how many credentials of a kind were counted, by result. Those of
// other kinds are under their name.
func credentialsCounted(t *testing.T, reg *prometheus.Registry, kind string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "rolegate_credentials_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			name := labels["result"]
			if labels["kind"] != kind {
				name = labels["kind"] + ": " + name
			}
			counted[name] += m.GetCounter().GetValue()
		}
	}
	return counted
}

// written puts in what a case abbreviates: the digest of an API key, {512} bytes, a long value.
func written(doc []byte) []byte {
	long := strings.Repeat("x", 9<<10)
	doc = bytes.ReplaceAll(doc, []byte("{512}"), bytes.Repeat([]byte("x"), 512))
	doc = regexp.MustCompile(`"(DIGEST|HEX):[^"]*"`).ReplaceAllFunc(doc, func(quoted []byte) []byte {
		_, key, _ := strings.Cut(strings.Trim(string(quoted), `"`), ":")
		return fmt.Appendf(nil, "%q", fmt.Sprintf("%x", sha256.Sum256([]byte(key))))
	})
	return []byte(strings.ReplaceAll(string(doc), `"LONG"`, `"`+long+`"`))
}

func sameSubject(a, b policy.Subject) bool {
	x, _ := a.Value()
	y, _ := b.Value()
	return a.ID == b.ID && a.Error == b.Error && (x == nil) == (y == nil) && (x == nil || x.Compare(y) == 0)
}

func answerOf(t *testing.T, name string, subject policy.Subject, err error) string {
	t.Helper()
	if err != nil {
		bad, ok := errors.AsType[token.Error](err)
		if !ok || subject.ID != "" || subject.Claims != nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v beside error %v", name, subject, err)
		}
		return string(bad)
	}
	v, ok := subject.Value()
	if !ok {
		return "nobody"
	}
	return v.String()
}

// TestAPIKeyWithoutData: before there are bundles a key is nobody's, which is not no key.
func TestAPIKeyWithoutData(t *testing.T) {
	id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{{APIKey: &identity.APIKey{}}}}, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	subject, err := authenticate(t, id, headers{"x-api-key": {"canary-0123456789-abc"}})
	if !errors.Is(err, token.ErrUnknownAPIKey) || subject.ID != "" {
		t.Errorf("got %v, error %v, want %v", subject, err, token.ErrUnknownAPIKey)
	}
}

// TestTrustedHeaderBytes: what a trusted peer says is a text without control characters, of
// at most 8 KiB.
func TestTrustedHeaderBytes(t *testing.T) {
	id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{
		{Headers: &identity.Headers{From: identity.Trusted{Sockets: []string{"/run/edge.sock"}}, ID: "x-user"}},
	}}, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	const longest = 8 << 10
	for value, want := range map[string]error{
		strings.Repeat("u", longest): nil, strings.Repeat("u", longest+1): token.ErrTooLarge,
		"u\xff": token.ErrMalformed, "u\x7f": token.ErrMalformed, "u\u0085": token.ErrMalformed, "\xc3\xa9": nil,
	} {
		subject, err := id.Authenticate(t.Context(), policy.View{}, proxy.Credentials{
			Socket: "/run/edge.sock", Headers: headers{"x-user": {value}},
		})
		if !errors.Is(err, want) || (err == nil) != (subject.ID == value) {
			t.Errorf("%d bytes, %.20q: got %.20v, error %v, want %v", len(value), value, subject, err, want)
		}
	}
}

// TestHeadersAreNamed: whoever takes out of requests what we believe of some peers learns
// every name of it, and an operator is warned.
func TestHeadersAreNamed(t *testing.T) {
	from := identity.Trusted{Peers: []string{"CN=edge"}}
	for _, tt := range []struct {
		headers []identity.Headers
		want    []string
	}{
		{nil, nil},
		{[]identity.Headers{{From: from, ID: "X-User"}}, []string{"x-user"}},
		{
			[]identity.Headers{
				{From: from, ID: "x-e", Tenant: "x-D", Email: "x-c", Roles: "x-b", Permissions: "x-a"},
				{From: from, ID: "x-other", Roles: "x-b"},
			},
			[]string{"x-a", "x-b", "x-c", "x-d", "x-e", "x-b", "x-other"},
		},
	} {
		cfg := identity.Config{Authenticators: []identity.Authenticator{{APIKey: &identity.APIKey{}}}}
		for _, h := range tt.headers {
			cfg.Authenticators = append(cfg.Authenticators, identity.Authenticator{Headers: &h})
		}
		core, logs := observer.New(zapcore.WarnLevel)
		id, err := identity.New(cfg, nil, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(tt.want, id.Headers()); diff != "" {
			t.Errorf("Headers of %+v (-want +got):\n%s", tt.headers, diff)
		}
		if got, want := logs.Len(), min(len(tt.headers), 1); got != want {
			t.Errorf("%d authenticators by headers: %d warnings, want %d", len(tt.headers), got, want)
		}
	}
}

// odd is metadata that is no JSON.
type odd struct{}

func (odd) Metadata(string, string) (ast.Value, bool, error) { return ast.Var("x"), true, nil }

// TestOddMetadata: metadata that is there and no payload is bad, not absent.
func TestOddMetadata(t *testing.T) {
	id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{
		{Metadata: &identity.Metadata{Key: "verified", Issuers: []identity.PayloadIssuer{{Issuer: issuerURL, AnyAudience: true}}}},
	}}, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	subject, err := id.Authenticate(t.Context(), policy.View{}, proxy.Credentials{Headers: headers{}, Metadata: odd{}})
	if !errors.Is(err, token.ErrMalformed) || subject.ID != "" {
		t.Errorf("got %v, error %v, want %v", subject, err, token.ErrMalformed)
	}
}

// TestRememberedHeaders: who headers name does not depend on what was asked before, and
// whoever is not trusted is believed nothing that a trusted peer said.
func TestRememberedHeaders(t *testing.T) {
	const edge = "CN=edge"
	build := func(entries int) *identity.Identity {
		id, err := identity.New(identity.Config{
			Remember: identity.Remember{Entries: entries},
			Authenticators: []identity.Authenticator{{Headers: &identity.Headers{
				From: identity.Trusted{Peers: []string{edge}}, ID: "x-user", Tenant: "x-tenant", Roles: "x-roles",
			}}},
		}, nil, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	remembers, forgets := build(4), build(-1)
	values := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "ab", "a b", "\x01", "\x01a", strings.Repeat("a", 300), strings.Repeat("a", 600)}), 0, 2)
	named := 0
	ask := func(t *rapid.T) {
		h := headers{}
		for _, name := range []string{"x-user", "x-tenant", "x-roles"} {
			if v := values.Draw(t, name); len(v) > 0 {
				h[name] = v
			}
		}
		c := proxy.Credentials{Headers: h, Principal: rapid.SampledFrom([]string{edge, edge, "CN=other"}).Draw(t, "peer")}
		want, wantErr := forgets.Authenticate(t.Context(), policy.View{}, c)
		for range 2 {
			got, err := remembers.Authenticate(t.Context(), policy.View{}, c)
			if !errors.Is(err, wantErr) || got.ID != want.ID || got.Type != want.Type || ast.Compare(got.Claims, want.Claims) != 0 {
				t.Fatalf("%v of %s: got %v %v, want %v %v", h, c.Principal, got, err, want, wantErr)
			}
		}
		if c.Principal != edge && want.ID != "" {
			t.Fatalf("%v: %s was believed", h, c.Principal)
		}
		if want.ID != "" {
			named++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			ask(t)
		}
	})
	if named == 0 {
		t.Error("nobody was named: the law was not tried")
	}
}
