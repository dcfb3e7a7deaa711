package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// answerSchema is the version of [answer] as JSON.
const answerSchema = 1

// answer is what `check` says. Its members as JSON are a contract.
type answer struct {
	SchemaVersion int               `json:"schema_version"`
	Allowed       bool              `json:"allowed"`
	Verdict       policy.Verdict    `json:"verdict"`
	Reason        string            `json:"reason"`
	Subject       answerSubject     `json:"subject"`
	Question      answerQuestion    `json:"question"`
	Roles         []string          `json:"roles"`
	GrantingRoles []string          `json:"granting_roles"`
	AsOf          time.Time         `json:"as_of"`
	ValidUntil    *time.Time        `json:"valid_until"` // null: nothing bounds it
	Revisions     map[string]string `json:"revisions"`
}

type answerSubject struct {
	ID      string `json:"id"`
	Type    string `json:"type,omitempty"`
	Record  string `json:"record,omitempty"` // the node of the record that the session was taken from
	Session string `json:"session"`          // stored
}

type answerQuestion struct {
	Resource string   `json:"resource,omitempty"`
	Action   string   `json:"action,omitempty"`
	RolesAny []string `json:"roles_any,omitempty"`
	Tenant   string   `json:"tenant,omitempty"`
	Path     string   `json:"path,omitempty"`
	Method   string   `json:"method,omitempty"`
	URL      string   `json:"url,omitempty"`
	Route    string   `json:"route,omitempty"` // set:id
	Public   bool     `json:"public,omitempty"`
}

// take reads a decision. One that is no answer is an error.
func (a *answer) take(d policy.Decision) error {
	a.Allowed, a.Verdict, a.Reason = d.Effect == policy.Allow, d.Verdict(), d.Reason
	if a.Verdict == policy.VerdictError || a.Verdict == policy.VerdictNoRoute {
		return fmt.Errorf("%s: the question could not be answered", d.Reason)
	}
	if !d.ValidUntil.IsZero() {
		until := d.ValidUntil.UTC()
		a.ValidUntil = &until
	}
	a.Roles, a.GrantingRoles = []string{}, []string{}
	if d.Result == nil {
		return nil
	}
	var result struct {
		Roles         []string `json:"roles"`
		GrantingRoles []string `json:"granting_roles"`
	}
	doc, err := ast.JSON(d.Result)
	if err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	// A policy of the user's own may say something else under these names.
	if json.Unmarshal(raw, &result) == nil {
		a.Roles, a.GrantingRoles = append(a.Roles, result.Roles...), append(a.GrantingRoles, result.GrantingRoles...)
	}
	return nil
}

// showAnswer prints an answer.
func (p *program) showAnswer(a answer) error {
	if p.format == "json" {
		return p.json(a)
	}
	c := p.paint(p.stdout)
	head := c.green("✓ ALLOW")
	if !a.Allowed {
		head = c.red("⊘ DENY")
	}
	fmt.Fprintf(p.stdout, "%s  %s   %s\n", head, c.bold(a.Question.asked()), a.where())
	fmt.Fprintf(p.stdout, "└─ %s\n", a.because())
	if a.ValidUntil != nil {
		fmt.Fprintf(p.stdout, "   %s\n", c.faint("holds until "+a.ValidUntil.Format(time.RFC3339)))
	}
	return nil
}

func (q answerQuestion) asked() string {
	permission := q.Resource + ":" + q.Action
	switch {
	case q.Public:
		permission = "public"
	case q.Action == "":
		permission = "roles " + strings.Join(q.RolesAny, " or ")
	case q.Resource == "-":
		permission = q.Action
	}
	if q.Method == "" {
		return permission
	}
	return fmt.Sprintf("%s %s (%s: %s)", q.Method, q.URL, q.Route, permission)
}

func (a *answer) where() string {
	where := a.Subject.ID
	if a.Question.Tenant != "" {
		where += " in " + a.Question.Tenant
	}
	if a.Question.Path != "" {
		where += ", at " + a.Question.Path
	}
	return where
}

func (a *answer) because() string {
	because := a.Reason
	switch {
	case len(a.GrantingRoles) > 0:
		because += " by " + strings.Join(a.GrantingRoles, ", ")
	case len(a.Roles) > 0:
		because += ", with " + strings.Join(a.Roles, ", ")
	}
	return because
}
