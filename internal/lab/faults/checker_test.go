package faults

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The state that the tests of the checker begin with: the world in force, the newest of
// the second issuer's keys, and the newest that was taken back.
const (
	inForce   = 5
	published = 3
	retired   = 1
)

func newChecker() *checker {
	c := &checker{}
	c.confirmed.Store(inForce)
	c.written.Store(inForce)
	c.keys.published.Store(published)
	c.keys.known.Store(published)
	c.keys.withdrawn.Store(retired)
	c.keys.retired.Store(retired)
	c.keys.handed.Store(time.Now().UnixNano())
	return c
}

// arrival is a request as the application gets it.
func arrival(id string, a *asked, world int64) *http.Request {
	text := ""
	if a.body != nil {
		text = a.body.text
	}
	r := httptest.NewRequest(http.MethodPost, "/w/1", strings.NewReader(text))
	r.Header.Set(idHeader, id)
	r.Header.Set("X-Rolegate-Subject", member(a.member))
	r.Header.Set("X-World", strconv.FormatInt(world, 10))
	return r
}

// TestTheCheckerNotices: what arrives that should not, each in the one way that nothing else
// is wrong. A campaign without a violation says nothing of a checker that finds none.
func TestTheCheckerNotices(t *testing.T) {
	reads := func() *asked { return &asked{member: always, action: read} }
	with := func(edit func(a *asked)) *asked {
		a := reads()
		edit(a)
		return a
	}
	pays := func(text, sins string) *asked {
		a := &asked{action: pay, body: &body{text: text, sins: sins}}
		for !granted(inForce, a.member, pay) || a.member == never {
			a.member++
		}
		return a
	}
	for name, c := range map[string]struct {
		asked     *asked
		before    func(c *checker) // it was asked
		meanwhile func(c *checker)
		world     int64 // 0: the one in force
		edit      func(r *http.Request)
		good      bool
	}{
		"who may":                              {asked: reads(), good: true},
		"a world that came meanwhile":          {asked: reads(), meanwhile: func(c *checker) { c.written.Store(inForce + 1) }, world: inForce + 1, good: true},
		"a key of the second issuer":           {asked: with(func(a *asked) { a.key = published }), good: true},
		"a key that was taken back meanwhile":  {asked: with(func(a *asked) { a.key = 2 }), meanwhile: func(c *checker) { c.keys.retired.Store(2) }, good: true},
		"a body that may pass":                 {asked: pays(`{"amount": 1}`, ""), good: true},
		"a body that is just shown whole":      {asked: pays(strings.Repeat(" ", shownBytes), ""), good: true},
		"nobody's":                             {asked: reads(), edit: func(r *http.Request) { r.Header.Set(idHeader, "77") }},
		"without a name":                       {asked: reads(), edit: func(r *http.Request) { r.Header.Del(idHeader) }},
		"a forger's":                           {asked: with(func(a *asked) { a.forged = true })},
		"a key that nobody has published":      {asked: with(func(a *asked) { a.key = published + 1 })},
		"a key that was taken back":            {asked: with(func(a *asked) { a.key = retired })},
		"of keys that are too old":             {asked: with(func(a *asked) { a.key = published }), before: func(c *checker) { c.keys.handed.Store(time.Now().Add(-2 * maxStale).UnixNano()) }},
		"an answer of no world":                {asked: reads(), edit: func(r *http.Request) { r.Header.Del("X-World") }},
		"an answer of two worlds":              {asked: reads(), edit: func(r *http.Request) { r.Header.Set("X-World", "5,5") }},
		"as somebody else":                     {asked: reads(), edit: func(r *http.Request) { r.Header.Set("X-Rolegate-Subject", member(2)) }},
		"as nobody":                            {asked: reads(), edit: func(r *http.Request) { r.Header.Del("X-Rolegate-Subject") }},
		"as two":                               {asked: reads(), edit: func(r *http.Request) { r.Header.Add("X-Rolegate-Subject", member(2)) }},
		"an answer of a world that was over":   {asked: reads(), world: inForce - 1},
		"an answer of a world that is to come": {asked: reads(), world: inForce + 1},
		"who may not":                          {asked: with(func(a *asked) { a.member = never })},
		"what comes to no end":                 {asked: with(func(a *asked) { a.action = slow })},
		"a body that sins":                     {asked: pays(`{"amount": 9999}`, "pays too much")},
		"a body of which a part was shown":     {asked: pays(strings.Repeat(" ", shownBytes+1), "")},
		"another body":                         {asked: pays(`{"amount": 1}`, ""), edit: func(r *http.Request) { r.Body = http.NoBody }},
	} {
		checker := newChecker()
		if c.before != nil {
			c.before(checker)
		}
		id := checker.begin(c.asked)
		if c.meanwhile != nil {
			c.meanwhile(checker)
		}
		world := c.world
		if world == 0 {
			world = inForce
		}
		r := arrival(id, c.asked, world)
		if c.edit != nil {
			c.edit(r)
		}
		checker.judge(r)
		if n := checker.wrong.Load(); (n == 0) != c.good || n > 1 || int64(len(checker.shown)) != n {
			t.Errorf("%s: got %d faults, %v, want good: %t", name, n, checker.shown, c.good)
		}
		if n := checker.passed.Load(); n != 1 {
			t.Errorf("%s: got %d that passed, want 1", name, n)
		}
	}
}

