package policy

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

const (
	defaultEntries = 100_000
	defaultMaxAge  = 5 * time.Minute
	// entryBytes is the key that is paid for as one entry. A longer one counts as several,
	// for callers choose how long the values in it are.
	entryBytes = 4 << 10
	// countersPerEntry is what ristretto asks for to tell frequent keys from rare ones.
	countersPerEntry = 10
	// setBuffer is ristretto's own advice for BufferItems.
	setBuffer = 64
)

// finding is a decision with what says when it may be used again.
type finding struct {
	key        string // whole: hashes are never trusted, callers choose header values
	generation uint64
	evaluated  time.Time
	answer     Decision
	kept       atomic.Value // what a front end made of the answer ([Recalled.Keep])
}

// decision is the finding's answer with its origin; of no finding, a denial.
func (f *finding) decision(o Origin) Decision {
	if f == nil {
		return Decision{Origin: o}
	}
	d := f.answer
	d.Origin = o
	return d
}

// holds says whether a fresh evaluation at now would give the same: not before the
// instant at which it was made, and not at or after the first instant at which
// anything that was considered changes.
func (f *finding) holds(now time.Time) bool {
	until := f.answer.ValidUntil
	return !now.Before(f.evaluated) && (until.IsZero() || now.Before(until))
}

// memory remembers findings in ristretto. Nothing in it is ever invalidated: the
// generation stands in key and value, and the clock is compared at every use.
type memory struct {
	cache        *ristretto.Cache[[]byte, *finding] // nil: nothing is remembered
	maxAge       time.Duration
	skipNegative bool
	counts       memoryCounts
}

// memoryCounts are what ristretto did with what it was given.
type memoryCounts struct{ stored, dropped, rejected, evicted atomic.Uint64 }

// MemoryStats are counts of the memory of decisions since the engine was made. Users
// misread hit ratios without them: a set is asynchronous, and may be dropped or rejected.
type MemoryStats struct {
	Stored   uint64 // handed over
	Dropped  uint64 // not taken, because it was busy
	Rejected uint64 // of those handed over: turned away for more frequent ones
	Evicted  uint64 // made room for others, or their time was over
	Cost     uint64 // what is held now, in entries; a long key counts as several
	Capacity uint64 // entries at most
}

func newMemory(cfg Config) (*memory, error) {
	m := &memory{maxAge: cfg.MaxAge, skipNegative: cfg.SkipNegative}
	if m.maxAge == 0 {
		m.maxAge = defaultMaxAge
	}
	entries := int64(cfg.Entries)
	if entries == 0 {
		entries = defaultEntries
	}
	if entries < 0 {
		return m, nil
	}
	first, second := maphash.MakeSeed(), maphash.MakeSeed()
	c, err := ristretto.NewCache(&ristretto.Config[[]byte, *finding]{
		NumCounters:        countersPerEntry * entries,
		MaxCost:            entries,
		BufferItems:        setBuffer,
		IgnoreInternalCost: true,
		// Its own function makes an interface of every key, which costs an allocation.
		OnReject: func(*ristretto.Item[*finding]) { m.counts.rejected.Add(1) },
		OnEvict:  func(*ristretto.Item[*finding]) { m.counts.evicted.Add(1) },
		KeyToHash: func(key []byte) (hash, conflict uint64) {
			return maphash.Bytes(first, key), maphash.Bytes(second, key)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the decision cache: %w", err)
	}
	m.cache = c
	return m, nil
}

// get answers what was remembered under exactly this key and generation and holds now.
func (m *memory) get(key []byte, generation uint64, now time.Time) (*finding, bool) {
	if m.cache == nil {
		return nil, false
	}
	f, ok := m.cache.Get(key)
	if !ok || f.key != string(key) || f.generation != generation || !f.holds(now) {
		return nil, false
	}
	if now.Sub(f.evaluated) >= m.maxAge {
		return nil, false
	}
	return f, true
}

// put remembers f if it may be used again. Sets are asynchronous and may be dropped.
func (m *memory) put(f *finding, now time.Time) {
	if m.cache == nil || m.skipNegative && f.answer.Effect == Deny {
		return
	}
	life := m.maxAge
	if until := f.answer.ValidUntil; !until.IsZero() {
		life = min(life, until.Sub(now))
	}
	if life <= 0 {
		return
	}
	// The time to live only frees memory. It is spread, because entries that expire
	// together stall the goroutine that sets.
	if m.cache.SetWithTTL([]byte(f.key), f, f.cost(), life-rand.N(life/8+1)) {
		m.counts.stored.Add(1)
	} else {
		m.counts.dropped.Add(1)
	}
}

// cost is what a finding takes of the memory, in entries.
func (f *finding) cost() int64 { return 1 + int64(len(f.key)/entryBytes) }

func (m *memory) stats() MemoryStats {
	s := MemoryStats{
		Stored: m.counts.stored.Load(), Dropped: m.counts.dropped.Load(),
		Rejected: m.counts.rejected.Load(), Evicted: m.counts.evicted.Load(),
	}
	if m.cache != nil {
		s.Capacity = uint64(m.cache.MaxCost())
		s.Cost = s.Capacity - min(s.Capacity, uint64(max(0, m.cache.RemainingCost())))
	}
	return s
}

func (m *memory) close() {
	if m.cache != nil {
		m.cache.Close()
	}
}
