package extauthz

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
)

// worlds are policies that read different parts of a request, and answer in different
// ways, over the same routes.
func worlds() []string {
	const routes = `
-- data.json --
{"rbac": {"aliases": {"acme": "acme2"}}, "routes": {"docs": {"prefixes": ["/v1/"], "routes": [
  {"id": "doc", "methods": ["GET"], "path": "/v1/{tenant}/documents/{doc}", "resource": "documents", "action": "read", "tenant": "{tenant}", "at": ".documents"},
  {"id": "ext", "methods": ["PUT"], "path": "/v1/ext", "resource": "r", "action": "a", "tenant": "{ext.tenant}", "at": "{ext.tenant}.x"},
  {"id": "head", "methods": ["POST"], "path": "/v1/head", "resource": "{header.x-kind}", "action": "{query.a}"},
  {"id": "claim", "methods": ["DELETE"], "path": "/v1/claim", "resource": "r", "action": "a", "tenant": "{claim.tenant}"}]}}}
-- entrypoint --
law/decision
`
	policies := []string{
		// Answers that end, and begin, and say whom they allowed.
		`now := time.now_ns() / 1000000

decision := {"allowed": true, "reason": "allowed", "tenant": "a,b", "roles": ["x", "é"], "valid_until": 2000} if {
	now < 2000
	input.route.tenant
}

decision := {"allowed": false, "reason": "late", "valid_until": null} if {
	now >= 2000
	input.route.tenant
}

decision := {"allowed": false, "reason": input.route.error, "http_status": 404, "valid_until": 2000} if {
	now < 2000
	input.route.error
}

decision := {"allowed": true, "reason": "public", "valid_until": null} if {
	now >= 2000
	input.route.error
}`,
		// Answers that are the subject's own, with all that an answer can carry.
		`decision := {
	"allowed": input.subject.id == "ann", "reason": "why", "tenant": input.route.tenant, "valid_until": null,
	"headers": {"x-user": input.subject.id, "x-list": ["1", "2"]}, "response_headers_to_add": {"x-r": "r"},
	"request_headers_to_remove": ["x-kind"], "query_parameters_to_set": {"q": "v"},
	"dynamic_metadata": {"m": {"n": [1, true, null]}, "decision_id": "mine"}, "body": "no",
} if { input.route.tenant }
else := {"allowed": false, "valid_until": null, "headers": {"location": "/login"}, "http_status": 302} if { not input.subject.id }
else := {"allowed": true, "valid_until": null, "headers": {"x-rolegate-roles": "admin"}}`,
		// Answers that read the parameters, the claims, or the rest.
		`decision := {"allowed": input.route.params.doc == "d1", "reason": "doc", "valid_until": null} if input.route.params
else := {"allowed": input.subject.claims.tenant == "acme", "reason": "claims", "valid_until": null} if input.subject.claims
else := {"allowed": true, "reason": "rest", "valid_until": null} if input.attributes.request.http.headers["x-kind"] == "k"
else := false`,
		// No answer at all for some.
		`decision := {"allowed": true, "reason": "allowed", "valid_until": null} if input.route.id == "doc"`,
	}
	list := make([]string, len(policies))
	for i, p := range policies {
		list[i] = "-- policy.rego --\npackage law\n\n" + p + "\n" + routes
	}
	return list
}

// bearers authenticates who says who he is.
type bearers struct{}

func (bearers) Authenticate(_ context.Context, _ policy.View, c proxy.Credentials) (policy.Subject, error) {
	values := c.Headers.Values("authorization")
	if len(values) != 1 {
		return policy.Subject{ID: c.Principal}, nil
	}
	id, tenant, ok := strings.Cut(values[0], "@")
	if !ok {
		return policy.Subject{}, context.Canceled
	}
	claims := ast.NewObject(
		[2]*ast.Term{ast.StringTerm("tenant"), ast.StringTerm(tenant)},
		[2]*ast.Term{ast.StringTerm("exp"), ast.IntNumberTerm(2500)},
	)
	return policy.Subject{ID: id, Type: "user", Claims: claims}.Ready(), nil
}

