package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
)

func TestTheZeroDecisionDenies(t *testing.T) {
	var d Decision
	if d.Effect != Deny || d.Verdict() != VerdictDeny || d.HTTPStatus() != 403 {
		t.Errorf("got %s, %s, %d, want deny, deny, 403", d.Effect, d.Verdict(), d.HTTPStatus())
	}
}

// answer is what a result means.
type answer struct {
	Effect  Effect
	Reason  string
	Until   time.Time
	Bounded bool
	Fault   bool
}

// answers holds results, as Rego writes them, against what they mean; lenient: to policies
// for OPA.
func answers(t *testing.T, lenient bool, all map[string]answer) {
	t.Helper()
	for result, want := range all {
		v := ast.MustParseTerm(result).Value
		d, bounded, err := decisionOf(v, lenient)
		got := answer{d.Effect, d.Reason, d.ValidUntil, bounded, err != nil}
		if !cmp.Equal(got, want) {
			t.Errorf("%s: got %+v, want %+v (%v)", result, got, want, err)
		}
		if err == nil && d.Result != v || err != nil && d.Result != nil {
			t.Errorf("%s: got the result %v", result, d.Result)
		}
	}
}

func TestDecisionOf(t *testing.T) {
	fault := answer{Fault: true}
	answers(t, false, map[string]answer{
		`true`:                                   {Effect: Allow, Reason: "allowed"},
		`false`:                                  {Reason: "explicit_deny"},
		`{"allowed": true}`:                      {Effect: Allow, Reason: "allowed"},
		`{"allow": true}`:                        {Effect: Allow, Reason: "allowed"},
		`{"allow": true, "allowed": true}`:       {Effect: Allow, Reason: "allowed"},
		`{"allow": false, "reason": "x"}`:        {Reason: "x"},
		`{"allow": true, "valid_until": 5}`:      {Effect: Allow, Reason: "allowed", Until: time.UnixMilli(5), Bounded: true},
		`{"allow": true, "valid_until": 1.5e1}`:  {Effect: Allow, Reason: "allowed", Until: time.UnixMilli(15), Bounded: true},
		`{"allow": true, "valid_until": 1.55e1}`: fault,
		`{"allow": true, "valid_until": null}`:   {Effect: Allow, Reason: "allowed", Bounded: true},
		`{"allow": true, "allowed": false}`:      fault,
		`{"allow": "true"}`:                      fault,
		`{"allow": 1}`:                           fault,
		`{"allow": null}`:                        fault,
		`{}`:                                     fault,
		`[true]`:                                 fault,
		`"true"`:                                 fault,
		`1`:                                      fault,
		`null`:                                   fault,
		`{true}`:                                 fault,
		`{"allow": true, "reason": 1}`:           fault,
		`{"allow": true, "valid_until": "5"}`:    fault,
		`{"allow": true, "valid_until": 5.5}`:    fault,
		`{"allow": true, "valid_until": 1e99}`:   fault,
		`{"allow": true, "valid_until": 1e999}`:  fault,
		// The last instant that a number of another form can mean, and one that only an
		// integer can.
		`{"allow": true, "valid_until": 9.007199254740992e15}`: {Effect: Allow, Reason: "allowed", Until: time.UnixMilli(1 << 53), Bounded: true},
		`{"allow": true, "valid_until": 9.007199254740994e15}`: fault,
		`{"allow": true, "valid_until": 9007199254740993}`:     {Effect: Allow, Reason: "allowed", Until: time.UnixMilli(1<<53 + 1), Bounded: true},
	})
	if d, _, err := decisionOf(nil, false); err == nil || d.Effect != Deny {
		t.Errorf("undefined: got %+v, want a fault", d)
	}
}

