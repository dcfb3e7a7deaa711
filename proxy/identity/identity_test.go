package identity_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/issue"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

func TestZeroConfigBelievesNobody(t *testing.T) {
	id := load(t, identity.Config{}, nil, zap.NewNop())
	subject, err := authenticate(t, id, bearer("x"))
	if err != nil || subject.ID != "" {
		t.Errorf("got %v %v, want nobody", subject, err)
	}
}

func TestBeforeLoadNoKeyVerifies(t *testing.T) {
	w := newWorld(t)
	id, err := identity.New(w.config(), nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authenticate(t, id, bearer(mustSign(t, w.ed, payload(issuerURL, nil)))); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("got error %v, want %v", err, token.ErrUnknownKey)
	}
}

// TestBitFlips turns every bit of a token, one at a time, in its text: whatever it
// is then, it is refused.
func TestBitFlips(t *testing.T) {
	w := newWorld(t)
	id := w.identity(t)
	for name, k := range map[string]*issue.Key{"EdDSA": w.ed, "ES256": w.ec, "RS256": w.rsa} {
		text := mustSign(t, k, payload(issuerURL, nil))
		if _, err := authenticate(t, id, bearer(text)); err != nil {
			t.Fatalf("%s: the token itself: %v", name, err)
		}
		for i := range len(text) * 8 {
			flipped := []byte(text)
			flipped[i/8] ^= 1 << (i % 8)
			subject, err := authenticate(t, id, bearer(string(flipped)))
			if _, ok := errors.AsType[token.Error](err); !ok {
				t.Errorf("%s: bit %d of byte %d turned: got %v %v, want a refusal\ntoken: %s", name, i%8, i/8, subject, err, flipped)
			}
		}
	}
}

func TestMemoryAnswersTheSameSubject(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	id := load(t, w.config(), reg, zap.NewNop())
	request := bearer(mustSign(t, w.ed, payload(issuerURL, nil)))
	first, err := authenticate(t, id, request)
	if err != nil {
		t.Fatal(err)
	}
	second, err := authenticate(t, id, request)
	if err != nil {
		t.Fatal(err)
	}
	if first.Claims != second.Claims || first.ID != second.ID || first.Type != second.Type {
		t.Errorf("remembered subject: got %v, want %v itself", second, first)
	}
	wantCount(t, reg, "verified", 1)
	wantCount(t, reg, "remembered", 1)
	if allocs := testing.AllocsPerRun(100, func() { _, _ = authenticate(t, id, request) }); allocs != 0 {
		t.Errorf("a remembered token costs %v allocations, want 0", allocs)
	}
	// The same text from another place is another question.
	if _, err := authenticate(t, id, headers{headerName: {request["authorization"][0][len("Bearer "):]}}); !errors.Is(err, token.ErrUnknownIssuer) {
		t.Errorf("at another place: got error %v, want %v", err, token.ErrUnknownIssuer)
	}
}

func wantCount(t *testing.T, reg *prometheus.Registry, result string, want float64) {
	t.Helper()
	if got := metric(t, reg, "rolegate_jwt_validations_total", result); got != want {
		t.Errorf("validations %s: got %v, want %v", result, got, want)
	}
}

