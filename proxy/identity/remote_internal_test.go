package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/proxy/identity/issue"
	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

func testRemote(cfg Fetch) *remote {
	r := newRemote("https://idp.example/jwks.json", cfg.withDefaults())
	r.metrics, r.log, r.changed = newMetrics(), zap.NewNop(), func() {}
	return r
}

func testDocument(t *testing.T) []byte {
	t.Helper()
	k, err := issue.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := issue.JWKS(k)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestKeysGrowStale: the last good keys are used until they are too old, whatever was
// answered since; the same keys fetched again are young again.
func TestKeysGrowStale(t *testing.T) {
	r, start := testRemote(Fetch{MaxStale: time.Hour}), time.Now()
	if r.current(start) != nil || !errors.Is(r.without(start), token.ErrNoKeys) {
		t.Errorf("at first: got keys, or error %v, want none and %v", r.without(start), token.ErrNoKeys)
	}
	doc := testDocument(t)
	take := func(doc []byte, at time.Time) (bool, error) { return r.take(doc, at) }
	if changed, err := take(doc, start); !changed || err != nil {
		t.Fatalf("take: got %v %v", changed, err)
	}
	first := r.current(start)
	if changed, err := take([]byte("{"), start.Add(30*time.Minute)); changed || err == nil {
		t.Errorf("a broken document: got %v %v, want an error", changed, err)
	}
	for at, want := range map[time.Duration]*keys.Set{0: first, time.Hour - 1: first, time.Hour: nil, 2 * time.Hour: nil} {
		if got := r.current(start.Add(at)); got != want {
			t.Errorf("after %v: got keys %p, want %p", at, got, want)
		}
	}
	if err := r.without(start.Add(time.Hour)); !errors.Is(err, token.ErrStaleKeys) {
		t.Errorf("stale: got error %v, want %v", err, token.ErrStaleKeys)
	}
	if changed, err := take(doc, start.Add(2*time.Hour)); changed || err != nil || r.current(start.Add(2*time.Hour)) != first {
		t.Errorf("the same document again: got changed %v, error %v, want the same keys in use again", changed, err)
	}
}

// TestAsking: however many tokens with however many unknown keys come, the issuer is
// asked once in askEvery.
func TestAsking(t *testing.T) {
	r, now := testRemote(Fetch{}), time.Now()
	kid := func(i int) [sha256.Size]byte { return sha256.Sum256(fmt.Append(nil, i)) }
	woken := func() bool {
		select {
		case <-r.wake:
			return true
		default:
			return false
		}
	}
	turn := r.ask(kid(0), now)
	if turn == nil || !woken() {
		t.Fatal("the first unknown key does not have the set fetched")
	}
	for i := range 3 {
		if r.ask(kid(i), now) != turn || woken() {
			t.Errorf("key %d during the fetch: want it to wait for that one", i)
		}
	}
	r.fetched(false)
	select {
	case <-turn:
	default:
		t.Error("those who wait are not told of the end")
	}
	for i := range 10_000 {
		if r.ask(kid(i), now.Add(askEvery-1)) != nil || woken() {
			t.Fatalf("key %d within %v: has the set fetched", i, askEvery)
		}
	}
	if r.ask(kid(0), now.Add(askEvery)) != nil || woken() {
		t.Errorf("a key that was not there within %v has the set fetched again", absentFor)
	}
	if r.ask(kid(0), now.Add(absentFor-1)) != nil || woken() {
		t.Errorf("a key that was not there has the set fetched again before %v", absentFor)
	}
	if r.ask(kid(1), now.Add(askEvery)) == nil || !woken() {
		t.Errorf("another key after %v does not have the set fetched", askEvery)
	}
	r.fetched(true)
	if len(r.absent) != 0 {
		t.Error("other keys are in use, and some are still known to be absent")
	}
	at := now.Add(askEvery)
	for i := range 2 * maxAbsent {
		at = at.Add(askEvery)
		r.ask(kid(i), at)
		r.fetched(false)
		if len(r.absent) > maxAbsent {
			t.Fatalf("%d absent keys are remembered, want at most %d", len(r.absent), maxAbsent)
		}
	}
}

// TestAbsentKeysAreRemembered: a key that was not there is not asked for again because
// another is.
func TestAbsentKeysAreRemembered(t *testing.T) {
	r, now := testRemote(Fetch{}), time.Now()
	asks := func(kid byte, after time.Duration) bool {
		turn := r.ask([sha256.Size]byte{kid}, now.Add(after))
		r.fetched(false)
		return turn != nil
	}
	for _, tt := range []struct {
		kid   byte
		after time.Duration
		want  bool
	}{
		{1, 0, true},
		{2, askEvery, true},
		{1, 2 * askEvery, false},
		{2, 2 * askEvery, false},
		{1, absentFor - 1, false},
		{1, absentFor, true},
		{2, absentFor + askEvery - 1, false},
		{2, absentFor + askEvery, true},
	} {
		if got := asks(tt.kid, tt.after); got != tt.want {
			t.Errorf("key %d after %v: has the set fetched: %v, want %v", tt.kid, tt.after, got, tt.want)
		}
	}
}

// TestWaiting is what a request gets that asks for a key, and how long it waits for it.
func TestWaiting(t *testing.T) {
	parse := func(doc []byte) *keys.Set {
		set, err := keys.ParseJWKS(doc)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	older := parse(testDocument(t))
	doc := testDocument(t)
	for _, tt := range []struct {
		name  string
		do    func(r *remote) // while it waits
		want  func(r *remote) *keys.Set
		waits time.Duration
	}{
		{"newer keys", func(r *remote) {
			time.Sleep(patience / 2)
			if _, err := r.take(doc, time.Now()); err != nil {
				t.Error(err)
			}
			r.fetched(true)
		}, func(r *remote) *keys.Set { return r.held.Load().set }, patience / 2},
		{"a fetch in vain", func(r *remote) {
			time.Sleep(patience / 2)
			r.fetched(false)
		}, func(*remote) *keys.Set { return older }, patience / 2},
		{"no fetch in time", func(*remote) {}, func(*remote) *keys.Set { return older }, patience},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, start := testRemote(Fetch{}), time.Now()
			go func() {
				<-r.wake
				tt.do(r)
			}()
			got := r.renewed(t.Context(), older, token.Token{KeyID: "a"})
			if want := tt.want(r); got != want || time.Since(start) != tt.waits {
				t.Errorf("%s: got keys %p after %v, want %p after %v", tt.name, got, time.Since(start), want, tt.waits)
			}
			if n := r.waiting.Load(); n != 0 {
				t.Errorf("%s: %d requests wait when none does", tt.name, n)
			}
			r.fetched(false)
			start = time.Now()
			if got := r.renewed(t.Context(), older, token.Token{KeyID: "b"}); got != older || time.Since(start) != 0 {
				t.Errorf("%s: another key a moment later: got keys %p after %v, want %p at once", tt.name, got, time.Since(start), older)
			}
			if n := r.waiting.Load(); n != 0 {
				t.Errorf("%s: %d requests wait when none does", tt.name, n)
			}
		})
	}
}

