package telemetry

import (
	"maps"
	"sync"
)

// Reasons splits a count that only rises by what was the reason while it rose. The
// zero value works: its reason is none, "". It is safe for concurrent use.
type Reasons struct {
	mu      sync.Mutex
	current string
	since   uint64            // the count when current began
	before  map[string]uint64 // what other spans of time brought
}

// Because makes reason the one from now on, at a reading of the count.
func (r *Reasons) Because(reason string, count uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before == nil {
		r.before = map[string]uint64{}
	}
	count = max(count, r.since) // a reading that was overtaken
	r.before[r.current] += count - r.since
	r.current, r.since = reason, count
}

// Current is the reason now.
func (r *Reasons) Current() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// Split answers how much of the count each reason brought; those that brought nothing
// are left out. What rose while there was no reason, in the moments around a change, is
// told as "other". The parts rise with the count; what is under way at a change may be
// told of either reason.
func (r *Reasons) Split(count uint64) map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	split := maps.Clone(r.before)
	if split == nil {
		split = map[string]uint64{}
	}
	split[r.current] += max(count, r.since) - r.since
	split["other"] += split[""]
	delete(split, "")
	maps.DeleteFunc(split, func(_ string, n uint64) bool { return n == 0 })
	return split
}
