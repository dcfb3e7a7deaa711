package proxy_test

import (
	"encoding/json"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// TestALapsedSubjectIsNobodyToOtherPolicies: a policy of one's own that looks at no more
// than who asks must not be told of somebody whose token has ended, or has not begun.
func TestALapsedSubjectIsNobodyToOtherPolicies(t *testing.T) {
	const rego = `package gate

default decision := {"allowed": false, "reason": "nobody"}

decision := {"allowed": true, "reason": "allowed"} if input.subject.id == "ann"

decision := {"allowed": false, "reason": input.subject.error} if input.subject.error
`
	at := now().UnixMilli()
	for name, c := range map[string]struct {
		claims map[string]any
		reason string
	}{
		"no times":            {nil, "allowed"},
		"valid":               {map[string]any{"nbf": at, "exp": at + 1}, "allowed"},
		"ended this instant":  {map[string]any{"exp": at}, policy.ReasonTokenExpired},
		"not yet valid":       {map[string]any{"nbf": at + 1}, policy.ReasonTokenNotYetValid},
		"ended before it was": {map[string]any{"nbf": at + 1, "exp": at}, policy.ReasonTokenExpired},
		"no time at all":      {map[string]any{"exp": "tomorrow"}, policy.ReasonTokenExpired},
	} {
		t.Run(name, func(t *testing.T) {
			who := request{}
			who.Subject.ID = "ann"
			if c.claims != nil {
				raw, err := json.Marshal(c.claims)
				if err != nil {
					t.Fatal(err)
				}
				who.Subject.Claims = raw
			}
			g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, engine(t, rego, asidesRoutes), who, nil, nil, now, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // also once it is remembered
				a := g.Check(t.Context(), request{Method: "GET", Host: "h", Path: "/v1/acme/documents/1"}.inbound(t))
				if a.Reason != c.reason || (a.Effect == policy.Allow) != (c.reason == "allowed") {
					t.Errorf("got %v %q, want %q", a.Effect, a.Reason, c.reason)
				}
			}
		})
	}
}

// TestTheRoleLibraryIsToldOfALapsedSubject: it looks at the clock itself, and has more to
// say of a token that has ended than that it has.
func TestTheRoleLibraryIsToldOfALapsedSubject(t *testing.T) {
	const rego = `package rolegate

decision := {"allowed": false, "reason": sprintf("%s until %d", [input.subject.id, input.subject.claims.exp])}
`
	who := request{}
	who.Subject.ID, who.Subject.Claims = "ann", []byte(`{"exp": 7}`)
	g := gate(t, proxy.Config{MaxTime: time.Minute}, engine(t, rego, asidesRoutes), who, zap.NewNop())
	in := request{Method: "GET", Host: "h", Path: "/v1/acme/documents/1"}.inbound(t)
	if a := g.Check(t.Context(), in); a.Reason != "ann until 7" {
		t.Errorf("got %q, want the subject as it is", a.Reason)
	}
	if a := g.CheckAside(t.Context(), in, proxy.Aside{Entrypoint: "rolegate/other"}); a.Subject.Error != policy.ReasonTokenExpired || a.Subject.ID != "" {
		t.Errorf("another entry point: got %+v, want nobody whose token expired", a.Subject)
	}
}