// TestRunFetchesAgain: a set that cannot be fetched is tried again and again, less and less
// often, until there is nobody to try for.
func TestRunFetchesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRemote(Fetch{Refresh: time.Minute, CAFile: "/nowhere/ca.pem"}) // so that it fails without an address
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.run(ctx); close(ended) }()
		failures := func() int {
			synctest.Wait()
			r.fetching.Lock()
			defer r.fetching.Unlock()
			return r.failures
		}
		if got := failures(); got != 1 {
			t.Errorf("at once: %d fetches, want 1", got)
		}
		time.Sleep(8 * time.Second) // 1 s, 2 s and 4 s, each less a tenth at most
		if got := failures(); got != 4 {
			t.Errorf("after 8 s: %d fetches, want 4", got)
		}
		r.wake <- struct{}{}
		if got := failures(); got != 5 {
			t.Errorf("when a request asks: %d fetches, want 5", got)
		}
		cancel()
		<-ended
	})
}

func TestFetchDefaults(t *testing.T) {
	for _, tt := range []struct{ cfg, want Fetch }{
		{Fetch{}, Fetch{Refresh: 5 * time.Minute, MaxStale: 24 * time.Hour, Timeout: 5 * time.Second}},
		{Fetch{Refresh: 1, MaxStale: 2, Timeout: 3, AllowHTTP: true, CAFile: "a"}, Fetch{Refresh: 1, MaxStale: 2, Timeout: 3, AllowHTTP: true, CAFile: "a"}},
	} {
		if got := tt.cfg.withDefaults(); got != tt.want {
			t.Errorf("%+v: got %+v, want %+v", tt.cfg, got, tt.want)
		}
	}
}

