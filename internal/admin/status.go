package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// statusVersion is the schema of the status document: it rises when a member
// changes its meaning, not when one is added.
const statusVersion = 1

// Status is one reading of the server, told as JSON. The zero value is a server
// without a bundle.
type Status struct {
	SchemaVersion int       `json:"schema_version"`
	Ready         bool      `json:"ready"`
	Draining      bool      `json:"draining"`
	Degraded      bool      `json:"degraded"` // decides, but not on the newest bundles, or not as fast as it should
	Started       time.Time `json:"started"`
	Build         any       `json:"build"`
	Generation    uint64    `json:"generation"` // of the bundles that answer; 0 before the first
	Watching      bool      `json:"watching"`   // false: changes are found by polling
	Bundles       []Bundle  `json:"bundles"`
	Cache         Cache     `json:"cache"`
}

// Bundle is one bundle as it is in force.
type Bundle struct {
	Name     string    `json:"name"`
	Revision string    `json:"revision"`
	Digest   string    `json:"digest"`
	Loaded   time.Time `json:"loaded"`               // when it came into force; zero: never
	Error    string    `json:"last_error,omitempty"` // why a newer one did not
}

// Cache is what became of questions and decisions since the start.
type Cache struct {
	Hits     uint64 `json:"hits"`     // answered from memory
	Misses   uint64 `json:"misses"`   // evaluated
	Waits    uint64 `json:"waits"`    // answered by another request's evaluation
	Bypassed uint64 `json:"bypassed"` // evaluated, may not be remembered
	Stored   uint64 `json:"stored"`
	Dropped  uint64 `json:"dropped"`
}

func (s *Server) statusPage(w http.ResponseWriter, _ *http.Request) {
	now := s.status()
	now.SchemaVersion = statusVersion
	now.Ready, now.Draining = s.unready() == "", s.draining.Load()
	if now.Bundles == nil {
		now.Bundles = []Bundle{}
	}
	body, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		s.log.Error("status cannot be told", zap.Error(err))
		text(w, http.StatusInternalServerError, "internal error")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // a client that left
}