func requests() *rapid.Generator[*authv3.CheckRequest] {
	return rapid.Custom(func(t *rapid.T) *authv3.CheckRequest {
		one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
		http := &authv3.AttributeContext_HttpRequest{
			Id: one("id", "", "1"), Host: one("host", "a.example.com", "A.example.com:80", "", "-.."), Scheme: "https",
			Method: one("method", "GET", "GET", "PUT", "POST", "DELETE", "CONNECT", ""),
			Path: one("path", "/v1/acme/documents/d1", "/v1/acme/documents/d2?x=1", "/v1/b.c/documents/%64", "/v1/ext", "/v1/head?a=b", "/v1/head",
				"/v1/claim", "/other", "/v1/../x", "/v1/acme/documents/d1?x=%zz", ""),
		}
		names := []string{"authorization", "x-kind", "Authorization", "x-rolegate-roles", "X_User", "x_rolegate_\x01", "accept"}
		values := []string{"ann@acme", "bob@acme", "ann@", "bad", "k", ""}
		headers := rapid.MapOfN(rapid.SampledFrom(names), rapid.SampledFrom(values), 0, 3).Draw(t, "headers")
		if rapid.Bool().Draw(t, "raw") {
			http.HeaderMap = &corev3.HeaderMap{}
			for name, value := range headers {
				h := &corev3.HeaderValue{Key: name, RawValue: []byte(value)}
				for range rapid.IntRange(1, 2).Draw(t, "copies") {
					http.HeaderMap.Headers = append(http.HeaderMap.Headers, h)
				}
			}
		} else {
			http.Headers = headers
		}
		a := &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: http}}
		if rapid.Bool().Draw(t, "extensions") {
			a.ContextExtensions = map[string]string{"tenant": one("extension", "acme", "b", "")}
		}
		if rapid.Bool().Draw(t, "principal") {
			a.Source = &authv3.AttributeContext_Peer{Principal: one("who", "ann", "spiffe://x/y", "")}
		}
		return &authv3.CheckRequest{Attributes: a}
	})
}

// TestWhatIsRememberedIsSaidAsIfItWereNew: a server that remembers and reads messages as
// they come answers as one that remembers nothing and decodes each, whatever the clock
// does and whatever is installed in between.
func TestWhatIsRememberedIsSaidAsIfItWereNew(t *testing.T) {
	var snapshots []*policy.Snapshot
	for _, archive := range worlds() {
		snapshots = append(snapshots, policytest.Snapshot(t, archive))
	}
	hits, asked := uint64(0), 0
	rapid.Check(t, func(rt *rapid.T) {
		now := time.UnixMilli(1500)
		cfg := proxy.Config{MaxTime: time.Minute, ReservedHeaders: []string{"x-user"}}
		server := func(entries int) (*Server, *policy.Engine) {
			e, err := policy.NewEngine(policy.Config{Entries: entries, Timeout: time.Minute, AuditEvery: 11})
			if err != nil {
				rt.Fatal(err)
			}
			g, err := proxy.New(cfg, e, bearers{}, nil, nil, func() time.Time { return now }, zap.NewNop())
			if err != nil {
				rt.Fatal(err)
			}
			return New(Config{}, g, zap.NewNop()), e
		}
		remembering, memory := server(1000)
		defer memory.Close()
		forgetful, none := server(-1)
		defer none.Close()
		install := func() {
			s := rapid.SampledFrom(snapshots).Draw(rt, "world")
			memory.Install(s)
			none.Install(s)
		}
		if rapid.IntRange(0, 9).Draw(rt, "ready") > 0 {
			install()
		}
		pool := rapid.SliceOfN(requests(), 1, 4).Draw(rt, "requests")
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				install()
			case 1, 2:
				now = time.UnixMilli(rapid.SampledFrom([]int64{1000, 1500, 1999, 2000, 2499, 2500}).Draw(rt, "now"))
			}
			req := rapid.SampledFrom(pool).Draw(rt, "request")
			raw, err := proto.Marshal(req)
			if err != nil {
				rt.Fatal(err)
			}
			fresh, err := forgetful.Check(t.Context(), req)
			if err != nil {
				rt.Fatal(err)
			}
			want := bare(fresh)
			for range rapid.IntRange(1, 4).Draw(rt, "times") {
				runtime.Gosched() // it remembers on its own time
				got := &authv3.CheckResponse{}
				if err := proto.Unmarshal(remembering.AppendAnswer(t.Context(), nil, string(raw)), got); err != nil {
					rt.Fatal(err)
				}
				asked++
				if diff := cmp.Diff(want, bare(got)); diff != "" {
					rt.Fatalf("%v at %v (-new +remembered):\n%s", req, now, diff)
				}
			}
		}
		if s := memory.Stats(); s.Mismatches > 0 {
			rt.Fatalf("an audit differs: %+v", s)
		}
		hits += memory.Stats().Hits
	})
	t.Logf("%d of %d from memory", hits, asked)
	if hits == 0 {
		t.Error("nothing came from memory")
	}
}

// TestAnAnswerFromMemoryAllocatesNothing beneath the transport.
func TestAnAnswerFromMemoryAllocatesNothing(t *testing.T) {
	policytest.Allocations(t)
	engine := policytest.Engine(t, benchBundle("true"), policy.Config{AuditEvery: -1})
	g, err := proxy.New(proxy.Config{}, engine, tokens{}, nil, nil, time.Now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{}, g, zap.NewNop())
	req := checkRequest("/v1/acme/documents/d1", map[string]string{"authorization": "Bearer " + canary, "accept": "*/*"})
	raw, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	message, room := string(raw), make([]byte, 0, 1<<10)
	for limit := time.Now().Add(10 * time.Second); engine.Stats().Hits < 2; {
		s.AppendAnswer(t.Context(), room, message)
		if time.Now().After(limit) {
			t.Fatal("nothing is remembered")
		}
	}
	if n := testing.AllocsPerRun(2000, func() { s.AppendAnswer(t.Context(), room, message) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