// TestWaitingIsBounded: a request that finds too many waiting is answered at once.
func TestWaitingIsBounded(t *testing.T) {
	r := testRemote(Fetch{})
	r.waiting.Store(maxWaiting)
	set := &keys.Set{}
	if got := r.renewed(t.Context(), set, token.Token{KeyID: "a"}); got != set || r.turn != nil {
		t.Errorf("got %p, want %p, and nothing fetched", got, set)
	}
	if r.waiting.Load() != maxWaiting {
		t.Errorf("got %d waiting, want %d", r.waiting.Load(), maxWaiting)
	}
	r.waiting.Store(maxWaiting - 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := r.renewed(ctx, set, token.Token{KeyID: "a"}); got != set || r.turn == nil {
		t.Errorf("the last that may wait: got %p, want %p, and the set fetched", got, set)
	}
}

func TestPauses(t *testing.T) {
	r := testRemote(Fetch{Refresh: time.Minute})
	if p := r.pause(); p != 0 {
		t.Errorf("before the first fetch: pause of %v, want none", p)
	}
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 7: time.Minute, 1000: time.Minute} {
		r.failures = failures
		if p := r.pause(); p > want || p < want*9/10-1 {
			t.Errorf("after %d failures: pause of %v, want %v less a tenth at most", failures, p, want)
		}
	}
	r.cfg.Refresh = 24 * time.Hour
	r.failures = 1000
	if p := r.pause(); p > 24*time.Hour || p < 21*time.Hour {
		t.Errorf("refreshed once a day, after 1000 failures: pause of %v, want about a day", p)
	}
	r.cfg.Refresh = time.Minute
	r.failures = 0
	if _, err := r.take(testDocument(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if p := r.pause(); p > time.Minute || p < 54*time.Second-1 {
		t.Errorf("while all is well: pause of %v, want about a minute", p)
	}
}

// counts are the counters of refreshes by result, and under "" how many sets are broken.
func counts(t *testing.T, reg *prometheus.Registry) map[string]int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "rolegate_jwks_refreshes_total":
				counted[m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
			case "rolegate_jwks_broken":
				counted[""] = int(m.GetGauge().GetValue())
			}
		}
	}
	return counted
}

