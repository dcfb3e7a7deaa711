package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

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
	r.failures = 0
	if _, err := r.take(testDocument(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if p := r.pause(); p > time.Minute || p < 54*time.Second-1 {
		t.Errorf("while all is well: pause of %v, want about a minute", p)
	}
}
