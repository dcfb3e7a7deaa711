package identity_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/issue"
	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// publisher is an issuer's web server, with faults.
type publisher struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	fetches atomic.Int64
}

func newPublisher(t *testing.T, secure bool) *publisher {
	t.Helper()
	p := &publisher{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fetches.Add(1)
		(*p.answer.Load())(w, r)
	})
	if secure {
		p.Server = httptest.NewTLSServer(handler)
	} else {
		p.Server = httptest.NewServer(handler)
	}
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) does(f http.HandlerFunc) { p.answer.Store(&f) }

func (p *publisher) says(doc []byte) {
	p.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(doc) })
}

func (p *publisher) publishes(t *testing.T, published ...*issue.Key) {
	t.Helper()
	doc, err := issue.JWKS(published...)
	if err != nil {
		t.Fatal(err)
	}
	p.says(doc)
}

func remoteConfig(uri string, fetch identity.Fetch) identity.Config {
	return identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: []identity.Issuer{
		{Issuer: issuerURL, JWKSURI: uri, JWKS: fetch, Audiences: []string{audience}, Claims: identity.Claims{Preset: "rolegate"}},
	}}}}}
}

// run runs id until the test ends.
func run(t *testing.T, id *identity.Identity) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- id.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

// TestRotation: a key that is published after the start is found at the first token that
// names it, one that is taken back takes the tokens that were remembered with it.
func TestRotation(t *testing.T) {
	w, p, reg := newWorld(t), newPublisher(t, false), prometheus.NewRegistry()
	p.publishes(t, w.ed)
	id := load(t, remoteConfig(p.URL, identity.Fetch{Refresh: time.Second}), reg, zap.NewNop())
	run(t, id)
	first, second := bearer(mustSign(t, w.ed, payload(issuerURL, nil))), bearer(mustSign(t, w.ec, payload(issuerURL, nil)))
	for range 2 { // the second time it is remembered
		if _, err := authenticate(t, id, first); err != nil {
			t.Fatalf("a token of the first key: %v", err)
		}
	}
	p.publishes(t, w.ed, w.ec)
	before, began := p.fetches.Load(), time.Now()
	// At once, but on a machine that has better to do the wait of one request may end first.
	eventually(t, "a token of a key published since has it fetched", func() bool {
		_, err := authenticate(t, id, second)
		return err == nil
	})
	// The usual ones are 0.9 s apart at least.
	if n, usual := p.fetches.Load()-before, int64(time.Since(began)/(900*time.Millisecond))+1; n > 1+usual {
		t.Errorf("one new key made %d fetches, want one, beside %d usual ones at most", n, usual)
	}
	p.publishes(t, w.ec)
	eventually(t, "the first key is taken back", func() bool {
		_, err := authenticate(t, id, first)
		return errors.Is(err, token.ErrUnknownKey)
	})
	if _, err := authenticate(t, id, second); err != nil {
		t.Errorf("a token of the second key: %v", err)
	}
	if got := metric(t, reg, "rolegate_jwks_refreshes_total", "ok"); got != 3 {
		t.Errorf("refreshes ok: got %v, want 3", got)
	}
}

// TestOutage: the last good keys do while the issuer is down.
func TestOutage(t *testing.T) {
	w, p, reg := newWorld(t), newPublisher(t, false), prometheus.NewRegistry()
	core, logs := observer.New(zapcore.InfoLevel)
	p.publishes(t, w.ed)
	const maxStale = 3 * time.Second
	began := time.Now()
	id := load(t, remoteConfig(p.URL, identity.Fetch{Refresh: time.Second, MaxStale: maxStale}), reg, zap.New(core))
	run(t, id)
	request := bearer(mustSign(t, w.ed, payload(issuerURL, nil)))
	p.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	eventually(t, "the outage is seen", func() bool { return metric(t, reg, "rolegate_jwks_broken", "") == 1 })
	if _, err := authenticate(t, id, request); err != nil && time.Since(began) < maxStale { // a busy machine may be late
		t.Errorf("during the outage: %v", err)
	}
	eventually(t, "the keys are too old", func() bool {
		_, err := authenticate(t, id, request)
		return errors.Is(err, token.ErrStaleKeys)
	})
	p.publishes(t, w.ed)
	eventually(t, "the issuer is back", func() bool {
		_, err := authenticate(t, id, request)
		return err == nil
	})
	if got := metric(t, reg, "rolegate_jwks_broken", ""); got != 0 {
		t.Errorf("rolegate_jwks_broken: got %v, want 0", got)
	}
	if n := logs.FilterMessage("keys cannot be fetched").Len(); n != 1 {
		t.Errorf("%d log lines about one outage, want 1", n)
	}
}

// TestNoKeysYet: an issuer that is down at the start keeps nobody from starting.
func TestNoKeysYet(t *testing.T) {
	w, p := newWorld(t), newPublisher(t, false)
	p.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	id := load(t, remoteConfig(p.URL, identity.Fetch{}), nil, zap.NewNop())
	request := bearer(mustSign(t, w.ed, payload(issuerURL, nil)))
	if _, err := authenticate(t, id, request); !errors.Is(err, token.ErrNoKeys) {
		t.Errorf("got error %v, want %v", err, token.ErrNoKeys)
	}
	p.publishes(t, w.ed)
	run(t, id)
	eventually(t, "the keys are fetched", func() bool {
		_, err := authenticate(t, id, request)
		return err == nil
	})
}

