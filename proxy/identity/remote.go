package identity

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

const (
	defaultRefresh   = 5 * time.Minute
	defaultMaxStale  = 24 * time.Hour
	defaultFetchTime = 5 * time.Second

	// firstRetry is the pause after the first failed fetch; each further one is twice as
	// long, up to the usual refresh.
	firstRetry = time.Second
	// askEvery is how often, at most, tokens with unknown keys can have a set fetched:
	// whoever invents keys must not make us attack the issuer.
	askEvery = 10 * time.Second
	// absentFor is how long a key that was not in a set just fetched is not asked for
	// again.
	absentFor = 30 * time.Second
	// maxAbsent bounds the keys that are known to be absent; beyond it, the next is asked
	// for, within askEvery.
	maxAbsent = 1024
	// patience is how long a request waits for keys: less than Envoy waits for us.
	patience = 100 * time.Millisecond

	// maxWaiting bounds the requests that wait at a time; more are refused at once.
	maxWaiting = 64

	maxRedirects = 3
)

// remote is a key set that an issuer publishes. It is fetched by one goroutine at a
// time: that of Run, or that of Load before it.
type remote struct {
	uri     string
	cfg     Fetch
	issuers []string // whose keys it holds
	metrics *metrics
	log     *zap.Logger
	changed func() // after other keys were taken into use

	held     atomic.Pointer[heldKeys]
	fetching sync.Mutex // held while it is fetched; of failures and problem
	failures int
	problem  string // that was logged last

	wake    chan struct{} // of size one: a request wants it fetched
	waiting atomic.Int32  // requests

	mu     sync.Mutex // of what follows
	asked  time.Time  // when a request last had it fetched
	absent map[[sha256.Size]byte]time.Time
	turn   chan struct{} // closed at the end of the fetch that was asked for; nil: none was
}

// heldKeys is a good set, and until when it may be used. It is immutable.
type heldKeys struct {
	set    *keys.Set
	digest [sha256.Size]byte
	until  time.Time
}

func newRemote(uri string, cfg Fetch) *remote {
	return &remote{
		uri: uri, cfg: cfg, wake: make(chan struct{}, 1),
		absent: map[[sha256.Size]byte]time.Time{},
	}
}

// withDefaults fills in what was left out.
func (f Fetch) withDefaults() Fetch {
	if f.Refresh == 0 {
		f.Refresh = defaultRefresh
	}
	if f.MaxStale == 0 {
		f.MaxStale = defaultMaxStale
	}
	if f.Timeout == 0 {
		f.Timeout = defaultFetchTime
	}
	return f
}

// current implements [source].
func (r *remote) current(now time.Time) *keys.Set {
	held := r.held.Load()
	if held == nil || !now.Before(held.until) {
		return nil
	}
	return held.set
}

// without implements [source].
func (r *remote) without(time.Time) error {
	if r.held.Load() == nil {
		return token.ErrNoKeys
	}
	return token.ErrStaleKeys
}

// renewed implements [source]. It never fetches: it has the goroutine of Run do so, and
// waits a little.
func (r *remote) renewed(ctx context.Context, set *keys.Set, t token.Token) *keys.Set {
	if r.waiting.Add(1) > maxWaiting {
		r.waiting.Add(-1)
		return set
	}
	defer r.waiting.Add(-1)
	turn := r.ask(sha256.Sum256([]byte(t.KeyID)), time.Now())
	if turn == nil {
		return set
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-turn:
	case <-ctx.Done():
	case <-limit.C:
	}
	if next := r.current(time.Now()); next != nil {
		return next
	}
	return set
}

// ask has the set fetched for a key, unless one was just looked for in vain, or another
// was a moment ago. It answers what is closed at the end of the fetch; nil: none is to
// be waited for.
func (r *remote) ask(kid [sha256.Size]byte, now time.Time) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turn != nil {
		return r.turn // it is under way
	}
	if now.Sub(r.absent[kid]) < absentFor || now.Sub(r.asked) < askEvery {
		return nil
	}
	if len(r.absent) >= maxAbsent {
		clear(r.absent)
	}
	r.asked, r.absent[kid], r.turn = now, now, make(chan struct{})
	select {
	case r.wake <- struct{}{}:
	default: // asked for already
	}
	return r.turn
}

// fetched ends the turn of those who wait.
func (r *remote) fetched(changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if changed {
		clear(r.absent)
	}
	if r.turn != nil {
		close(r.turn)
		r.turn = nil
	}
}

// run fetches the set again and again until ctx is done.
func (r *remote) run(ctx context.Context) {
	timer := time.NewTimer(r.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
		r.refresh(ctx)
		timer.Reset(r.pause())
	}
}

