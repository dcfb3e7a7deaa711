package identity

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy/identity/keys"
)

func newEntry(text string, p *place, until time.Time) entry {
	f := &keyFile{}
	f.set.Store(&keys.Set{})
	return entry{token: text, place: p, source: f, keys: f.inUse(), until: until, subject: policy.Subject{ID: text}}
}

func TestMemoryEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    Remember
		expiry time.Duration // of the token
		want   time.Duration // that it is remembered
	}{
		{"long-lived token", Remember{}, time.Hour, 5 * time.Minute},
		{"short-lived token", Remember{}, time.Minute, time.Minute},
		{"shorter memory", Remember{MaxAge: 10 * time.Second}, time.Minute, 10 * time.Second},
		{"expired token", Remember{}, -time.Second, 0},
		{"no memory", Remember{Entries: -1}, time.Hour, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, start := &place{}, time.Now()
				m := newMemory(tt.cfg)
				m.put(newEntry("a", p, start.Add(tt.expiry)), start)
				if tt.want > 0 {
					time.Sleep(tt.want - time.Nanosecond)
					if s, ok := m.get("a", p, time.Now()); !ok || s.ID != "a" {
						t.Errorf("just before %v: got %v %v, want it remembered", tt.want, s, ok)
					}
					time.Sleep(time.Nanosecond)
				}
				if s, ok := m.get("a", p, time.Now()); ok {
					t.Errorf("at %v: got %v, want it forgotten", tt.want, s)
				}
				m.sweep(time.Now())
			})
		})
	}
}

func TestMemoryComparesAll(t *testing.T) {
	now := time.Now()
	m := newMemory(Remember{Entries: 1}) // one bucket: every token meets every other
	here, there := &place{}, &place{where: Place{Cookie: "c"}}
	e := newEntry("token", here, now.Add(time.Minute))
	m.put(e, now)
	for _, tt := range []struct {
		text string
		at   *place
		want bool
	}{{"token", here, true}, {"token", there, false}, {"tokem", here, false}, {"token2", here, false}, {"toke", here, false}, {"", here, false}} {
		if _, ok := m.get(tt.text, tt.at, now); ok != tt.want {
			t.Errorf("get(%q, %v): got %v, want %v", tt.text, tt.at.where, ok, tt.want)
		}
	}
	e.source.(*keyFile).set.Store(&keys.Set{})
	if _, ok := m.get("token", here, now); ok {
		t.Error("other keys: got it remembered, want it forgotten")
	}
	m.sweep(now)
	for i := range m.slots {
		if m.slots[i].Load() != nil {
			t.Errorf("slot %d holds on to a dead entry after sweep", i)
		}
	}
	m.put(e, now) // verified with keys that went in the meantime
	if _, ok := m.get("token", here, now); ok {
		t.Error("put with old keys: got it remembered")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	now := time.Now()
	for entries, want := range map[int]int{0: 8192, 1: 4, 4: 4, 5: 8, 100: 128} {
		m := newMemory(Remember{Entries: entries})
		if got := len(m.slots); got != want {
			t.Errorf("%d entries: got %d slots, want %d", entries, got, want)
		}
	}
	m := newMemory(Remember{Entries: 64})
	p := &place{}
	for i := range 1000 {
		text := fmt.Sprint(i)
		m.put(newEntry(text, p, now.Add(time.Minute)), now)
		if _, ok := m.get(text, p, now); !ok {
			t.Fatalf("token %d: forgotten at once", i)
		}
	}
}
