package faults

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// shownWrong bounds how many wrong allows are described; all are counted.
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

	wrong, passed atomic.Int64
	mu            sync.Mutex
	shown         []string
}

// asked is a request that is under way.
type asked struct {
	member  int
	action  action
	forged  bool  // its credential is nobody's: it must never arrive
	first   int64 // the world that was in force when it began, or an older one
	arrived atomic.Int64
}

// begin registers a request, and answers its id.
func (c *checker) begin(a *asked) string {
	a.first = c.confirmed.Load()
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

// deniable says whether a request could rightly be denied: some world that was in force
// meanwhile grants it not.
func (c *checker) deniable(a *asked) bool {
	for world := a.first; world <= c.written.Load(); world++ {
		if !granted(world, a.member, a.action) {
			return true
		}
	}
	return a.forged
}
