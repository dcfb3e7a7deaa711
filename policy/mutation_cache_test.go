package policy

import (
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// msec is a clock reading in milliseconds.
func msec(ms int64) time.Time { return time.UnixMilli(ms) }

// filled is a memory with room for a hundred.
func filled(t *testing.T, cfg Config) *memory {
	t.Helper()
	if cfg.Entries == 0 {
		cfg.Entries = 100
	}
	m, err := newMemory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

// TestHolds: a finding is used from the instant at which it was made until the first at
// which anything changes, and at neither side of that.
func TestHolds(t *testing.T) {
	bounded := &finding{evaluated: msec(10), answer: Decision{ValidUntil: msec(20)}}
	unbounded := &finding{evaluated: msec(10)}
	for ms, want := range map[int64][2]bool{9: {false, false}, 10: {true, true}, 19: {true, true}, 20: {false, true}, 21: {false, true}} {
		if got := [2]bool{bounded.holds(msec(ms)), unbounded.holds(msec(ms))}; got != want {
			t.Errorf("at %d: got %v, want %v", ms, got, want)
		}
	}
}

// TestNothingIsADenial: no finding decides nothing.
func TestNothingIsADenial(t *testing.T) {
	var none *finding
	for _, o := range []Origin{OriginNone, OriginHit, OriginMiss, OriginWait, OriginBypass} {
		if got := none.decision(o); got.Effect != Deny || got.Origin != o || got.Result != nil {
			t.Errorf("of nothing: got %+v, want a denial by %v", got, o)
		}
		f := &finding{answer: Decision{Effect: Allow, Reason: "mine", Origin: OriginMiss}}
		if got := f.decision(o); got.Effect != Allow || got.Reason != "mine" || got.Origin != o {
			t.Errorf("of a finding: got %+v, want what was found, by %v", got, o)
		}
	}
}

// TestWhatIsRememberedIsCompared: an entry that stands where a key leads is used only if
// it is of that very key and generation: hashes meet.
func TestWhatIsRememberedIsCompared(t *testing.T) {
	m := filled(t, Config{})
	put := func(at string, f *finding) {
		t.Helper()
		if !m.cache.Set([]byte(at), f, 1) {
			t.Fatal("the cache took nothing")
		}
		m.cache.Wait()
	}
	allow := Decision{Effect: Allow}
	put("same", &finding{key: "same", generation: 7, evaluated: msec(10), answer: allow})
	put("met", &finding{key: "other", generation: 7, evaluated: msec(10), answer: allow})
	put("longer", &finding{key: "long", generation: 7, evaluated: msec(10), answer: allow})
	for _, c := range []struct {
		key        string
		generation uint64
		ms         int64
		want       bool
	}{
		{"same", 7, 10, true},
		{"same", 6, 10, false},
		{"same", 8, 10, false},
		{"same", 7, 9, false},
		{"met", 7, 10, false},
		{"longer", 7, 10, false},
		{"unknown", 7, 10, false},
	} {
		f, ok := m.get([]byte(c.key), c.generation, msec(c.ms))
		if ok != c.want || (f != nil) != c.want {
			t.Errorf("%s of generation %d at %d: got %v, want %v", c.key, c.generation, c.ms, ok, c.want)
		}
	}
}

// TestMaxAge: an answer that nothing bounds is used for so long, and no longer.
func TestMaxAge(t *testing.T) {
	for _, c := range []struct {
		cfg Config
		age time.Duration
	}{{Config{MaxAge: time.Second}, time.Second}, {Config{}, 5 * time.Minute}} {
		m := filled(t, c.cfg)
		m.put(&finding{key: "k", generation: 1, evaluated: msec(0)}, msec(0))
		m.cache.Wait()
		for at, want := range map[time.Duration]bool{0: true, c.age - 1: true, c.age: false, c.age + 1: false} {
			if _, ok := m.get([]byte("k"), 1, msec(0).Add(at)); ok != want {
				t.Errorf("%v of %v later: got %v, want %v", at, c.age, ok, want)
			}
		}
	}
}

// TestWhatIsRemembered: what is over is not, nor denials where that is asked for.
func TestWhatIsRemembered(t *testing.T) {
	const key = "k"
	for name, c := range map[string]struct {
		cfg    Config
		answer Decision
		want   bool
	}{
		"allow":              {Config{}, Decision{Effect: Allow}, true},
		"deny":               {Config{}, Decision{}, true},
		"allow, no denials":  {Config{SkipNegative: true}, Decision{Effect: Allow}, true},
		"deny, no denials":   {Config{SkipNegative: true}, Decision{}, false},
		"nothing remembered": {Config{Entries: -1}, Decision{Effect: Allow}, false},
		"over":               {Config{}, Decision{Effect: Allow, ValidUntil: msec(10)}, false},
		"long over":          {Config{}, Decision{Effect: Allow, ValidUntil: msec(1)}, false},
		"not over yet":       {Config{}, Decision{Effect: Allow, ValidUntil: msec(10_000)}, true},
	} {
		m := filled(t, c.cfg)
		m.put(&finding{key: key, generation: 1, evaluated: msec(10), answer: c.answer}, msec(10))
		if m.cache != nil {
			m.cache.Wait()
		}
		if _, ok := m.get([]byte(key), 1, msec(10)); ok != c.want {
			t.Errorf("%s: remembered is %v, want %v", name, ok, c.want)
		}
		if s := m.stats(); (s.Stored == 1) != c.want || s.Dropped != 0 {
			t.Errorf("%s: counted is %+v, want it stored: %v, and nothing dropped", name, s, c.want)
		}
	}
}

// TestCost: a long key counts as several entries, so that nobody fills memory with a few.
func TestCost(t *testing.T) {
	for length, want := range map[int]int64{0: 1, 4<<10 - 1: 1, 4 << 10: 2, 8<<10 - 1: 2, 8 << 10: 3} {
		if got := (&finding{key: strings.Repeat("x", length)}).cost(); got != want {
			t.Errorf("a key of %d bytes: got %d, want %d", length, got, want)
		}
	}
	m := filled(t, Config{Entries: 10})
	m.put(&finding{key: strings.Repeat("x", 8<<10), answer: Decision{Effect: Allow}}, msec(0))
	m.cache.Wait()
	if got := m.stats(); got.Cost != 3 || got.Capacity != 10 {
		t.Errorf("got %+v, want 3 of 10", got)
	}
	if got := filled(t, Config{Entries: -1}).stats(); got != (MemoryStats{}) {
		t.Errorf("without memory: got %+v", got)
	}
	if got := func() uint64 { m, _ := newMemory(Config{}); defer m.close(); return m.stats().Capacity }(); got != 100_000 {
		t.Errorf("by default: got room for %d, want 100,000", got)
	}
}

// TestEngineWithoutASnapshot: whatever it is asked, it has nothing and denies.
func TestEngineWithoutASnapshot(t *testing.T) {
	e, err := NewEngine(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	for name, v := range map[string]View{"of an engine": e.View(), "the zero view": {}} {
		if _, known := v.Alias("acme"); known || v.Ready() || v.Generation() != 0 || v.Snapshot() != nil || v.Routes() != nil ||
			v.Revisions() != nil || v.Entrypoint() != "" || v.Bypass() != "" {
			t.Errorf("%s: it has something", name)
		}
		d, err := v.Decide(t.Context(), "x", Document{}, msec(0))
		if d.Effect != Deny || d.Reason != ReasonNotReady || err == nil {
			t.Errorf("%s: got %+v, %v, want a denial", name, d, err)
		}
		if got, err := v.Eval(t.Context(), "x", Document{}, msec(0)); got != nil || err == nil {
			t.Errorf("%s: got %v, %v, want an error", name, got, err)
		}
		var k Key
		if _, ok := v.Recall(&k, nil, msec(0)); ok {
			t.Errorf("%s: it recalls something", name)
		}
	}
}

// TestWhatBecameOfWhatWasStored: each is held, turned away, or made room for another, and
// memory that is full says so.
func TestWhatBecameOfWhatWasStored(t *testing.T) {
	const room = 10
	m := filled(t, Config{Entries: room})
	key := func(i int) string { return fmt.Sprint("key ", i) }
	var handed uint64
	hand := func(i int) {
		m.put(&finding{key: key(i), generation: 1, evaluated: msec(0)}, msec(0))
		m.cache.Wait()
		handed++
	}
	// What was asked for is counted by another goroutine, which forgets some of it when it
	// cannot keep up: it may take longer until somebody is turned away.
	turnedAway := func() bool { return m.stats().Rejected > 0 || testing.Short() } // the race detector loses who was asked for
	limit := time.Now().Add(patience)
	for i := 0; i < 500 || !turnedAway() && time.Now().Before(limit); i++ {
		hand(i)
		often := i % room
		for range 20 { // those that came first are asked for most
			if _, ok := m.get([]byte(key(often)), 1, msec(0)); !ok {
				hand(often)
			}
		}
	}
	s := m.stats()
	if s.Cost != room || s.Capacity != room {
		t.Errorf("got %d of %d, want it full", s.Cost, s.Capacity)
	}
	if s.Evicted == 0 || s.Stored+s.Dropped != handed || s.Stored-s.Rejected-s.Evicted != room {
		t.Errorf("got %+v, want each of %d counted once", s, handed)
	}
	if !turnedAway() {
		t.Errorf("got %+v, want some turned away", s)
	}
	m.close()
	m.put(&finding{key: "late", generation: 1, evaluated: msec(0)}, msec(0))
	if got := m.stats().Dropped - s.Dropped; got != 1 {
		t.Errorf("after the end: %d dropped, want 1", got)
	}
}

// TestMoreThanAnyMemoryHolds: an engine that cannot remember what it was told to does not
// begin.
func TestMoreThanAnyMemoryHolds(t *testing.T) {
	if e, err := NewEngine(Config{Entries: math.MaxInt}); err == nil || e != nil {
		t.Errorf("got %v, %v, want an error", e, err)
	}
}

// TestStatsHoldEveryCount: under its own name.
func TestStatsHoldEveryCount(t *testing.T) {
	e := newEngine(t, Config{Entries: 7})
	c := &e.counts
	for i, n := range []*atomic.Uint64{
		&c.hits, &c.misses, &c.waits, &c.audits, &c.mismatches, &e.slots.shed, &e.slots.overdue, &c.clock, &c.nondeterministic, &c.distrusted,
		&e.memory.counts.stored, &e.memory.counts.dropped, &e.memory.counts.rejected, &e.memory.counts.evicted,
	} {
		n.Store(uint64(i + 1))
	}
	want := Stats{
		Hits: 1, Misses: 2, Waits: 3, Audits: 4, Mismatches: 5, Shed: 6, Overdue: 7, Bypassed: 8 + 9 + 10,
		BypassedBy: map[string]uint64{"clock": 8, "nondeterministic": 9, "audit": 10},
		Memory:     MemoryStats{Stored: 11, Dropped: 12, Rejected: 13, Evicted: 14, Capacity: 7},
	}
	if diff := cmp.Diff(want, e.Stats()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for label, n := range map[string]*atomic.Uint64{BypassClock: &c.clock, BypassNondeterministic: &c.nondeterministic, BypassAudit: &c.distrusted} {
		before := n.Load()
		c.bypass(label)
		if n.Load() != before+1 {
			t.Errorf("%s: counted %d times, want once", label, n.Load()-before)
		}
	}
	if got, want := e.Stats().Bypassed, uint64(8+9+10+3); got != want {
		t.Errorf("got %d bypassed, want %d", got, want)
	}
}
