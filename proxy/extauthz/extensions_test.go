package extauthz

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
)

// askBoth asks a server in both ways, by message and decoded, and wants one answer.
func askBoth(t *testing.T, s *Server, req *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	r, err := s.Check(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	var told authv3.CheckResponse
	if err := proto.Unmarshal(s.AppendAnswer(t.Context(), nil, string(raw)), &told); err != nil {
		t.Fatal(err)
	}
	if got, want := told.GetStatus().GetCode(), r.GetStatus().GetCode(); got != want {
		t.Errorf("%v: got status %d of the message, %d of the request", req, got, want)
	}
	return r
}

const extended = `
-- entrypoint --
test/decision
-- policy.rego --
package test

default decision := {"allowed": false, "reason": "no_permission"}

decision := {"allowed": true, "reason": "allowed"} if {
	input.route.tenant == "acme"
} else := {"allowed": true, "reason": "peer"} if {
	input.route.error == "no_http_request"
	input.source_principal == "spiffe://example.org/web"
	input.attributes.tlsSession.sni == "db.example.org"
	input.attributes.contextExtensions.service == "db"
}

other := {"allowed": input.route.tenant == "globex", "reason": "other"}
-- data.json --
{"routes": {"docs": {"prefixes": ["/"], "routes": [
  {"id": "doc", "methods": ["GET"], "path": "/v1/{tenant}/documents/{doc}", "tenant": "{tenant}"},
  {"id": "any", "methods": ["*"], "path": "/{rest...}", "public": true}]}}}
`

// TestContextExtensions: an Envoy route chooses an entry point or a tenant where the
// configuration says so, and nothing where it does not.
func TestContextExtensions(t *testing.T) {
	engine := policytest.Engine(t, extended, policy.Config{Timeout: time.Minute})
	g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, engine, tokens{}, nil, nil, time.Now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	nothing, both := ContextExtensions{}, ContextExtensions{Entrypoint: []string{"test/other"}, Tenant: true}
	const acme, globex = "/v1/acme/documents/1", "/v1/globex/documents/1"
	for name, c := range map[string]struct {
		cfg        ContextExtensions
		path       string
		extensions map[string]string
		reason     string
		allowed    bool
	}{
		"none":                           {both, acme, nil, "allowed", true},
		"none, denied":                   {both, globex, nil, "no_permission", false},
		"an entry point":                 {both, globex, map[string]string{"entrypoint": "test/other"}, "other", true},
		"an entry point that denies":     {both, acme, map[string]string{"entrypoint": "test/other"}, "other", false},
		"one that is not listed":         {both, acme, map[string]string{"entrypoint": "test/decision"}, "malformed_request", false},
		"one that is not listed or is":   {both, acme, map[string]string{"entrypoint": "test/other "}, "malformed_request", false},
		"an empty one is none":           {both, acme, map[string]string{"entrypoint": ""}, "allowed", true},
		"its tenant":                     {both, acme, map[string]string{"tenant": "acme"}, "allowed", true},
		"another tenant":                 {both, acme, map[string]string{"tenant": "globex"}, "no_permission", false},
		"a route without one":            {both, "/x", map[string]string{"tenant": "acme"}, "allowed", true},
		"both":                           {both, globex, map[string]string{"tenant": "globex", "entrypoint": "test/other"}, "other", true},
		"not configured, an entry point": {nothing, globex, map[string]string{"entrypoint": "test/other"}, "no_permission", false},
		"not configured, a tenant":       {nothing, acme, map[string]string{"tenant": "globex"}, "allowed", true},
	} {
		s := New(Config{ContextExtensions: c.cfg}, g, zap.NewNop())
		req := checkRequest(c.path, nil)
		req.Attributes.ContextExtensions = c.extensions
		r := askBoth(t, s, req)
		allowed := r.GetStatus().GetCode() == int32(codes.OK)
		if reason := r.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); allowed != c.allowed || reason != c.reason {
			t.Errorf("%s: got allowed %t, %q, want %t, %q", name, allowed, reason, c.allowed, c.reason)
		}
	}
}

