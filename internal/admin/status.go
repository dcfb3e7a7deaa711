package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/loader"
)

// StatusVersion is the schema of the status document: it rises when a member
// changes its meaning, not when one is added.
const StatusVersion = 1

// Status is one reading of the server, told as JSON. The zero value is a server
// without a bundle.
type Status struct {
	SchemaVersion int           `json:"schema_version"`
	Ready         bool          `json:"ready"`
	Draining      bool          `json:"draining"`
	Degraded      bool          `json:"degraded"`   // decides, but not on the newest bundles, or without its memory
	Generation    uint64        `json:"generation"` // that answers; 0 before the first
	Started       time.Time     `json:"started"`
	Build         any           `json:"build"`
	Loader        loader.Status `json:"loader"`
	Cache         Cache         `json:"cache"`
	Evaluations   Evaluations   `json:"evaluations"`
}

// Cache is what became of questions and decisions since the start.
type Cache struct {
	Hits     uint64 `json:"hits"`     // answered from memory
	Misses   uint64 `json:"misses"`   // evaluated
	Waits    uint64 `json:"waits"`    // answered by another request's evaluation
	Bypassed uint64 `json:"bypassed"` // evaluated, may not be remembered
	// BypassedBy is Bypassed by reason: clock, nondeterministic or audit; nil for none.
	BypassedBy map[string]uint64 `json:"bypassed_by,omitempty"`
	// NotRemembered is the reason for which no decision of this generation is; "" when
	// they are.
	NotRemembered string `json:"not_remembered,omitempty"`

	Stored   uint64 `json:"stored"`   // handed to memory
	Dropped  uint64 `json:"dropped"`  // handed over while it was busy
	Rejected uint64 `json:"rejected"` // of the stored, turned away for more frequent ones
	Evicted  uint64 `json:"evicted"`
	Cost     uint64 `json:"cost"`     // entries held now
	Capacity uint64 `json:"capacity"` // entries at most
	// Audits are decisions that were evaluated again on the whole input; Mismatches, of
	// those, which differed: must stay 0.
	Audits     uint64 `json:"audits"`
	Mismatches uint64 `json:"audit_mismatches"`
}

// Evaluations is what runs when memory does not answer.
type Evaluations struct {
	Running uint64 `json:"running"`
	Shed    uint64 `json:"shed"`    // refused, because too many were running
	Overdue uint64 `json:"overdue"` // ran on for a second after their time limit
}

func (s *Server) statusPage(w http.ResponseWriter, _ *http.Request) {
	now := s.status()
	now.SchemaVersion = StatusVersion
	now.Ready, now.Draining = s.unready() == "", s.draining.Load()
	body, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		s.log.Error("status cannot be told", zap.Error(err))
		text(w, http.StatusInternalServerError, "internal error")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // a client that left
}