// metric is the value of a counter or a gauge by its name and its label, if it has
// one; 0 where there is none.
func metric(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// keyFiles is a world whose tokens were verified once, and remembered.
type keyFiles struct {
	*world
	id      *identity.Identity
	logs    *observer.ObservedLogs
	ed, rsa headers
}

func newKeyFiles(t *testing.T) *keyFiles {
	t.Helper()
	w := newWorld(t)
	core, logs := observer.New(zapcore.InfoLevel)
	f := &keyFiles{
		world: w, logs: logs, id: load(t, w.config(), nil, zap.New(core)),
		ed:  bearer(mustSign(t, w.ed, payload(issuerURL, nil))),
		rsa: bearer(mustSign(t, w.rsa, payload(issuerURL, nil))),
	}
	f.want(t, "at first", nil, nil)
	return f
}

func (f *keyFiles) want(t *testing.T, when string, ed, rsa error) {
	t.Helper()
	if _, err := authenticate(t, f.id, f.ed); !errors.Is(err, ed) {
		t.Errorf("%s: Ed25519 token: got error %v, want %v", when, err, ed)
	}
	if _, err := authenticate(t, f.id, f.rsa); !errors.Is(err, rsa) {
		t.Errorf("%s: RSA token: got error %v, want %v", when, err, rsa)
	}
}

func (f *keyFiles) load(t *testing.T) {
	t.Helper()
	if err := f.id.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRemovedKeyDropsRememberedTokens(t *testing.T) {
	f := newKeyFiles(t)
	f.writeJWKS(t, f.world.rsa)
	f.want(t, "before the look", nil, nil)
	f.load(t)
	f.want(t, "one key removed", token.ErrUnknownKey, nil)
	f.writeJWKS(t)
	f.load(t)
	f.want(t, "all keys removed", token.ErrUnknownKey, token.ErrUnknownKey)
	if f.logs.FilterMessageSnippet("holds no key").Len() != 1 {
		t.Errorf("logs: %v, want one that says that the file holds no key", f.logs.All())
	}
	f.writeJWKS(t, f.world.ed, f.world.rsa)
	f.load(t)
	f.want(t, "all back", nil, nil)
}

func TestReplacedKeyUnderTheSameName(t *testing.T) {
	f := newKeyFiles(t)
	other, err := issue.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := issue.JWKS(other, f.world.rsa)
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "jwks.json", []byte(strings.ReplaceAll(string(doc), other.ID(), f.world.ed.ID())))
	f.load(t)
	f.want(t, "another key under the name", token.ErrBadSignature, nil)
}

func TestLastGoodKeysStay(t *testing.T) {
	f := newKeyFiles(t)
	logged := func() int { return f.logs.FilterMessage("key file is of no use").Len() }
	for i, doc := range []string{"", "{", `{"keys":1}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}]}`, `{"keys":[],"keys":[]}`} {
		f.write(t, "jwks.json", []byte(doc))
		f.load(t)
		f.load(t)
		f.want(t, doc, nil, nil)
		if got := logged(); got > i+1 || got == 0 {
			t.Errorf("%q: got %d log lines, want one for each new problem: %v", doc, got, f.logs.All())
		}
	}
	before := logged()
	if err := os.Remove(f.path("jwks.json")); err != nil {
		t.Fatal(err)
	}
	f.load(t)
	f.load(t)
	f.want(t, "file removed", nil, nil)
	if logged() != before+1 {
		t.Errorf("file removed: got %d log lines, want 1", logged()-before)
	}
	f.writeJWKS(t, f.world.ed)
	f.load(t)
	f.want(t, "well again", nil, token.ErrUnknownKey)
}

func TestLoadNamesFilesWithoutKeys(t *testing.T) {
	w := newWorld(t)
	w.write(t, "secret", []byte("too-short-canary"))
	if err := os.Remove(w.path("ed.pem")); err != nil {
		t.Fatal(err)
	}
	id, err := identity.New(w.config(), nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	err = id.Load(t.Context())
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"ed.pem of issuer " + pemURL + ": no such file", "secret of issuer " + secretURL + ": is too short for HS256: want at least 32 bytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got error %q, want it to say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("error %q tells of the secret", err)
	}
}

func TestRunSeesAChangedFile(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Poll = 10 * time.Millisecond
	id, err := identity.New(cfg, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- id.Run(ctx) }()
	request := bearer(mustSign(t, w.ed, payload(issuerURL, nil)))
	eventually(t, "the token verifies", func() bool {
		_, err := authenticate(t, id, request)
		return err == nil
	})
	// In place, as a careless program does, and of the same length.
	doc, err := os.ReadFile(w.path("jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(doc), w.ed.ID(), strings.Repeat("x", len(w.ed.ID())))
	if err := os.WriteFile(w.path("jwks.json"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token does not verify", func() bool {
		_, err := authenticate(t, id, request)
		return errors.Is(err, token.ErrUnknownKey)
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: got error %v, want nil when ctx is done", err)
	}
}

// TestSymlinkSwap changes keys as Kubernetes does: a link to a folder is replaced.
func TestSymlinkSwap(t *testing.T) {
	f := newKeyFiles(t)
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(f.path(version), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put := func(version string, published ...*issue.Key) {
		f.writeJWKS(t, published...)
		if err := os.Rename(f.path("jwks.json"), f.path(version+"/jwks.json")); err != nil {
			t.Fatal(err)
		}
	}
	point := func(version string) {
		if err := errors.Join(os.Symlink(version, f.path("tmp")), os.Rename(f.path("tmp"), f.path("..data"))); err != nil {
			t.Fatal(err)
		}
	}
	put("v1", f.world.ed)
	put("v2", f.world.rsa)
	point("v1")
	if err := os.Symlink("..data/jwks.json", f.path("jwks.json")); err != nil {
		t.Fatal(err)
	}
	f.load(t)
	f.want(t, "v1", nil, token.ErrUnknownKey)
	point("v2")
	f.load(t)
	f.want(t, "v2", token.ErrUnknownKey, nil)
}

// TestConcurrentUse is for the race detector: tokens are verified and remembered
// while their keys change.
func TestConcurrentUse(t *testing.T) {
	f := newKeyFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	const callers = 4
	for range callers {
		go func() {
			for ctx.Err() == nil {
				subject, err := f.id.Authenticate(ctx, policy.View{}, proxy.Credentials{Headers: f.ed})
				if err == nil {
					_ = subject.Claims.String() // readers share it
				}
				if err != nil && !errors.Is(err, token.ErrUnknownKey) {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 20 {
		f.writeJWKS(t, f.world.rsa)
		f.load(t)
		if _, err := authenticate(t, f.id, f.ed); !errors.Is(err, token.ErrUnknownKey) {
			t.Errorf("key removed: got error %v, want %v", err, token.ErrUnknownKey)
		}
		f.writeJWKS(t, f.world.ed, f.world.rsa)
		f.load(t)
	}
	cancel()
	for range callers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestFirstCredentialDecides(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	first, second := cfg.Authenticators[0], cfg.Authenticators[0]
	first.JWT = &identity.JWT{Issuers: cfg.Authenticators[0].JWT.Issuers[3:4]}  // cookie
	second.JWT = &identity.JWT{Issuers: cfg.Authenticators[0].JWT.Issuers[0:1]} // bearer
	id := load(t, identity.Config{Authenticators: []identity.Authenticator{first, second}}, nil, zap.NewNop())
	good := bearer(mustSign(t, w.ed, payload(issuerURL, nil)))
	if subject, err := authenticate(t, id, good); err != nil || subject.ID != "u-17" {
		t.Errorf("second alone: got %v %v, want u-17", subject, err)
	}
	good["cookie"] = []string{cookieName + "=" + mustSign(t, w.ed, payload(cookieURL, map[string]any{"sub": "first"}))}
	if subject, err := authenticate(t, id, good); err != nil || subject.ID != "first" {
		t.Errorf("both: got %v %v, want first", subject, err)
	}
	good["cookie"] = []string{cookieName + "=x"}
	if subject, err := authenticate(t, id, good); !errors.Is(err, token.ErrMalformed) || subject.ID != "" {
		t.Errorf("first is bad: got %v %v, want %v", subject, err, token.ErrMalformed)
	}
}

// TestUnchangedFile: what is not changed drops nothing, however often it is looked
// at or written.
func TestUnchangedFile(t *testing.T) {
	f := newKeyFiles(t)
	taken := func() int { return f.logs.FilterMessage("keys taken into use").Len() }
	before := taken()
	for range 3 {
		f.writeJWKS(t, f.world.ed, f.world.rsa, f.ec)
		f.load(t)
		f.load(t)
	}
	if got := taken() - before; got != 0 {
		t.Errorf("the same keys were taken into use %d times more", got)
	}
}

// TestSameStat changes a file's content and nothing that stat tells, within the
// time that a file system cannot tell apart.
func TestSameStat(t *testing.T) {
	f := newKeyFiles(t)
	path := f.path("jwks.json")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(doc), f.world.ed.ID(), strings.Repeat("x", len(f.world.ed.ID())))
	if err := errors.Join(os.WriteFile(path, []byte(changed), 0o600), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	f.load(t)
	f.want(t, "changed behind stat", token.ErrUnknownKey, nil)
}

// TestBrokenFileStaysBroken: a file that was broken long ago is so at every look.
func TestBrokenFileStaysBroken(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	id := load(t, w.config(), reg, zap.NewNop())
	w.write(t, "jwks.json", []byte("{"))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(w.path("jwks.json"), old, old); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := id.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := metric(t, reg, "rolegate_jwks_broken", ""); got != 1 {
			t.Errorf("rolegate_jwks_broken: got %v, want 1", got)
		}
	}
}

// TestValidationsAreCounted: each look at a token is counted once, by what came of it;
// no token is no look.
func TestValidationsAreCounted(t *testing.T) {
	w, reg := newWorld(t), prometheus.NewRegistry()
	id := load(t, w.config(), reg, zap.NewNop())
	good := mustSign(t, w.ed, payload(issuerURL, nil))
	for _, h := range []headers{
		bearer(good), bearer(good), bearer("x"), bearer("x"), bearer(good + "," + good),
		bearer(mustSign(t, w.ed, payload("https://evil.example", nil))),
		{},
		{"authorization": {"Basic dTpw"}},
	} {
		_, _ = authenticate(t, id, h)
	}
	for word, want := range map[string]float64{
		"verified": 1, "remembered": 1, "malformed": 2, "ambiguous": 1, "unknown_issuer": 1, "": 0,
	} {
		wantCount(t, reg, word, want)
	}
}

// TestIssuersHaveTheirOwnKeys: a key of one issuer verifies no token of another, and a
// source that two name is one.
func TestIssuersHaveTheirOwnKeys(t *testing.T) {
	w := newWorld(t)
	const other = "https://other.example"
	one, two := newPublisher(t, false), newPublisher(t, false)
	one.publishes(t, w.ed)
	two.publishes(t, w.ec)
	for name, doc := range map[string]*issue.Key{"one.json": w.ed, "two.json": w.ec} {
		text, err := issue.JWKS(doc)
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, name, text)
	}
	for name, pair := range map[string][2]identity.Issuer{
		"files": {{JWKSFile: w.path("one.json")}, {JWKSFile: w.path("two.json")}},
		"sets":  {{JWKSURI: one.URL}, {JWKSURI: two.URL}},
		"paths": {{JWKSURI: one.URL + "/a"}, {JWKSURI: two.URL + "/a"}},
	} {
		for i, iss := range []string{issuerURL, other} {
			pair[i].Issuer, pair[i].AnyAudience = iss, true
		}
		id := load(t, identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: pair[:]}}}}, nil, zap.NewNop())
		for iss, own := range map[string]*issue.Key{issuerURL: w.ed, other: w.ec} {
			for _, k := range []*issue.Key{w.ed, w.ec} {
				_, err := authenticate(t, id, bearer(mustSign(t, k, payload(iss, nil))))
				if (err == nil) != (k == own) {
					t.Errorf("%s: token of %s with the key %s: got error %v, want it good: %v", name, iss, k.ID(), err, k == own)
				}
			}
		}
	}
}

// TestSharedSources: what two issuers name is read once, and named with both of them.
func TestSharedSources(t *testing.T) {
	w, p := newWorld(t), newPublisher(t, false)
	p.publishes(t, w.ed)
	with := func(issuers ...identity.Issuer) (*identity.Identity, *observer.ObservedLogs) {
		for i := range issuers {
			issuers[i].Issuer, issuers[i].AnyAudience = "https://"+string("abc"[i])+".example", true
		}
		core, logs := observer.New(zapcore.InfoLevel)
		cfg := identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: issuers}}}}
		id, err := identity.New(cfg, nil, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		return id, logs
	}
	id, logs := with(identity.Issuer{JWKSURI: p.URL}, identity.Issuer{JWKSURI: p.URL}, identity.Issuer{JWKSURI: p.URL, JWKS: identity.Fetch{Timeout: time.Second}})
	if err := id.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("two issuers with one set and one that has it fetched in another way: %d fetches, want 2", n)
	}
	var of []string
	for _, e := range logs.FilterMessage("keys taken into use").All() {
		of = append(of, fmt.Sprint(e.ContextMap()["issuers"]))
	}
	slices.Sort(of)
	if diff := cmp.Diff([]string{"[https://a.example https://b.example]", "[https://c.example]"}, of); diff != "" {
		t.Errorf("issuers of the sets that were taken into use (-want +got):\n%s", diff)
	}

	// One file in two formats is two.
	id, _ = with(identity.Issuer{JWKSFile: w.path("jwks.json")}, identity.Issuer{JWKSFile: w.path("jwks.json")}, identity.Issuer{PEMFile: w.path("jwks.json")})
	if err := id.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "jwks.json of issuer https://c.example: is not PEM") {
		t.Errorf("a JWK Set as PEM: got error %v", err)
	}
	id, _ = with(identity.Issuer{JWKSFile: w.path("nowhere")}, identity.Issuer{JWKSFile: w.path("nowhere")})
	if err := id.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "of issuer https://a.example, https://b.example: ") {
		t.Errorf("a file of two issuers that is not there: got error %v, want it to name both", err)
	}
}