// TestRefreshesAreTold is what operators learn, from counters and logs, of a set that fails
// and comes back: each problem once, and each change.
func TestRefreshesAreTold(t *testing.T) {
	good, other := testDocument(t), testDocument(t)
	skipping := bytes.Replace(other, []byte(`[`), []byte(`[{"kty":"oct","kid":"s"},`), 1)
	status, doc := http.StatusInternalServerError, good
	var answer sync.Mutex // of the two
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer.Lock()
		defer answer.Unlock()
		w.WriteHeader(status)
		_, _ = w.Write(doc)
	}))
	defer server.Close()
	core, logs := observer.New(zapcore.InfoLevel)
	r, reg := newRemote(server.URL, Fetch{}.withDefaults()), prometheus.NewRegistry()
	swept := 0
	r.metrics, r.log, r.changed, r.issuers = newMetrics(), zap.New(core), func() { swept++ }, []string{"a", "b"}
	type told struct{ Failed, Broken, Taken, Unchanged, Swept, Problems, WellAgain, InUse, Skipped, Empty int }
	if err := r.metrics.register(reg); err != nil {
		t.Fatal(err)
	}
	kid := byte(0)
	for _, tt := range []struct {
		when   string
		status int
		doc    []byte
		want   told
	}{
		{"down", 500, good, told{Failed: 1, Broken: 1, Problems: 1}},
		{"still down", 500, good, told{Failed: 2, Broken: 1, Problems: 1}},
		{"up, and says nothing of use", 200, []byte("{"), told{Failed: 3, Broken: 1, Problems: 2}},
		{"well", 200, good, told{3, 0, 1, 0, 1, 2, 1, 1, 0, 0}},
		{"well still", 200, good, told{3, 0, 1, 1, 1, 2, 1, 1, 0, 0}},
		{"down as before", 500, good, told{4, 1, 1, 1, 1, 3, 1, 1, 0, 0}},
		{"well as before", 200, good, told{4, 0, 1, 2, 1, 3, 2, 1, 0, 0}},
		{"other keys, and one of no use", 200, skipping, told{4, 0, 2, 2, 2, 3, 2, 2, 1, 0}},
		{"no keys", 200, []byte(`{"keys":[]}`), told{4, 0, 3, 2, 3, 3, 2, 3, 1, 1}},
		{"keys again", 200, other, told{4, 0, 4, 2, 4, 3, 2, 4, 1, 1}},
	} {
		answer.Lock()
		status, doc = tt.status, tt.doc
		answer.Unlock()
		kid++
		turn := r.ask([sha256.Size]byte{kid}, time.Now().Add(time.Duration(kid)*askEvery))
		before := r.current(time.Now())
		r.refresh(t.Context())
		select {
		case <-turn:
		default:
			t.Errorf("%s: those who wait are not told of the end", tt.when)
		}
		if otherKeys := r.current(time.Now()) != before; otherKeys != (len(r.absent) == 0) {
			t.Errorf("%s: other keys are in use: %v, and %d are known to be absent", tt.when, otherKeys, len(r.absent))
		}
		counted := counts(t, reg)
		said := func(message string) int { return logs.FilterMessage(message).Len() }
		got := told{
			counted["error"], counted[""], counted["ok"], counted["unchanged"], swept,
			said("keys cannot be fetched"), said("keys can be fetched again"), said("keys taken into use"),
			said("keys of no use here were skipped"), said("the set holds no key: every token of this issuer is refused"),
		}
		if got != tt.want {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.when, got, tt.want)
		}
	}
	problem := logs.FilterMessage("keys cannot be fetched").All()[0].ContextMap()
	if got, want := fmt.Sprint(problem["error"], problem["issuers"], problem["jwks_uri"]), "answered with status 500, want 200[a b]"+server.URL; got != want {
		t.Errorf("got told %q, want %q", got, want)
	}

	// Nothing is wrong with an issuer whose answer we do not wait for.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := logs.Len()
	r.refresh(ctx)
	if r.failures != 0 || logs.Len() != before {
		t.Errorf("when we end: %d failures, told %v", r.failures, logs.All()[before:])
	}
}