// pause is how long to wait before the next fetch. Instances that were started together
// must not ask together for ever, so it varies by a tenth.
func (r *remote) pause() time.Duration {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	pause := r.cfg.Refresh
	if held := r.held.Load(); held == nil && r.failures == 0 {
		return 0
	}
	if r.failures > 0 {
		const mostDoublings = 17 // more than a day, which is the longest refresh
		pause = min(pause, firstRetry<<min(r.failures-1, mostDoublings))
	}
	return pause - time.Duration(rand.Int64N(int64(pause)/10+1)) //nolint:gosec // spreads, hides nothing
}

// refresh fetches the set once, and takes it into use if it is good. On an error the
// last good one stays in use, until it is too old.
func (r *remote) refresh(ctx context.Context) {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	changed, err := false, error(nil)
	defer func() { r.fetched(changed) }()
	began := time.Now() // keys that were taken back since may be in the answer
	doc, err := r.fetch(ctx)
	if err == nil {
		changed, err = r.take(doc, began)
	}
	if err != nil && ctx.Err() != nil {
		return // we end: nothing is wrong with the issuer
	}
	r.report(changed, err)
	if changed {
		r.changed()
	}
}

// take takes a document into use, or finds that it is the one in use.
func (r *remote) take(doc []byte, at time.Time) (changed bool, err error) {
	next := &heldKeys{digest: sha256.Sum256(doc), until: at.Add(r.cfg.MaxStale)}
	if held := r.held.Load(); held != nil && held.digest == next.digest {
		next.set = held.set
		r.held.Store(next)
		return false, nil
	}
	if next.set, err = keys.ParseJWKS(doc); err != nil {
		return false, err
	}
	r.held.Store(next)
	return true, nil
}

func (r *remote) report(changed bool, err error) {
	log := r.log.With(zap.Strings("issuers", r.issuers), zap.String("jwks_uri", r.uri))
	if err != nil {
		r.metrics.unreadable.Inc()
		r.failures++
		if r.failures == 1 {
			r.metrics.broken.Inc()
		}
		if r.problem != err.Error() {
			r.problem = err.Error()
			now := time.Now()
			log.Error("keys cannot be fetched", zap.Error(err), zap.Bool("keeps_last_good", r.current(now) != nil))
		}
		return
	}
	if r.failures > 0 {
		r.metrics.broken.Dec()
		log.Info("keys can be fetched again")
	}
	r.failures, r.problem = 0, ""
	if !changed {
		r.metrics.unchanged.Inc()
		return
	}
	r.metrics.refreshed.Inc()
	tellKeys(log, r.held.Load().set)
}

// tellKeys says which keys are now in use.
func tellKeys(log *zap.Logger, set *keys.Set) {
	log.Info("keys taken into use", zap.Int("keys", set.Len()))
	if len(set.Skipped()) > 0 {
		log.Warn("keys of no use here were skipped", zap.Strings("skipped", set.Skipped()))
	}
	if set.Len() == 0 {
		log.Error("the set holds no key: every token of this issuer is refused")
	}
}

// fetch gets the document.
func (r *remote) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.uri, http.NoBody)
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }() // what was read is judged by itself
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered with status %d, want 200", res.StatusCode)
	}
	doc, err := io.ReadAll(io.LimitReader(res.Body, keys.MaxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("cut off: %w", withoutURL(err))
	}
	if len(doc) > keys.MaxDocument {
		return nil, fmt.Errorf("is larger than %d bytes", keys.MaxDocument)
	}
	return doc, nil
}

// client makes a client for one fetch: minutes later, no connection would be worth
// having kept, and the roots may be others.
func (r *remote) client() (*http.Client, error) {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DisableKeepAlives:      true,
		DisableCompression:     true, // nothing that unpacks to more than was sent
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if r.cfg.CAFile != "" {
		roots, err := os.ReadFile(r.cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(roots) {
			return nil, errors.New("ca_file holds no certificate in PEM")
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: r.redirect}, nil
}

// Why a redirect is not followed.
var (
	errRedirects = fmt.Errorf("redirects more than %d times", maxRedirects)
	errRedirect  = errors.New("redirects to an address that jwks_uri could not be, or to another scheme")
)

// redirect follows only to where the configuration could have pointed, by the same
// scheme.
func (r *remote) redirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return errRedirects
	case req.URL.Scheme != via[0].URL.Scheme || checkURI(req.URL, r.cfg.AllowHTTP) != nil:
		return errRedirect
	default:
		return nil
	}
}

// checkURI says what is wrong with the address of a key set.
func checkURI(u *url.URL, allowHTTP bool) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want https://")
	case u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return errors.New("want https://, a host and a path, without user and fragment")
	case u.Scheme == "http" && !allowHTTP && !isLoopback(u.Hostname()):
		return errors.New("http:// is for this machine only, want https:// (or jwks.allow_http: true to believe whoever is between)")
	default:
		return nil
	}
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// withoutURL is the cause alone: the address stands beside it, and one that we were
// redirected to is the other side's words.
func withoutURL(err error) error {
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		return urlErr.Err
	}
	return err
}