// TestTheCheckerNoticesCopies: Envoy may ask rolegate twice, and the application once.
func TestTheCheckerNoticesCopies(t *testing.T) {
	c, a := newChecker(), &asked{member: always, action: read}
	id := c.begin(a)
	for want := range int64(2) {
		c.judge(arrival(id, a, inForce))
		if got := c.wrong.Load(); got != want {
			t.Errorf("arrived %d times: got %d faults, want %d", want+1, got, want)
		}
	}
	c.end(id)
	c.judge(arrival(id, a, inForce))
	if got := c.wrong.Load(); got != 2 {
		t.Errorf("after its end: got %d faults, want 2", got)
	}
}

// TestWhoMayDependsOnWhoAsks: in every world some may and others may not, each thing that is
// done. An answer of somebody else's would not show otherwise.
func TestWhoMayDependsOnWhoAsks(t *testing.T) {
	for world := range int64(6) {
		for _, a := range []action{read, write, pay, note} {
			may := 0
			for m := range members {
				if granted(world, m, a) {
					may++
				}
			}
			if may < 2 || may > members-2 {
				t.Errorf("world %d: %d of %d members may %s", world, may, members, a)
			}
		}
	}
}

// TestWhatMayBeDenied: everything else that is denied counts as lost.
func TestWhatMayBeDenied(t *testing.T) {
	for name, c := range map[string]struct {
		asked     *asked
		meanwhile func(c *checker)
		want      bool
	}{
		"who may":                 {&asked{member: always, action: read}, nil, false},
		"with a key that is good": {&asked{member: always, action: read, key: published}, nil, false},
		"who may not":             {&asked{member: never, action: read}, nil, true},
		"a forger":                {&asked{member: always, action: read, forged: true}, nil, true},
		"a key to come":           {&asked{member: always, action: read, key: published + 1}, nil, true},
		"a key being taken back":  {&asked{member: always, action: read, key: 2}, func(c *checker) { c.keys.withdrawn.Store(2) }, true},
		"keys that grew old":      {&asked{member: always, action: read, key: 2}, func(c *checker) { c.keys.handed.Store(0) }, false}, // they were not when it was asked
		"a sinful body":           {&asked{member: always, action: read, body: &body{sins: "sins"}}, nil, true},
		"a long body":             {&asked{member: always, action: read, body: &body{text: strings.Repeat(" ", shownBytes+1)}}, nil, true},
		"a body":                  {&asked{member: always, action: read, body: &body{text: "{}"}}, nil, false},
	} {
		checker := newChecker()
		checker.begin(c.asked)
		if c.meanwhile != nil {
			c.meanwhile(checker)
		}
		if got := checker.deniable(c.asked); got != c.want {
			t.Errorf("%s: got %t, want %t", name, got, c.want)
		}
	}
	// What one of the worlds in force meanwhile grants not.
	checker := newChecker()
	for m := range members {
		a := &asked{member: m, action: write}
		checker.begin(a)
		if granted(inForce, m, write) && !granted(inForce+1, m, write) {
			if checker.deniable(a) {
				t.Errorf("%s may be denied in world %d", member(m), inForce)
			}
			checker.written.Store(inForce + 1)
			if !checker.deniable(a) {
				t.Errorf("%s may not be denied in world %d", member(m), inForce+1)
			}
			return
		}
	}
	t.Error("nobody loses anything from one world to the next")
}
