package decisionlog

import (
	"time"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
	"github.com/rolegate/rolegate/proxy"
)

// Entry is one line of the log. It names the question and the answer; tokens, claims,
// headers, bodies and queries are in none of its fields.
type Entry struct {
	ID         string            `json:"id"`
	Time       time.Time         `json:"time"` // UTC
	Protocol   proxy.Protocol    `json:"protocol,omitempty"`
	Method     string            `json:"method,omitempty"`
	Host       string            `json:"host,omitempty"`
	Path       string            `json:"path,omitempty"` // canonical; absent when it was malformed
	Subject    string            `json:"subject,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Question   *Question         `json:"question,omitempty"` // absent when none was asked
	Tenant     string            `json:"tenant,omitempty"`   // that the decision was made for
	Verdict    policy.Verdict    `json:"verdict"`
	Reason     string            `json:"reason"`
	Generation uint64            `json:"generation"`
	Revisions  map[string]string `json:"revisions,omitempty"`
	Source     policy.Origin     `json:"source,omitempty"` // hit, miss, wait or bypass
	DurationNS int64             `json:"duration_ns"`
	Error      string            `json:"error,omitempty"`
	// DryRun says that a denial by a policy was not enforced: who runs dry hears of it in
	// every line.
	DryRun bool `json:"dry_run,omitempty"`
}

// Question is what the route table made of the request.
type Question struct {
	Set      string   `json:"set,omitempty"`
	Route    string   `json:"route,omitempty"`
	Public   bool     `json:"public,omitempty"`
	Resource string   `json:"resource,omitempty"`
	Action   string   `json:"action,omitempty"`
	Tenant   string   `json:"tenant,omitempty"` // as asked
	Path     string   `json:"path,omitempty"`
	Owner    string   `json:"owner,omitempty"`
	RolesAny []string `json:"roles_any,omitempty"`
	Error    string   `json:"error,omitempty"`
	Missing  string   `json:"missing,omitempty"`
}

// entryOf is the line of a record.
func entryOf(r proxy.Record) Entry {
	return Entry{
		ID: r.ID, Time: r.Time.UTC(), Protocol: r.Protocol, Method: r.Method, Host: r.Host, Path: r.Path,
		Subject: r.Subject, Kind: r.Kind, Question: questionOf(r.Route), Tenant: r.Tenant,
		Verdict: r.Verdict, Reason: r.Reason, Generation: r.Generation, Revisions: r.Revisions,
		Source: r.Origin, DurationNS: r.Duration.Nanoseconds(), Error: r.Error, DryRun: r.DryRun,
	}
}

func questionOf(m route.Match) *Question {
	if m.ID == "" && m.Error == "" {
		return nil
	}
	return &Question{
		Set: m.Set, Route: m.ID, Public: m.Public, Resource: m.Resource, Action: m.Action,
		Tenant: m.Tenant, Path: m.Path, Owner: m.Owner, RolesAny: m.RolesAny,
		Error: m.Error, Missing: m.Missing,
	}
}
