package proxy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// lenient is a policy whose other entry point allows all but what a request's own part
// says: who cannot read that part must not decide.
const lenient = `package rolegate

decision := {"allowed": true, "reason": "mine"}

other := {"allowed": true, "headers": {"x-id": input.subject.id}} if not input.marked

broken := 7

both := {"allowed": true, "headers": {"host": "evil"}}

conflict := {"allowed": true, "headers": {"x": to_number(input.subject.id)}}`

// at is a gate on a policy, with what it wrote down.
type at struct {
	*proxy.Gate
	records recorded
	logs    *observer.ObservedLogs
	now     time.Time
}

func newAt(t *testing.T, rego, data string) *at {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	a := &at{logs: logs, now: now()}
	identity := authenticator(func() (policy.Subject, error) { return policy.Subject{ID: "ann", Type: "user"}, nil })
	// Nobody knows how often a test asks until memory answers: an audit would come anywhere.
	e := engineWith(t, policy.Config{Timeout: time.Minute, AuditEvery: -1}, rego, data)
	var err error
	a.Gate, err = proxy.New(proxy.Config{MaxTime: time.Minute}, e, identity,
		[]proxy.Recorder{&a.records}, nil, func() time.Time { return a.now }, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(path string) proxy.Inbound {
	return proxy.Inbound{Protocol: proxy.ProtocolGRPC, Method: "GET", Host: "api.example.com", Path: path}
}

// TestAsideUnread: another entry point that would allow does not, when a part of the
// request that it reads cannot be read.
func TestAsideUnread(t *testing.T) {
	g := newAt(t, lenient, benchData)
	in := get("/v1/acme/documents/1")
	aside := proxy.Aside{Entrypoint: "rolegate/other"}
	in.Rest = &proxy.Members{Make: func() (ast.Object, error) { return ast.NewObject(), nil }}
	a := g.CheckAside(t.Context(), in, aside)
	if a.Effect != policy.Allow || a.Generation != 1 || a.Subject.ID != "ann" {
		t.Errorf("what can be read: got %s %s of generation %d for %q", a.Effect, a.Reason, a.Generation, a.Subject.ID)
	}
	if diff := cmp.Diff([]proxy.Header{{Name: proxy.HeaderSubject, Value: "ann"}, {Name: "x-id", Value: "ann"}}, a.Reply.SetHeaders); diff != "" {
		t.Errorf("the policy sees another subject (-want +got)\n%s", diff)
	}
	marked := object(t, []byte(`{"marked": true}`))
	in.Rest = &proxy.Members{Make: func() (ast.Object, error) { return marked, nil }}
	if a := g.CheckAside(t.Context(), in, aside); a.Effect != policy.Deny {
		t.Errorf("what the policy denies: got %s", a.Effect)
	}
	in.Rest = &proxy.Members{Make: func() (ast.Object, error) { return nil, errors.New("torn") }}
	if a := g.CheckAside(t.Context(), in, aside); a.Effect != policy.Deny || a.Reason != policy.ReasonMalformedRequest || a.Reply.Status != 400 {
		t.Errorf("what cannot be read: got %s %s with %d", a.Effect, a.Reason, a.Reply.Status)
	}
	if got := g.records[len(g.records)-1]; got.Error != "torn" || got.Effect != policy.Deny {
		t.Errorf("the record is %+v", got)
	}
}

// TestAsideErrors: an entry point that has no answer, or one that cannot be told, denies
// and is complained of.
func TestAsideErrors(t *testing.T) {
	for _, entrypoint := range []string{"rolegate/broken", "rolegate/both", "rolegate/conflict", "rolegate/nothing"} {
		g := newAt(t, lenient, benchData)
		a := g.CheckAside(t.Context(), get("/v1/acme/documents/1"), proxy.Aside{Entrypoint: entrypoint})
		if a.Effect != policy.Deny || a.Reason != policy.ReasonPolicyError || a.Result != nil {
			t.Errorf("%s: got %s %s, %v", entrypoint, a.Effect, a.Reason, a.Result)
		}
		if g.records[0].Error == "" {
			t.Errorf("%s: the record says no error", entrypoint)
		}
		if got := g.logs.FilterMessage("a decision had to become a denial").FilterLevelExact(zapcore.ErrorLevel).Len(); got != 1 {
			t.Errorf("%s: %d complaints, want 1", entrypoint, got)
		}
	}
}

// TestTimeoutsAreNotComplainedOf: they are a number, and no fault of a policy that a human
// must mend.
func TestTimeoutsAreNotComplainedOf(t *testing.T) {
	g := newAt(t, lenient, benchData)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, aside := range []proxy.Aside{{}, {Entrypoint: "rolegate/other"}} {
		a := g.CheckAside(ctx, get("/v1/acme/documents/1"), aside)
		if a.Effect != policy.Deny || a.Reason != policy.ReasonTimeout {
			t.Errorf("%+v: got %s %s", aside, a.Effect, a.Reason)
		}
	}
	if got := g.logs.FilterMessage("a decision had to become a denial").Len(); got != 0 {
		t.Errorf("%d complaints, want none", got)
	}
}

// TestAsideTenant: a request is about the tenant that its surface names, or about none.
func TestAsideTenant(t *testing.T) {
	g := newAt(t, `package rolegate

decision := {"allowed": true, "headers": {"x-tenant": object.get(input.route, "tenant", "none"), "x-error": object.get(input.route, "error", "none")}}`,
		`{"routes": {"docs": {"prefixes": ["/v1/", "/free"], "routes": [
			{"id": "doc", "methods": ["GET"], "path": "/v1/{tenant}/documents", "resource": "documents", "action": "read", "tenant": "{tenant}"},
			{"id": "free", "methods": ["GET"], "path": "/free", "resource": "documents", "action": "read"}]}}}`)
	for _, c := range []struct{ path, tenant, wantTenant, wantError string }{
		{"/v1/acme/documents", "acme", "acme", ""},
		{"/v1/acme/documents", "globex", "", policy.ReasonTenantMismatch},
		{"/free", "acme", "acme", ""},
		{"/nowhere", "acme", "", policy.ReasonNoRoute},
	} {
		a := g.CheckAside(t.Context(), get(c.path), proxy.Aside{Tenant: c.tenant})
		if a.Route.Tenant != c.wantTenant || a.Route.Error != c.wantError {
			t.Errorf("%s for %s: got %q, %q, want %q, %q", c.path, c.tenant, a.Route.Tenant, a.Route.Error, c.wantTenant, c.wantError)
		}
	}
}

// TestRecordHoldsEverything: what the decision log is told of a request.
func TestRecordHoldsEverything(t *testing.T) {
	g := newAt(t, lenient, benchData)
	a := g.Check(t.Context(), get("/v1/acme/documents/1?secret=1"))
	want := recorded{{
		ID: a.ID, Time: now(), Protocol: proxy.ProtocolGRPC, Method: "GET", Host: "api.example.com", Path: "/v1/acme/documents/1",
		Subject: "ann", Kind: "user", Route: a.Route, Effect: policy.Allow, Verdict: policy.VerdictAllow, Reason: "mine",
		Generation: 1, Revisions: a.Revisions, Origin: policy.OriginMiss,
	}}
	if a.Route.ID != "doc" || len(a.ID) != 32 {
		t.Errorf("got route %q and id %q", a.Route.ID, a.ID)
	}
	if diff := cmp.Diff(want, g.records, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestComplaintsAreSpaced: a policy that breaks every request is complained of once a
// second, also after the clock stepped back; the others are there for who debugs.
func TestComplaintsAreSpaced(t *testing.T) {
	g := newAt(t, "package rolegate\n\ndecision := {\"allowed\": true, \"headers\": 7}", benchData)
	complaints := 0
	for _, step := range []struct {
		by   time.Duration
		loud bool
	}{{0, true}, {0, false}, {time.Second - 1, false}, {1, true}, {time.Millisecond, false}, {-time.Hour, true}, {0, false}, {time.Second, true}} {
		g.now = g.now.Add(step.by)
		if a := g.Check(t.Context(), get("/v1/acme/documents/1")); a.Effect != policy.Deny {
			t.Fatalf("got %s", a.Effect)
		}
		if step.loud {
			complaints++
		}
		if got := g.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); got != complaints {
			t.Fatalf("after %v more: %d loud complaints, want %d", step.by, got, complaints)
		}
	}
	complaint := g.logs.FilterMessage("a decision had to become a denial")
	if got, quiet := complaint.Len(), complaint.FilterLevelExact(zapcore.DebugLevel).Len(); got != 8 || quiet != 8-complaints {
		t.Errorf("%d complaints in all, %d of them to who debugs; want 8 and %d", got, quiet, 8-complaints)
	}
}

// TestGoodAnswersAreNotComplainedOf: an allow says nothing to anybody.
func TestGoodAnswersAreNotComplainedOf(t *testing.T) {
	g := newAt(t, lenient, benchData)
	g.Check(t.Context(), get("/v1/acme/documents/1"))
	if got := g.logs.All(); len(got) != 0 {
		t.Errorf("got %v, want nothing", got)
	}
}

// TestRoutesReadTheRequest: a route's values come from where it says: the host, the
// query, a header that was sent once, an extension, a claim, the caller's own id.
func TestRoutesReadTheRequest(t *testing.T) {
	g := newAt(t, lenient, `{"rbac": {"aliases": {"old": "new"}}, "routes": {"r": {"prefixes": ["/"], "routes": [
		{"id": "query", "methods": ["GET"], "path": "/query", "resource": "{query.t}", "action": "a"},
		{"id": "header", "methods": ["GET"], "path": "/header", "resource": "{header.x-t}", "action": "a"},
		{"id": "host", "methods": ["GET"], "path": "/host", "resource": "{host}", "action": "a"},
		{"id": "ext", "methods": ["GET"], "path": "/ext", "resource": "r", "action": "a", "tenant": "{ext.t}", "at": ".k"},
		{"id": "me", "methods": ["GET"], "path": "/me", "resource": "r", "action": "a", "tenant": "acme", "owner": "{subject.id}"}]}}}`)
	headers := func(values ...string) proxy.Credentials {
		return proxy.Credentials{Headers: fakeHeaders{"x-t": values}}
	}
	for _, c := range []struct {
		path        string
		credentials proxy.Credentials
		extensions  map[string]string
		want        string // resource, tenant, place and owner
	}{
		{"/query?t=acme", headers(), nil, "acme///"},
		{"/query?t=acme&t=globex", headers(), nil, ""},
		{"/query?t=%zz", headers(), nil, ""},
		{"/query", headers(), nil, ""},
		{"/header", headers("acme"), nil, "acme///"},
		{"/header", headers("acme", "globex"), nil, ""},
		{"/header", headers(), nil, ""},
		{"/header", proxy.Credentials{}, nil, ""},
		{"/host", headers(), nil, "api.example.com///"},
		{"/ext", headers(), map[string]string{"t": "acme"}, "r/acme/acme.k/"},
		{"/ext", headers(), map[string]string{"t": "old"}, "r/old/new.k/"},
		{"/ext", headers(), map[string]string{"u": "acme"}, ""},
		{"/me", headers(), nil, "r/acme//ann"},
	} {
		in := get(c.path)
		in.Credentials, in.Extensions = c.credentials, c.extensions
		r := g.Check(t.Context(), in).Route
		got := r.Resource + "/" + r.Tenant + "/" + r.Path + "/" + r.Owner
		if r.Error != "" {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s %v %v: got %q (%s), want %q", c.path, c.credentials.Headers, c.extensions, got, r.Error, c.want)
		}
	}
}
