package policy

import (
	"time"

	"github.com/rolegate/rolegate/policy/footprint"
)

// Key is room for the key of one question. It is used by one caller at a time, again
// and again. The zero value works.
type Key struct{ b []byte }

// Recalled is a remembered decision. It is shared by all who asked for it.
type Recalled struct{ f *finding }

// Decision is the decision, as [View.Decide] would have answered it.
func (r Recalled) Decision() Decision { return r.f.decision(OriginHit) }

// Kept is what was kept with the decision last; nil for nothing.
func (r Recalled) Kept() any { return r.f.kept.Load() }

// Keep keeps something that follows from the decision as long as the decision is
// remembered, in place of what was kept before. All that is ever kept is of one type.
func (r Recalled) Keep(v any) { r.f.kept.Store(v) }

// Recall answers the snapshot's entry point from memory, where that takes neither an
// evaluation nor values to be made of the request. ok is false when it does not answer,
// which says nothing about the question: Decide answers all. A decision that is to be
// audited is left to Decide, too.
func (v View) Recall(k *Key, in footprint.Writer, now time.Time) (r Recalled, ok bool) {
	if v.at == nil || v.at.asked == nil || v.at.asked.distrusted.Load() {
		return Recalled{}, false
	}
	a := v.at.asked.analysis()
	if a.reuse.Bypass != "" {
		return Recalled{}, false
	}
	k.b = v.appendPrefix(k.b[:0], v.at.asked)
	k.b, ok = a.plan.WriteKey(k.b, in)
	if !ok {
		return Recalled{}, false
	}
	f, ok := v.engine.memory.get(k.b, v.at.generation, now.Round(0)) // the wall clock alone: it may step back
	if !ok || !v.engine.passAudit() {
		return Recalled{}, false
	}
	v.engine.counts.hits.Add(1)
	return Recalled{f}, true
}
