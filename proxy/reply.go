package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// Reply is an answer in the terms of HTTP, for a surface to put on its wire as it
// stands. Which half counts is the answer's effect, never the reply's contents.
type Reply struct {
	// Of an allow: what becomes of the request before it goes upstream.
	SetHeaders    []Header
	RemoveHeaders []string // never one that SetHeaders names
	SetQuery      []Parameter
	RemoveQuery   []string
	AddToResponse []Header // to the upstream's response

	// Of a denial.
	Status  int // 400 to 599, or a redirect with its Location
	Headers []Header
	Body    string
	// AnyStatus says that Status may be that of a success too: the client gets it, and the
	// upstream nothing.
	AnyStatus bool
	// Fault says that there was no answer, and that the operator wants the caller to
	// hear of it as an error more than as a denial (on_policy_error: error).
	Fault bool

	// Of both: what the policy wants noted of the request; nil for nothing.
	Metadata ast.Object
	// MetadataFirst has the policy's members win over the server's own, but for the
	// decision's id.
	MetadataFirst bool
}

// replyTo makes the reply to a decision. now is the clock reading of the request;
// taken the names to take out. An error means that the decision cannot be told
// as it is, and must become a denial.
func (cfg Config) replyTo(a *Answer, c carried, taken spoofs, now time.Time) error {
	a.Tenant, a.Roles = c.tenant, c.roles
	a.Reply = Reply{Metadata: c.metadata, MetadataFirst: cfg.Profile == ProfileOPAEnvoy}
	switch {
	case a.Effect == policy.Allow:
		a.Reply.allow(a, c, taken, now)
	case a.lifted():
		a.Reply.allow(a, carried{}, taken, now)
	case cfg.asSaid(a):
		a.Reply.denyAsSaid(c)
	default:
		cfg.deny(a, c)
	}
	return a.Reply.withinBounds()
}

// allow sets or removes each identity header, and carries what the policy adds.
func (r *Reply) allow(a *Answer, c carried, taken spoofs, now time.Time) {
	subject := a.vouched(now)
	identity := [...]Header{
		{Name: HeaderSubject, Value: Escape(subject)},
		{Name: HeaderTenant, Value: Escape(a.Tenant)},
		{Name: HeaderRoles, Value: joinEscaped(a.Roles)},
	}
	r.SetHeaders = make([]Header, 0, len(identity)+len(c.headers))
	for _, h := range identity {
		if h.Value != "" && subject != "" {
			r.SetHeaders = append(r.SetHeaders, h)
		} else {
			r.RemoveHeaders = append(r.RemoveHeaders, h.Name)
		}
	}
	for _, h := range c.headers {
		// Envoy removes after it sets, so a policy that says both says remove.
		if !slices.Contains(c.removeHeaders, h.Name) {
			r.SetHeaders = append(r.SetHeaders, h)
		}
	}
	for _, list := range [...][]string{taken, c.removeHeaders} {
		for _, name := range list {
			set := slices.ContainsFunc(r.SetHeaders, func(h Header) bool { return h.Name == name })
			if !set && !slices.Contains(r.RemoveHeaders, name) {
				r.RemoveHeaders = append(r.RemoveHeaders, name)
			}
		}
	}
	r.AddToResponse, r.SetQuery, r.RemoveQuery = c.addToResponse, c.setQuery, c.removeQuery
}

// vouched is the id of the subject that the upstream is told, "" for none. A reply
// depends on the subject and on the clock by nothing else.
func (a *Answer) vouched(now time.Time) string {
	if a.Effect != policy.Allow || a.Reason == policy.ReasonPublic || !a.Subject.Current(now) {
		return ""
	}
	return a.Subject.ID
}

func joinEscaped(list []string) string {
	escaped := make([]string, len(list))
	for i, s := range list {
		escaped[i] = Escape(s)
	}
	return strings.Join(escaped, ",")
}

// deny tells the client the class of the denial and the decision's id. The reason
// stays here, unless the policy writes a body of its own.
func (cfg Config) deny(a *Answer, c carried) {
	r := &a.Reply
	fault := a.Verdict() == policy.VerdictError && a.Reason != policy.ReasonMalformedRequest
	r.Status = a.HTTPStatus()
	switch {
	case fault && cfg.OnPolicyError == OnErrorFault:
		r.Status, r.Fault = http.StatusServiceUnavailable, true
	case fault && cfg.OnPolicyError == OnErrorDeny:
		r.Status = http.StatusForbidden
	case c.status != 0:
		r.Status = deniedStatus(c.status, c.headers)
	}

	r.Headers = append(make([]Header, 0, 3+len(c.headers)), Header{Name: HeaderDecisionID, Value: a.ID})
	unlessSet := func(name, value string) {
		if !slices.ContainsFunc(c.headers, func(h Header) bool { return h.Name == name }) {
			r.Headers = append(r.Headers, Header{Name: name, Value: value})
		}
	}
	switch r.Status {
	case http.StatusUnauthorized:
		unlessSet("www-authenticate", cfg.Challenge)
	case http.StatusServiceUnavailable:
		unlessSet("retry-after", strconv.Itoa(int(cfg.RetryAfter/time.Second)))
	}
	r.Body = c.body
	if !c.hasBody {
		if cfg.Profile == ProfileOPAEnvoy && a.Reason == policy.ReasonMalformedRequest {
			unlessSet("content-type", "text/plain")
			r.Body = "request_parse_error: the request cannot be read (decision " + a.ID + ")\n"
		} else {
			unlessSet("content-type", "application/json")
			r.Body = deniedBody(r.Status, a.ID)
		}
	}
	r.Headers = append(r.Headers, c.headers...)
}

// deniedStatus is the status that a policy chose, if a denial can have it: an error
// of HTTP's, or a redirect that says whereto (a login page). Else it is 403: a
// denial never looks like a success.
func deniedStatus(status int, headers []Header) int {
	if http.StatusText(status) == "" {
		return http.StatusForbidden
	}
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if slices.ContainsFunc(headers, func(h Header) bool { return h.Name == "location" }) {
			return status
		}
	}
	if status < 400 { // above 599 there is none that HTTP knows
		return http.StatusForbidden
	}
	return status
}

func deniedBody(status int, id string) string {
	class := "forbidden"
	switch {
	case status == http.StatusBadRequest:
		class = "bad_request"
	case status == http.StatusUnauthorized:
		class = "unauthenticated"
	case status == http.StatusNotFound:
		class = "not_found"
	case status == http.StatusTooManyRequests:
		class = "too_many_requests"
	case status >= http.StatusInternalServerError:
		class = "unavailable"
	}
	return `{"error":"` + class + `","decision_id":"` + id + `"}` // both are our own words
}

// withinBounds refuses a reply that Envoy would answer 500 to.
func (r *Reply) withinBounds() error {
	count, size := 0, 0
	add := func(name, value string) {
		count++
		size += len(name) + len(value)
	}
	for _, list := range [...][]Header{r.SetHeaders, r.AddToResponse, r.Headers} {
		for _, h := range list {
			add(h.Name, h.Value)
		}
	}
	for _, p := range r.SetQuery {
		add(p.Name, p.Value)
	}
	for _, name := range r.RemoveQuery {
		add(name, "")
	}
	if count > maxHeaders || size > maxHeaderBytes {
		return fmt.Errorf("the answer has %d headers and parameters of %d bytes, more than %d of %d", count, size, maxHeaders, maxHeaderBytes)
	}
	return nil
}
