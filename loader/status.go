package loader

import (
	"time"

	"github.com/rolegate/rolegate/policy"
)

// Status is what a loader knows of its bundles. The zero value is a loader that has
// not looked yet.
type Status struct {
	Generation uint64         `json:"generation"` // that decides; 0: none
	Ready      bool           `json:"ready"`      // something decides
	Degraded   bool           `json:"degraded"`   // something newer is on the disk and does not decide, or something is missing
	Watching   bool           `json:"watching"`   // events come; false: everything is found by looking now and then
	Error      string         `json:"error,omitempty"`
	Warnings   []string       `json:"warnings,omitempty"` // of what decides, the first ones
	Bundles    []BundleStatus `json:"bundles"`            // by name
}

// BundleStatus is one bundle.
type BundleStatus struct {
	Name     string    `json:"name"`
	Revision string    `json:"revision,omitempty"` // that decides
	Digest   string    `json:"digest,omitempty"`   // that decides: SHA-256 of the archive, or of a folder's files
	Roots    []string  `json:"roots,omitempty"`    // absent: everything
	Loaded   time.Time `json:"loaded,omitzero"`    // when it began to decide
	Gone     bool      `json:"gone,omitempty"`     // from the disk
	Problems []string  `json:"problems,omitempty"` // why what is on the disk does not decide, the first ones
}

// Status answers the state after the last look. It may be called at any time.
func (l *Loader) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// publish makes the state of Run the one that Status answers.
func (l *Loader) publish(watching bool) {
	s := Status{
		Generation: l.generation, Ready: l.generation > 0, Watching: watching,
		Error: l.dirTold, Warnings: lines(l.warnings), Degraded: l.dirTold != "",
	}
	for _, t := range l.sorted() {
		s.Degraded = s.Degraded || t.degraded()
		s.Bundles = append(s.Bundles, t.status())
	}
	if !s.Ready && s.Error == "" {
		s.Error = l.coldFault
	}
	l.cfg.Metrics.state(watching, s.Degraded)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = s
}

func (t *tracked) status() BundleStatus {
	s := BundleStatus{Name: t.name, Loaded: t.loadedAt, Gone: t.gone, Problems: lines(t.faults)}
	s.Problems = append(s.Problems, lines(t.held)...)
	if t.heldErr != nil {
		s.Problems = append(s.Problems, t.heldErr.Error())
	}
	if t.good != nil {
		s.Revision, s.Digest = t.good.revision, t.good.digest
		for _, r := range t.good.roots {
			s.Roots = append(s.Roots, r.String())
		}
	}
	return s
}

// lines are the first problems as text.
func lines(problems policy.Problems) []string {
	var text []string
	for _, p := range problems[:min(len(problems), maxToldProblems)] {
		text = append(text, p.String())
	}
	return text
}
