package identity

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy/identity/keys"
)

const (
	// ways is how many entries share a bucket: enough that a full table still finds
	// room, few enough to look at all.
	ways = 4

	defaultEntries = 8192
	maxEntries     = 1 << 20
	longestMemory  = 5 * time.Minute
)

// memory holds verified tokens with their subjects, so that a caller's next
// requests cost no cryptography. It is bounded, takes no lock, and may be used
// concurrently. A nil memory remembers nothing.
//
// An entry is found by a seeded hash and believed only if the whole token is the
// same, it stands at the place it was verified for, its time is not over and its
// issuer's keys are still those that verified it.
type memory struct {
	seed   maphash.Seed
	slots  []atomic.Pointer[entry] // buckets of ways
	mask   uint64                  // of the buckets
	maxAge time.Duration
}

// entry is immutable.
type entry struct {
	token   string
	place   *place
	source  keeper
	keys    *keys.Set // of the source, when the token was verified
	until   time.Time
	subject policy.Subject
}

// keeper is what has keys, as [source] has.
type keeper interface {
	current(now time.Time) *keys.Set
}

func newMemory(cfg Remember) *memory {
	if cfg.Entries < 0 {
		return nil
	}
	entries, maxAge := defaultEntries, longestMemory
	if cfg.Entries > 0 {
		entries = cfg.Entries
	}
	if cfg.MaxAge > 0 {
		maxAge = cfg.MaxAge
	}
	buckets := uint64(1) << bits.Len64(uint64(entries-1)/ways)
	return &memory{
		seed:   maphash.MakeSeed(),
		slots:  make([]atomic.Pointer[entry], buckets*ways),
		mask:   buckets - 1,
		maxAge: maxAge,
	}
}

// alive says whether an entry may be believed at now.
func (e *entry) alive(now time.Time) bool {
	return now.Before(e.until) && e.source.current(now) == e.keys
}

// bucket answers where a text of that hash may stand.
func (m *memory) bucket(hash uint64) []atomic.Pointer[entry] {
	i := hash & m.mask * ways
	return m.slots[i : i+ways]
}

func (m *memory) get(text string, p *place, now time.Time) (policy.Subject, bool) {
	if m == nil {
		return policy.Subject{}, false
	}
	return find(m.bucket(maphash.String(m.seed, text)), text, p, now)
}

// getBytes is get of a text without a place, of which no string was made.
func (m *memory) getBytes(text []byte, now time.Time) (policy.Subject, bool) {
	if m == nil {
		return policy.Subject{}, false
	}
	return find(m.bucket(maphash.Bytes(m.seed, text)), text, nil, now)
}

func find[T string | []byte](bucket []atomic.Pointer[entry], text T, p *place, now time.Time) (policy.Subject, bool) {
	for i := range bucket {
		e := bucket[i].Load()
		if e != nil && e.token == string(text) && e.place == p && e.alive(now) {
			return e.subject, true
		}
	}
	return policy.Subject{}, false
}

// put remembers e, at most until its until. Where its bucket is full, the entry
// that would end first makes room.
func (m *memory) put(e entry, now time.Time) {
	if m == nil {
		return
	}
	if longest := now.Add(m.maxAge); e.until.After(longest) {
		e.until = longest
	}
	if !e.alive(now) {
		return
	}
	// What we were given may be a part of a request's whole buffer.
	e.token = strings.Clone(e.token)
	bucket := m.bucket(maphash.String(m.seed, e.token))
	var room *atomic.Pointer[entry]
	var ends time.Time
	for i := range bucket {
		old := bucket[i].Load()
		if old == nil || !old.alive(now) || (old.token == e.token && old.place == e.place) {
			room = &bucket[i]
			break
		}
		if i == 0 || old.until.Before(ends) {
			room, ends = &bucket[i], old.until
		}
	}
	room.Store(&e)
}

// sweep lets go of every entry that may not be believed any more.
func (m *memory) sweep(now time.Time) {
	if m == nil {
		return
	}
	for i := range m.slots {
		if e := m.slots[i].Load(); e != nil && !e.alive(now) {
			m.slots[i].CompareAndSwap(e, nil)
		}
	}
}