// TestConnections: of network ext_authz a policy may decide on the peer; by default no
// connection is allowed, whatever the routes.
func TestConnections(t *testing.T) {
	connection := func(principal, sni string) *authv3.CheckRequest {
		return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			Source:            &authv3.AttributeContext_Peer{Principal: principal},
			TlsSession:        &authv3.AttributeContext_TLSSession{Sni: sni},
			ContextExtensions: map[string]string{"service": "db"},
		}}
	}
	for name, c := range map[string]struct {
		world string
		req   *authv3.CheckRequest
		want  string // the reason; "": allowed
	}{
		"the peer":          {extended, connection("spiffe://example.org/web", "db.example.org"), ""},
		"another peer":      {extended, connection("spiffe://example.org/w", "db.example.org"), "no_permission"},
		"another name":      {extended, connection("spiffe://example.org/web", "db.example.org.evil"), "no_permission"},
		"nobody":            {extended, connection("", ""), "no_permission"},
		"the library":       {library, connection("spiffe://example.org/web", "db.example.org"), policy.ReasonNoRequest},
		"no attributes":     {extended, &authv3.CheckRequest{}, "malformed_request"},
		"an empty context":  {extended, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{}}, "no_permission"},
		"an empty request":  {extended, checkRequest("", nil), "malformed_request"},
		"an empty HTTP one": {extended, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{}}}}, "malformed_request"},
	} {
		engine := policytest.Engine(t, c.world, policy.Config{Timeout: time.Minute})
		g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, engine, nil, nil, nil, time.Now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		r := askBoth(t, New(Config{}, g, zap.NewNop()), c.req)
		allowed := r.GetStatus().GetCode() == int32(codes.OK)
		if reason := r.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); allowed != (c.want == "") || !allowed && reason != c.want {
			t.Errorf("%s: got allowed %t, reason %q, want %q", name, allowed, reason, c.want)
		}
	}
}

// library is the role library with a route that takes everything.
const library = `
-- data.json --
{"routes": {"docs": {"prefixes": ["/"], "routes": [{"id": "any", "methods": ["*"], "path": "/{rest...}", "public": true}]}}}
`

// TestPoliciesReadEverything has a policy read every single value of a request by its
// path: each is there, and is what was sent.
func TestPoliciesReadEverything(t *testing.T) {
	for _, file := range []string{"everything", "envoy", "raw-headers", "grpc-server-binary", "network"} {
		archive, err := txtar.ParseFile("testdata/requests/" + file + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		req := &authv3.CheckRequest{}
		if err := protojson.Unmarshal(archive.Files[0].Data, req); err != nil {
			t.Fatal(err)
		}
		doc, err := newRest(req, nil).document()
		if err != nil {
			t.Fatal(err)
		}
		var refs []string
		var want []any
		leaves(t, doc.Get(ast.InternedTerm("attributes")).Value, func(path []string, v any) {
			ref := "input.attributes"
			for _, key := range path {
				ref += "[" + key + "]"
			}
			refs, want = append(refs, ref), append(want, v)
		})
		if len(refs) < 6 {
			t.Fatalf("%s has %d values", file, len(refs))
		}
		world := "-- entrypoint --\ntest/decision\n-- policy.rego --\npackage test\n\ndefault decision := false\n\ndecision := {\"allowed\": true, \"dynamic_metadata\": {\"seen\": [" +
			strings.Join(refs, ",") + "]}} if input.attributes\n"
		engine := policytest.Engine(t, world, policy.Config{Timeout: time.Minute})
		g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, engine, nil, nil, nil, time.Now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		r := askBoth(t, New(Config{}, g, zap.NewNop()), req)
		got := r.GetDynamicMetadata().AsMap()["seen"]
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("%s: what the policy read (-want +got):\n%s\n%v", file, diff, r)
		}
	}
}

// leaves visits the values below v that hold no others, with their paths as Rego.
func leaves(t *testing.T, v ast.Value, visit func(path []string, v any)) {
	t.Helper()
	var walk func(path []string, v ast.Value)
	walk = func(path []string, v ast.Value) {
		switch v := v.(type) {
		case ast.Object:
			v.Foreach(func(k, member *ast.Term) { walk(append(slices.Clip(path), k.String()), member.Value) })
		case *ast.Array:
			for i := range v.Len() {
				walk(append(slices.Clip(path), fmt.Sprint(i)), v.Elem(i).Value)
			}
		default:
			plain, err := ast.JSON(v)
			if err != nil {
				t.Fatal(err)
			}
			if n, ok := plain.(json.Number); ok { // a Struct's numbers are floats
				if plain, err = n.Float64(); err != nil {
					t.Fatal(err)
				}
			}
			visit(path, plain)
		}
	}
	walk(nil, v)
}