func TestReasonsHaveTheirVerdictStatusAndLabel(t *testing.T) {
	for reason, want := range map[string]struct {
		Verdict Verdict
		Status  int
		Label   string
	}{
		ReasonUnauthenticated:    {VerdictUnauthenticated, 401, "unauthenticated"},
		ReasonUntrustedIssuer:    {VerdictUnauthenticated, 401, "untrusted_issuer"},
		ReasonTokenExpired:       {VerdictUnauthenticated, 401, "token_expired"},
		ReasonTokenNotYetValid:   {VerdictUnauthenticated, 401, "token_not_yet_valid"},
		ReasonBadCredential:      {VerdictUnauthenticated, 401, "bad_credential"},
		ReasonExplicitDeny:       {VerdictDeny, 403, "explicit_deny"},
		ReasonRevoked:            {VerdictDeny, 403, "revoked"},
		ReasonNoRoles:            {VerdictNoGrant, 403, "no_roles"},
		ReasonNoPermission:       {VerdictNoGrant, 403, "no_permission"},
		ReasonMissingRole:        {VerdictNoGrant, 403, "missing_role"},
		ReasonNotMember:          {VerdictNoGrant, 403, "not_member"},
		ReasonTenantMismatch:     {VerdictNoGrant, 403, "tenant_mismatch"},
		ReasonPathOutsideTenant:  {VerdictNoGrant, 403, "path_outside_tenant"},
		ReasonUnknownTenant:      {VerdictNoGrant, 403, "unknown_tenant"},
		ReasonUnknownPermission:  {VerdictNoGrant, 403, "unknown_permission"},
		ReasonNoRoute:            {VerdictNoRoute, 403, "no_route"},
		ReasonRouteIncomplete:    {VerdictNoRoute, 403, "route_incomplete"},
		ReasonIncompleteQuestion: {VerdictNoRoute, 403, "incomplete_question"},
		ReasonMalformedRequest:   {VerdictError, 400, "malformed_request"},
		ReasonPolicyError:        {VerdictError, 403, "policy_error"},
		ReasonTimeout:            {VerdictError, 503, "timeout"},
		ReasonNotReady:           {VerdictError, 503, "not_ready"},
		ReasonOverloaded:         {VerdictError, 503, "overloaded"},
		"after hours":            {VerdictDeny, 403, "custom"},
	} {
		d := Decision{Reason: reason}
		if d.Verdict() != want.Verdict || d.HTTPStatus() != want.Status || d.ReasonLabel() != want.Label {
			t.Errorf("%s: got %s %d %s, want %+v", reason, d.Verdict(), d.HTTPStatus(), d.ReasonLabel(), want)
		}
		if d.Effect = Allow; d.Verdict() != VerdictAllow || d.HTTPStatus() != 200 {
			t.Errorf("%s, allowed: got %s %d, want allow 200", reason, d.Verdict(), d.HTTPStatus())
		}
	}
}

// TestDecisionsOfPoliciesForOPA: for them `allowed` is the whole verdict; what else a result
// holds may mean something else to them, and is no fault.
func TestDecisionsOfPoliciesForOPA(t *testing.T) {
	fault := answer{Fault: true}
	answers(t, true, map[string]answer{
		`true`:                                         {Effect: Allow, Reason: "allowed"},
		`false`:                                        {Reason: "explicit_deny"},
		`{"allowed": true}`:                            {Effect: Allow, Reason: "allowed"},
		`{"allowed": false}`:                           {Reason: "explicit_deny"},
		`{"allowed": false, "allow": true}`:            {Reason: "explicit_deny"},
		`{"allowed": true, "reason": "mine"}`:          {Effect: Allow, Reason: "mine"},
		`{"allowed": false, "reason": ""}`:             {},
		`{"allowed": true, "reason": 7}`:               {Effect: Allow, Reason: "allowed"},
		`{"allowed": false, "reason": [1]}`:            {Reason: "explicit_deny"},
		`{"allowed": true, "valid_until": 5}`:          {Effect: Allow, Reason: "allowed", Until: time.UnixMilli(5), Bounded: true},
		`{"allowed": true, "valid_until": null}`:       {Effect: Allow, Reason: "allowed", Bounded: true},
		`{"allowed": true, "valid_until": 5.5}`:        {Effect: Allow, Reason: "allowed"},
		`{"allowed": true, "valid_until": "tomorrow"}`: {Effect: Allow, Reason: "allowed"},
		`{"allow": true}`:                              fault,
		`{"allowed": "true"}`:                          fault,
		`{"allowed": null}`:                            fault,
		`{}`:                                           fault,
		`"true"`:                                       fault,
	})
}

// TestEffectsInWords: what is no effect denies.
func TestEffectsInWords(t *testing.T) {
	for e, want := range map[Effect]string{Deny: "deny", Allow: "allow", Allow + 1: "deny", 255: "deny"} {
		if got := e.String(); got != want {
			t.Errorf("%d: got %q, want %q", e, got, want)
		}
	}
}
