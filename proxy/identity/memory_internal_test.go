package identity

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
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
	found := 0
	for i := range 1000 {
		if _, ok := m.get(fmt.Sprint(i), p, now); ok {
			found++
		}
	}
	if found <= ways || found > 64 {
		t.Errorf("%d of 1000 tokens are remembered by a memory of 64", found)
	}
}

func TestPoll(t *testing.T) {
	for poll, want := range map[time.Duration]time.Duration{0: time.Second, 5 * time.Second: 5 * time.Second} {
		id, err := New(Config{Poll: poll}, nil, zap.NewNop())
		if err != nil || id.poll != want {
			t.Errorf("poll %v: got %v, error %v, want %v", poll, id.poll, err, want)
		}
	}
}

// TestMemoryMakesRoom: where a bucket is full, what would end first goes, and nothing
// else; what ended, and the same token at the same place, make room before that.
func TestMemoryMakesRoom(t *testing.T) {
	now, p := time.Now(), &place{}
	there := &place{where: Place{Cookie: "c"}}
	remembered := func(m *memory) string {
		var all string
		for _, text := range []string{"a", "b", "c", "d", "e", "f"} {
			if _, ok := m.get(text, p, now); ok {
				all += text
			}
		}
		return all
	}
	end := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	for name, tt := range map[string]struct {
		ends [ways]int // of a, b, c and d, in seconds
		put  []entry
		want string
	}{
		"the first ends first":      {[ways]int{1, 2, 3, 4}, []entry{newEntry("e", p, end(5))}, "bcde"},
		"the second ends first":     {[ways]int{2, 1, 3, 4}, []entry{newEntry("e", p, end(5))}, "acde"},
		"the last ends first":       {[ways]int{4, 3, 2, 1}, []entry{newEntry("e", p, end(5))}, "abce"},
		"one in the middle":         {[ways]int{4, 3, 1, 2}, []entry{newEntry("e", p, end(5))}, "abde"},
		"two more":                  {[ways]int{1, 2, 3, 4}, []entry{newEntry("e", p, end(5)), newEntry("f", p, end(6))}, "cdef"},
		"a new one that ends first": {[ways]int{3, 4, 5, 6}, []entry{newEntry("e", p, end(1))}, "bcde"},
		"the same token":            {[ways]int{1, 2, 3, 4}, []entry{newEntry("c", p, end(5)), newEntry("c", p, end(5))}, "abcd"},
		"the same at another place": {[ways]int{1, 2, 3, 4}, []entry{newEntry("c", there, end(5))}, "bcd"},
		"not alive":                 {[ways]int{1, 2, 3, 4}, []entry{newEntry("e", p, now)}, "abcd"},
	} {
		m := newMemory(Remember{Entries: 1})
		for i, ends := range tt.ends {
			m.put(newEntry(string("abcd"[i]), p, end(ends)), now)
		}
		for _, e := range tt.put {
			m.put(e, now)
		}
		if got := remembered(m); got != tt.want {
			t.Errorf("%s: %v then %d more: got %s remembered, want %s", name, tt.ends, len(tt.put), got, tt.want)
		}
	}

	// One whose keys went makes room, whenever it would have ended.
	m := newMemory(Remember{Entries: 1})
	for i, text := range []string{"a", "b", "c", "d"} {
		e := newEntry(text, p, end(9-i))
		m.put(e, now)
		if text == "b" {
			e.source.(*keyFile).set.Store(&keys.Set{})
		}
	}
	m.put(newEntry("e", p, end(10)), now)
	if got, want := remembered(m), "acde"; got != want {
		t.Errorf("b is dead: got %s remembered, want %s", got, want)
	}
}

// TestMemorySweeps: a sweep takes what may not be believed any more, and no more.
func TestMemorySweeps(t *testing.T) {
	now, p := time.Now(), &place{}
	m := newMemory(Remember{Entries: 64})
	for i := range 8 {
		m.put(newEntry(fmt.Sprint(i), p, now.Add(time.Duration(i+1)*time.Second)), now)
	}
	m.sweep(now.Add(4 * time.Second))
	held := 0
	for i := range m.slots {
		if m.slots[i].Load() != nil {
			held++
		}
	}
	if held != 4 {
		t.Errorf("%d entries are held after the end of 4 of 8", held)
	}
	for i := 4; i < 8; i++ {
		if _, ok := m.get(fmt.Sprint(i), p, now); !ok {
			t.Errorf("entry %d was swept before its end", i)
		}
	}
}

// TestRemovedKeysAreSwept: what was verified by keys that a file held before is let go at
// the look that finds others.
func TestRemovedKeysAreSwept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, testDocument(t), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(other, testDocument(t), 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := New(Config{Authenticators: []Authenticator{{JWT: &JWT{Issuers: []Issuer{
		{Issuer: "https://idp.example", JWKSFile: path, AnyAudience: true},
		{Issuer: "https://other.example", JWKSFile: other, AnyAudience: true}, // which does not change
	}}}}}, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := id.authenticators[0].(*jwt)
	source, now := a.places[0].issuers["https://idp.example"].source, time.Now()
	e := newEntry("token", a.places[0], now.Add(time.Minute))
	e.source, e.keys = source, source.current(now)
	a.memory.put(e, now)
	if _, ok := a.memory.get("token", a.places[0], now); !ok {
		t.Fatal("the token is not remembered")
	}
	if err := os.WriteFile(path, testDocument(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := id.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range a.memory.slots {
		if a.memory.slots[i].Load() != nil {
			t.Errorf("slot %d holds on to what a removed key verified", i)
		}
	}
}

// TestMemoryKeepsNoRequest: what is remembered holds on to no part of the request's buffer.
func TestMemoryKeepsNoRequest(t *testing.T) {
	now, p := time.Now(), &place{}
	request := "Bearer token"
	text := request[len("Bearer "):]
	m := newMemory(Remember{Entries: 1})
	m.put(newEntry(text, p, now.Add(time.Minute)), now)
	for i := range m.slots {
		if e := m.slots[i].Load(); e != nil && unsafe.StringData(e.token) == unsafe.StringData(text) {
			t.Error("the entry's token is a part of the request")
		}
	}
}

// TestNobodyIsTrusted: a request without a certificate or a socket is of no peer that is
// listed, not even of one without a name.
func TestNobodyIsTrusted(t *testing.T) {
	for _, tt := range []struct {
		from Trusted
		peer proxy.Credentials
		want bool
	}{
		{Trusted{}, proxy.Credentials{}, false},
		{Trusted{Peers: []string{""}, Sockets: []string{""}}, proxy.Credentials{}, false},
		{Trusted{Peers: []string{"a"}}, proxy.Credentials{Principal: "a"}, true},
		{Trusted{Peers: []string{"a"}}, proxy.Credentials{Socket: "a"}, false},
		{Trusted{Sockets: []string{"a"}}, proxy.Credentials{Socket: "a"}, true},
		{Trusted{Sockets: []string{"a"}}, proxy.Credentials{Principal: "a"}, false},
	} {
		if got := tt.from.trusts(tt.peer); got != tt.want {
			t.Errorf("%+v trusts %+v: got %v, want %v", tt.from, tt.peer, got, tt.want)
		}
	}
}
