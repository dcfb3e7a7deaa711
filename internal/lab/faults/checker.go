package faults

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// shownWrong bounds how many wrong answers are described; all are counted.
const shownWrong = 5

// idHeader names a request to the checker. rolegate knows nothing of it.
const idHeader = "X-Lab-Id"

// checker stands in the application and judges what reaches it, by what it knows of the
// request from the client's side. It asks neither rolegate nor Envoy.
type checker struct {
	next    atomic.Int64
	pending sync.Map // id → *asked

	confirmed atomic.Int64 // the newest world that is known to be in force
	written   atomic.Int64 // the newest world that can be
	keys      keyRecord

	wrong, passed atomic.Int64
	mu            sync.Mutex
	shown         []string
}

// keyRecord is what is known of the second issuer's keys, by their numbers. Keys between
// two of these may be in use or not.
type keyRecord struct {
	published atomic.Int64 // the newest that can be known to rolegate
	known     atomic.Int64 // the newest that is known to it for certain
	withdrawn atomic.Int64 // the newest that may be unknown to it again
	retired   atomic.Int64 // the newest that is unknown to it for certain
	handed    atomic.Int64 // when the set was handed out last, Unix time in ns
}

// tooOld is when keys that were handed out last now must no longer be used.
func (k *keyRecord) tooOld() time.Time { return time.Unix(0, k.handed.Load()).Add(maxStale) }

// asked is a request that is under way.
type asked struct {
	member int
	action action
	forged bool  // its credential is nobody's: it must never arrive
	key    int64 // of the second issuer, that signed its token; 0: the first issuer did
	body   *body // nil: none

	begun, tooOld  time.Time // tooOld: when the keys that were known when it began are
	first          int64     // the world that was in force when it began, or an older one
	known, retired int64     // of the keys when it began
	arrived        atomic.Int64
}

// begin registers a request, and answers its id.
func (c *checker) begin(a *asked) string {
	a.first, a.known, a.retired = c.confirmed.Load(), c.keys.known.Load(), c.keys.retired.Load()
	a.begun, a.tooOld = time.Now(), c.keys.tooOld()
	id := strconv.FormatInt(c.next.Add(1), 10)
	c.pending.Store(id, a)
	return id
}

func (c *checker) end(id string) { c.pending.Delete(id) }

// judge looks at a request that reached the application.
func (c *checker) judge(r *http.Request) {
	c.passed.Add(1)
	known, ok := c.pending.Load(r.Header.Get(idHeader))
	a, _ := known.(*asked)
	if !ok || a == nil {
		// Its client has gone; it was judged as any other, but nobody knows by what. Only
		// requests that were registered are sent, so their ids are kept (see askers).
		c.fault("a request that nobody asked: %s", r.URL.Path)
		return
	}
	world, err := strconv.ParseInt(r.Header.Get("X-World"), 10, 64)
	switch subject := strings.Join(r.Header.Values("X-Rolegate-Subject"), "|"); {
	case a.forged:
		c.fault("a forged credential: %s as %q", r.URL.Path, subject)
	case a.key > c.keys.published.Load():
		c.fault("a token of key %d, which nobody has published", a.key)
	case a.key > 0 && a.key <= a.retired:
		c.fault("a token of key %d, when %d was taken back already", a.key, a.retired)
	case a.key > 0 && a.begun.After(c.keys.tooOld()):
		c.fault("a token %s after its keys were too old", a.begun.Sub(c.keys.tooOld()))
	case err != nil:
		c.fault("no world in %q: %s", r.Header.Values("X-World"), r.URL.Path)
	case subject != member(a.member):
		c.fault("%s arrived as %q", member(a.member), subject)
	case world < a.first || world > c.written.Load():
		c.fault("an answer of world %d, in force were %d to %d", world, a.first, c.written.Load())
	case !granted(world, a.member, a.action):
		c.fault("%s may not %s in world %d", member(a.member), a.action, world)
	case a.arrived.Add(1) > 1:
		c.fault("%s arrived twice", r.URL.Path)
	default:
		c.judgeBody(r, a.body)
	}
}

// judgeBody looks at what the application gets of a body that was judged.
func (c *checker) judgeBody(r *http.Request, b *body) {
	if b == nil {
		return
	}
	got, err := io.ReadAll(r.Body)
	switch {
	case b.sins != "":
		c.fault("a body that %s: %.200q", b.sins, b.text)
	case len(b.text) > shownBytes:
		c.fault("a body of %d bytes, of which the policy was shown %d", len(b.text), shownBytes)
	case err != nil || string(got) != b.text:
		c.fault("a body of %d bytes arrived as one of %d, %v", len(b.text), len(got), err)
	}
}

func (c *checker) fault(format string, args ...any) {
	c.wrong.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.shown) < shownWrong {
		c.shown = append(c.shown, fmt.Sprintf(format, args...))
	}
}

// keysSlack is how much earlier than keys are too old they may be refused: they are as old
// as the question for them, which was on its way before.
const keysSlack = time.Second

// deniable says whether a request could rightly be denied: some world that was in force
// meanwhile grants it not, its key was not in use all the time, or its body is none that
// may pass.
func (c *checker) deniable(a *asked) bool {
	for world := a.first; world <= c.written.Load(); world++ {
		if !granted(world, a.member, a.action) {
			return true
		}
	}
	if a.key > 0 && (a.key > a.known || a.key <= c.keys.withdrawn.Load() || time.Now().After(a.tooOld.Add(-keysSlack))) {
		return true
	}
	return a.forged || a.body != nil && (a.body.sins != "" || len(a.body.text) > shownBytes)
}