// TestUnknownKeysDoNotFlood: many tokens of keys that nobody published cost the issuer
// one fetch, and take little of anybody's time.
func TestUnknownKeysDoNotFlood(t *testing.T) {
	w, p := newWorld(t), newPublisher(t, false)
	p.publishes(t, w.ed)
	id := load(t, remoteConfig(p.URL, identity.Fetch{}), nil, zap.NewNop())
	run(t, id)
	before := p.fetches.Load()
	for i := range 100 {
		kid := strings.Repeat("k", i)
		text := signAs(t, `{"alg":"EdDSA","kid":"`+kid+`"}`, `{"iss":"`+issuerURL+`"}`, "EdDSA", w.edPriv)
		if _, err := authenticate(t, id, bearer(text)); !errors.Is(err, token.ErrUnknownKey) {
			t.Fatalf("kid %q: got error %v, want %v", kid, err, token.ErrUnknownKey)
		}
	}
	if n := p.fetches.Load() - before; n != 1 {
		t.Errorf("100 unknown keys made %d fetches, want 1", n)
	}
}

// TestWaitEndsWithTheRequest: a request that asks for keys waits no longer than its
// caller does.
func TestWaitEndsWithTheRequest(t *testing.T) {
	w, p := newWorld(t), newPublisher(t, false)
	p.publishes(t, w.ed)
	id := load(t, remoteConfig(p.URL, identity.Fetch{}), nil, zap.NewNop())
	// Nobody runs, so nobody fetches.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := bearer(mustSign(t, w.ec, payload(issuerURL, nil))).credentials()
	if _, err := id.Authenticate(ctx, policy.View{}, c); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("got error %v, want %v", err, token.ErrUnknownKey)
	}
}

// TestBadPublishers: whatever answers, the keys of before stay.
func TestBadPublishers(t *testing.T) {
	w := newWorld(t)
	other := newPublisher(t, true)
	other.publishes(t, w.ed)
	good, err := issue.JWKS(w.ed)
	if err != nil {
		t.Fatal(err)
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	write := func(doc string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(doc)) }
	}
	for name, f := range map[string]http.HandlerFunc{
		"status 404": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound); _, _ = w.Write(good) },
		"status 204": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"status 206": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(good)
		},
		"nothing":       write(""),
		"HTML":          write("<html>"),
		"no set":        write(`{"key":[]}`),
		"a private key": write(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}]}`),
		"a kid twice":   write(`{"keys":[],"keys":[]}`),
		"too large":     write(`{"keys":[],"x":"` + strings.Repeat("x", keys.MaxDocument) + `"}`),
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000")
			_, _ = w.Write(good)
		},
		"hangs":                   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drips":                   func(w http.ResponseWriter, r *http.Request) { drip(w, r) },
		"redirects to a file":     redirect("file:///etc/passwd"),
		"redirects to itself":     redirect("/"),
		"redirects to https":      redirect(other.URL),
		"redirects off this host": redirect("http://idp.example.invalid/jwks.json"),
		"redirects to metadata":   redirect("http://169.254.169.254/latest/"),
		"redirects with a user":   redirect(strings.Replace(other.URL, "https://", "http://a:b@", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(t, false)
			p.does(f)
			core, logs := observer.New(zapcore.InfoLevel)
			id := load(t, remoteConfig(p.URL, identity.Fetch{Timeout: 50 * time.Millisecond}), nil, zap.New(core))
			if _, err := authenticate(t, id, bearer(mustSign(t, w.ed, payload(issuerURL, nil)))); !errors.Is(err, token.ErrNoKeys) {
				t.Errorf("got error %v, want %v", err, token.ErrNoKeys)
			}
			said := logs.FilterMessage("keys cannot be fetched").All()
			if len(said) != 1 || strings.Contains(said[0].ContextMap()["error"].(string), "passwd") {
				t.Errorf("got logs %v, want one that says why", logs.All())
			}
			if n := p.fetches.Load(); n > 5 {
				t.Errorf("%d requests, want at most 5", n)
			}
		})
	}
	if other.fetches.Load() != 0 {
		t.Error("a redirect to another scheme was followed")
	}
}

// drip answers a byte at a time, for ever.
func drip(w http.ResponseWriter, r *http.Request) {
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	for {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-ticks.C:
		}
	}
}

// TestSecurePublisher: over https its certificate must be of the system's roots, or of
// those that are configured. A redirect by the same scheme is followed.
func TestSecurePublisher(t *testing.T) {
	w, p := newWorld(t), newPublisher(t, true)
	doc, err := issue.JWKS(w.ed)
	if err != nil {
		t.Fatal(err)
	}
	p.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
			return
		}
		_, _ = w.Write(doc)
	})
	w.write(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}))
	request := bearer(mustSign(t, w.ed, payload(issuerURL, nil)))
	for file, want := range map[string]error{
		w.path("ca.pem"): nil, "": token.ErrNoKeys, w.path("nowhere.pem"): token.ErrNoKeys, w.path("jwks.json"): token.ErrNoKeys,
	} {
		id := load(t, remoteConfig(p.URL, identity.Fetch{CAFile: file}), nil, zap.NewNop())
		if _, err := authenticate(t, id, request); !errors.Is(err, want) {
			t.Errorf("ca_file %q: got error %v, want %v", file, err, want)
		}
	}
	if err := os.Remove(w.path("ca.pem")); err != nil {
		t.Fatal(err)
	}
}