// TestNewAndLoadFail: metrics that cannot be registered, and a load that nobody waits for.
func TestNewAndLoadFail(t *testing.T) {
	reg := prometheus.NewRegistry()
	id, err := identity.New(identity.Config{}, reg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.New(identity.Config{}, reg, zap.NewNop()); err == nil {
		t.Error("the same metrics twice: got no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := id.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Load when ctx is done: got error %v, want %v", err, context.Canceled)
	}
}

// TestKeyFilesAreCounted: each look at a file that is of no use, how many are, and each set
// that is taken into use.
func TestKeyFilesAreCounted(t *testing.T) {
	w, reg := newWorld(t), prometheus.NewRegistry()
	core, logs := observer.New(zapcore.InfoLevel)
	id := load(t, w.config(), reg, zap.New(core))
	good, err := os.ReadFile(w.path("jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		when                  string
		write                 func()
		ok, failed, broken    float64
		saidWellAgain, loaded int
	}{
		{"at the start", func() {}, 3, 0, 0, 0, 3},
		{"broken", func() { w.write(t, "jwks.json", []byte("{")) }, 3, 1, 1, 0, 3},
		{"broken still", func() {}, 3, 2, 1, 0, 3},
		{"broken in another way", func() { w.write(t, "jwks.json", []byte("[]")) }, 3, 3, 1, 0, 3},
		{"two broken", func() { w.write(t, "secret", []byte("short")) }, 3, 5, 2, 0, 3},
		{"one is what it was", func() { w.write(t, "jwks.json", good) }, 3, 6, 1, 1, 3},
		{"and stays so", func() {}, 3, 7, 1, 1, 3},
		{"the other is another", func() { w.write(t, "secret", []byte(secretText+secretText)) }, 4, 7, 0, 1, 4},
		{"all is well", func() {}, 4, 7, 0, 1, 4},
	} {
		tt.write()
		if err := id.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]float64{"ok": tt.ok, "error": tt.failed} {
			if got := metric(t, reg, "rolegate_jwks_refreshes_total", name); got != want {
				t.Errorf("%s: rolegate_jwks_refreshes_total %s: got %v, want %v", tt.when, name, got, want)
			}
		}
		if got := metric(t, reg, "rolegate_jwks_broken", ""); got != tt.broken {
			t.Errorf("%s: rolegate_jwks_broken: got %v, want %v", tt.when, got, tt.broken)
		}
		if got := logs.FilterMessage("key file is well again").Len(); got != tt.saidWellAgain {
			t.Errorf("%s: %d files are said to be well again, want %d", tt.when, got, tt.saidWellAgain)
		}
		if got := logs.FilterMessage("keys taken into use").Len(); got != tt.loaded {
			t.Errorf("%s: %d sets are said to be taken into use, want %d", tt.when, got, tt.loaded)
		}
	}
}

// TestLoadFetchesOnce: a set that was fetched is not fetched by the next load.
func TestLoadFetchesOnce(t *testing.T) {
	w, p := newWorld(t), newPublisher(t, false)
	p.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	id := load(t, remoteConfig(p.URL, identity.Fetch{}), nil, zap.NewNop())
	p.publishes(t, w.ed)
	for range 3 {
		if err := id.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2: one that failed and one that did not", n)
	}
}
