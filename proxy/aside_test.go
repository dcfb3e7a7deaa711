package proxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// asides is a policy with two entry points; the other one says what the first never does.
const asides = `package gate

default decision := {"allowed": false, "reason": "no_permission"}

decision := {"allowed": true, "reason": "allowed", "tenant": input.route.tenant} if {
	input.route.id == "doc"
	input.subject.id == "ann"
} else := {"allowed": true, "reason": "peer"} if {
	input.route.error == "no_http_request"
	input.source_principal == "spiffe://example.org/db"
	input.attributes.tlsSession.sni == "db.example.org"
} else := {"allowed": false, "reason": input.route.error} if input.route.error

other := {"allowed": true, "reason": "other"} if input.route.id == "doc"

broken := {"allowed": "yes"}

slow := {"allowed": to_number("x") == 1}
`

const asidesRoutes = `{"routes": {"docs": {"prefixes": ["/"], "routes": [
  {"id": "doc", "methods": ["GET"], "path": "/v1/{tenant}/documents/{doc}", "resource": "documents", "action": "read", "tenant": "{tenant}"},
  {"id": "any", "methods": ["*"], "path": "/{rest...}", "public": true}]}}}`

func TestAside(t *testing.T) {
	who := request{}
	who.Subject.ID = "ann"
	var noted []proxy.Record
	g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, engine(t, asides, asidesRoutes), who,
		[]proxy.Recorder{recorder(func(r proxy.Record) { noted = append(noted, r) })}, nil, now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	doc := request{Method: "GET", Host: "h", Path: "/v1/acme/documents/1"}
	peer := func(principal, sni string) proxy.Rest {
		return &proxy.Members{Make: func() (ast.Object, error) {
			return object(t, []byte(`{"source_principal": "`+principal+`", "attributes": {"tlsSession": {"sni": "`+sni+`"}}}`)), nil
		}}
	}
	for name, c := range map[string]struct {
		in     request
		rest   proxy.Rest
		aside  proxy.Aside
		effect policy.Effect
		reason string
	}{
		"nothing aside":                      {in: doc, effect: policy.Allow, reason: "allowed"},
		"its own tenant":                     {in: doc, aside: proxy.Aside{Tenant: "acme"}, effect: policy.Allow, reason: "allowed"},
		"another tenant's route":             {in: doc, aside: proxy.Aside{Tenant: "globex"}, reason: "tenant_mismatch"},
		"another entry point":                {in: doc, aside: proxy.Aside{Entrypoint: "gate/other"}, effect: policy.Allow, reason: "other"},
		"another entry point, undefined":     {in: request{Method: "GET", Host: "h", Path: "/x"}, aside: proxy.Aside{Entrypoint: "gate/other"}, reason: "policy_error"},
		"no such entry point":                {in: doc, aside: proxy.Aside{Entrypoint: "gate/nowhere"}, reason: "policy_error"},
		"an entry point of the wrong type":   {in: doc, aside: proxy.Aside{Entrypoint: "gate/broken"}, reason: "policy_error"},
		"an entry point that fails":          {in: doc, aside: proxy.Aside{Entrypoint: "gate/slow"}, reason: "policy_error"},
		"a path without meaning":             {in: request{Method: "GET", Host: "h", Path: "/v1/../x"}, aside: proxy.Aside{Entrypoint: "gate/other"}, reason: "malformed_request"},
		"a connection":                       {rest: peer("spiffe://example.org/db", "db.example.org"), aside: proxy.Aside{Connection: true}, effect: policy.Allow, reason: "peer"},
		"a connection of somebody else":      {rest: peer("spiffe://example.org/web", "db.example.org"), aside: proxy.Aside{Connection: true}, reason: policy.ReasonNoRequest},
		"a connection to somewhere else":     {rest: peer("spiffe://example.org/db", "other"), aside: proxy.Aside{Connection: true}, reason: policy.ReasonNoRequest},
		"a connection of nobody":             {aside: proxy.Aside{Connection: true}, reason: policy.ReasonNoRequest},
		"a connection with a request beside": {in: doc, aside: proxy.Aside{Connection: true}, reason: policy.ReasonNoRequest},
		"a connection, another entry point":  {in: doc, aside: proxy.Aside{Connection: true, Entrypoint: "gate/other"}, reason: "policy_error"},
		"what a policy reads cannot be had":  {in: request{Unread: "too deep"}, aside: proxy.Aside{Connection: true}, reason: "malformed_request"},
		"likewise at another entry point":    {in: request{Method: "GET", Host: "h", Path: "/x", Unread: "too deep"}, aside: proxy.Aside{Tenant: "acme"}, reason: "malformed_request"},
	} {
		in := c.in.inbound(t)
		if c.rest != nil {
			in.Rest = c.rest
		}
		noted = nil
		a := g.CheckAside(t.Context(), in, c.aside)
		if a.Effect != c.effect || a.Reason != c.reason {
			t.Errorf("%s: got %s %q, want %s %q", name, a.Effect, a.Reason, c.effect, c.reason)
		}
		if len(noted) != 1 || noted[0].Reason != a.Reason || noted[0].ID != a.ID || a.ID == "" {
			t.Errorf("%s: got records %+v of decision %q", name, noted, a.ID)
		}
	}
}

type recorder func(proxy.Record)

// Record implements [proxy.Recorder].
func (r recorder) Record(one proxy.Record) { r(one) }

// bomb panics.
type bomb struct{}

// Authenticate implements [proxy.Authenticator].
func (bomb) Authenticate(context.Context, policy.View, proxy.Credentials) (policy.Subject, error) {
	panic("boom")
}

func TestAsideBeforeABundleAndInPanic(t *testing.T) {
	for reason, e := range map[string]*policy.Engine{policy.ReasonNotReady: engine(t, "", ""), policy.ReasonPolicyError: engine(t, asides, asidesRoutes)} {
		g, err := proxy.New(proxy.Config{}, e, bomb{}, nil, nil, now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if a := g.CheckAside(t.Context(), proxy.Inbound{}, proxy.Aside{Connection: true}); a.Effect != policy.Deny || a.Reason != reason {
			t.Errorf("got %s %q, want a denial with %q", a.Effect, a.Reason, reason)
		}
	}
}