// TestFetchProblems is what is told of a fetch that fails, without an address.
func TestFetchProblems(t *testing.T) {
	good := testDocument(t)
	filled := func(size int) []byte { return append(bytes.Clone(good), bytes.Repeat([]byte(" "), size-len(good))...) }
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(doc []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(doc) }
	}
	redirects := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if len(r.URL.Path) > n {
				_, _ = w.Write(good)
				return
			}
			http.Redirect(w, r, r.URL.Path+"a", http.StatusFound)
		}
	}
	for name, tt := range map[string]struct {
		cfg    Fetch
		answer http.HandlerFunc
		want   string // "" for none
	}{
		"well":              {Fetch{}, write(good), ""},
		"as long as may be": {Fetch{}, write(filled(keys.MaxDocument)), ""},
		"too long":          {Fetch{}, write(filled(keys.MaxDocument + 1)), "is larger than"},
		"another status":    {Fetch{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }, "answered with status 201, want 200"},
		"cut off": {Fetch{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000")
			_, _ = w.Write(good)
		}, "cut off: unexpected EOF"},
		"no answer":           {Fetch{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"a long header":       {Fetch{}, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-A", strings.Repeat("a", 128<<10)) }, "headers exceeded"},
		"three redirects":     {Fetch{}, redirects(3), ""},
		"four redirects":      {Fetch{}, redirects(4), "redirects more than 3 times"},
		"a redirect too far":  {Fetch{}, http.RedirectHandler("http://idp.example/", http.StatusFound).ServeHTTP, "redirects to an address that jwks_uri could not be"},
		"no roots":            {Fetch{CAFile: filepath.Join(t.TempDir(), "nowhere")}, write(good), "ca_file: open "},
		"roots of no use":     {Fetch{CAFile: noPEM}, write(good), "ca_file holds no certificate in PEM"},
		"nobody who listens":  {Fetch{}, nil, "connection refused"},
		"longer than allowed": {Fetch{Timeout: 20 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
	} {
		server := httptest.NewServer(tt.answer)
		if tt.answer == nil {
			server.Close()
		}
		r := newRemote(server.URL+"/", tt.cfg.withDefaults())
		doc, err := r.fetch(t.Context())
		switch {
		case tt.want == "" && (err != nil || !bytes.HasPrefix(doc, good)):
			t.Errorf("%s: got %d bytes, error %v, want the document", name, len(doc), err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "http://")):
			t.Errorf("%s: got error %v, want it to say %q and no address", name, err, tt.want)
		}
		server.Close()
	}
}

// TestFetchAsks is what an issuer's server sees of us.
func TestFetchAsks(t *testing.T) {
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
	defer server.Close()
	r := newRemote(server.URL+"/jwks.json?a=b", Fetch{}.withDefaults())
	if _, err := r.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(seen.Method, " ", seen.RequestURI, " ", seen.Header["Accept"], seen.Header["Accept-Encoding"], " ", seen.Close)
	// Nothing packed, which could be larger than it looks, and no connection that stays.
	if want := "GET /jwks.json?a=b [application/jwk-set+json, application/json] [] true"; got != want {
		t.Errorf("got asked %q, want %q", got, want)
	}
	client, err := r.client()
	if err != nil {
		t.Fatal(err)
	}
	if client.Transport.(*http.Transport).Proxy == nil {
		t.Error("the proxy of the environment is left aside")
	}
}

// TestFetchSecurely: TLS 1.2 is the oldest that an issuer may speak.
func TestFetchSecurely(t *testing.T) {
	for version, good := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.TLS = &tls.Config{MinVersion: version, MaxVersion: version} //nolint:gosec // that it is old is the point
		server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
		server.StartTLS()
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newRemote(server.URL, Fetch{CAFile: ca}.withDefaults()).fetch(t.Context()); (err == nil) != good {
			t.Errorf("%s: got error %v, want it good: %v", tls.VersionName(version), err, good)
		}
		server.Close()
	}
}

// TestRedirects: only to where jwks_uri could have pointed itself, by the same scheme.
func TestRedirects(t *testing.T) {
	const here, there = "https://idp.example/jwks.json", "https://other.example/keys"
	for _, tt := range []struct {
		from, to  string
		allowHTTP bool
		want      error
	}{
		{here, there, false, nil},
		{here, there, true, nil},
		{here, "http://other.example/keys", true, errRedirect},
		{here, "http://127.0.0.1/keys", false, errRedirect},
		{here, "ftp://other.example/keys", true, errRedirect},
		{here, "https://u:p@other.example/keys", false, errRedirect},
		{"http://127.0.0.1/a", "http://127.0.0.1/b", false, nil},
		{"http://127.0.0.1/a", "https://127.0.0.1/b", false, errRedirect},
		{"http://127.0.0.1/a", "http://169.254.169.254/", false, errRedirect},
		{"http://idp.example/a", "http://169.254.169.254/", true, nil},
	} {
		request := func(uri string) *http.Request {
			u, err := url.Parse(uri)
			if err != nil {
				t.Fatal(err)
			}
			return &http.Request{URL: u}
		}
		r := newRemote(tt.from, Fetch{AllowHTTP: tt.allowHTTP})
		if err := r.redirect(request(tt.to), []*http.Request{request(tt.from)}); !errors.Is(err, tt.want) {
			t.Errorf("from %s to %s, http allowed: %v: got error %v, want %v", tt.from, tt.to, tt.allowHTTP, err, tt.want)
		}
	}
}
