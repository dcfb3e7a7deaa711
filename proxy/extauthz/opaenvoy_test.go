package extauthz

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
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
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/parsed"
)

// opaServer answers as policies written for opa-envoy-plugin expect, over a real
// connection.
func opaServer(t *testing.T, rego string, cfg proxy.Config, how Documents) authv3.AuthorizationClient {
	t.Helper()
	return opaServerAt(t, "envoy/authz/allow", rego, cfg, Config{Documents: how})
}

// opaServerAt is opaServer with another path, and other settings of the server.
func opaServerAt(t *testing.T, path, rego string, cfg proxy.Config, server Config) authv3.AuthorizationClient {
	t.Helper()
	module, err := ast.ParseModule("policy.rego", rego)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := policy.Compile(t.Context(), policy.Source{ // no role library: these policies know none
		Modules: map[string]*ast.Module{"policy.rego": module}, Data: map[string]any{}, Entrypoint: path, Lenient: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.NewEngine(policy.Config{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.Install(snapshot)
	cfg.Profile, cfg.MaxTime = proxy.ProfileOPAEnvoy, time.Minute
	g, err := proxy.New(cfg, e, nil, nil, nil, time.Now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	server.Addr, server.Documents.Raw = "127.0.0.1:0", true
	conn, _ := serve(t, New(server, g, zap.NewNop()))
	return authv3.NewAuthorizationClient(conn)
}

// pairs runs answer on the first part of each pair of parts of a file, and compares with
// the second: name.EXT, name.json.
func pairs(t *testing.T, file string, answer func(t *testing.T, input []byte) any) {
	t.Helper()
	path := filepath.Join("testdata", "opa-envoy", file)
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		in, out := archive.Files[i], &archive.Files[i+1]
		name, _, _ := strings.Cut(in.Name, ".")
		if out.Name != name+".json" {
			t.Fatalf("%s stands beside %s", out.Name, in.Name)
		}
		t.Run(name, func(t *testing.T) {
			got := indented(t, answer(t, in.Data))
			if flag.Lookup("update").Value.String() == "true" {
				out.Data = []byte(got)
				return
			}
			if diff := cmp.Diff(string(out.Data), got); diff != "" {
				t.Errorf("%s(-want +got):\n%s", in.Data, diff)
			}
		})
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shown is a response without what differs at each try.
func shown(t *testing.T, r *authv3.CheckResponse) any {
	t.Helper()
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if id := r.GetDynamicMetadata().GetFields()["decision_id"].GetStringValue(); id != "" {
		raw = []byte(strings.ReplaceAll(string(raw), id, "ID"))
	}
	return json.RawMessage(raw)
}

// TestOPAEnvoyResults: what a policy says, and the response that tells it. A rule of
// policy.rego, as the package envoy.authz.
func TestOPAEnvoyResults(t *testing.T) {
	for _, file := range []string{"results.txtar", "results-dry-run.txtar"} {
		t.Run(file, func(t *testing.T) {
			pairs(t, file, func(t *testing.T, input []byte) any {
				t.Helper()
				cfg := proxy.Config{DryRun: strings.Contains(file, "dry-run")}
				client := opaServer(t, "package envoy.authz\n\n"+string(input), cfg, Documents{})
				r, err := client.Check(t.Context(), checkRequest("/people/1?x=1", map[string]string{"x-kind": "a"}))
				if err != nil {
					t.Fatal(err) // never: Envoy's failure mode would decide
				}
				return shown(t, r)
			})
		})
	}
}

// TestOPAEnvoyPaths: what a path asks. Empty segments are none, an integer is an index,
// and a dot is a part of a name.
func TestOPAEnvoyPaths(t *testing.T) {
	for _, c := range []struct {
		path, rego string
		code       codes.Code
		reason     string
	}{
		{"/envoy//authz/allow/", `package envoy.authz

allow := true`, codes.OK, "allowed"},
		{"test/com.foo.x/allow", `package test["com.foo.x"]

allow := input.parsed_path[0] == "people"`, codes.OK, "allowed"},
		{"envoy/authz/results/1", `package envoy.authz

results := [false, input.parsed_path[1] == "1"]`, codes.OK, "allowed"},
		{"envoy/authz/results/0", `package envoy.authz

results := [false, true]`, codes.PermissionDenied, "explicit_deny"},
		{"envoy/authz/results/2", `package envoy.authz

results := [known | some segment in input.parsed_path; known := segment == "people"]`, codes.PermissionDenied, "policy_error"},
		{"envoy/authz/results/1/decision", `package envoy.authz

results := [{"decision": false}, {"decision": {"allowed": true}}]`, codes.OK, "allowed"},
		{"envoy/authz/versions/2", `package envoy.authz

versions[2] := true`, codes.OK, "allowed"},
	} {
		t.Run(c.path, func(t *testing.T) {
			client := opaServerAt(t, c.path, c.rego, proxy.Config{}, Config{})
			r, err := client.Check(t.Context(), checkRequest("/people/1", nil))
			if err != nil {
				t.Fatal(err)
			}
			got := codes.Code(r.GetStatus().GetCode())
			if reason := r.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); got != c.code || reason != c.reason {
				t.Errorf("%s of\n%s\ngot %v, %q, want %v, %q", c.path, c.rego, got, reason, c.code, c.reason)
			}
		})
	}
}

// TestOPAEnvoyPathsThatAreNotThere: what could never be answered is refused at load.
func TestOPAEnvoyPathsThatAreNotThere(t *testing.T) {
	for path, rego := range map[string]string{
		"test.rules/allow":       "package test.rules\n\nallow := true",            // a dot divides nothing
		"envoy/authz/versions/2": "package envoy.authz\n\nversions[\"2\"] := true", // an index is no name
		"envoy/authz/results/2":  "package envoy.authz\n\nresults := [false, true]",
		"envoy/authz/other":      "package envoy.authz\n\nallow := true",
	} {
		module, err := ast.ParseModule("policy.rego", rego)
		if err != nil {
			t.Fatal(err)
		}
		_, err = policy.Compile(t.Context(), policy.Source{
			Modules: map[string]*ast.Module{"policy.rego": module}, Data: map[string]any{}, Entrypoint: path, Lenient: true,
		})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s of %q: got error %v, want one that names it", path, rego, err)
		}
	}
}

// TestOPAEnvoyMessagesAreBounded: of a check that is larger than grpc-max-recv-msg-size
// nothing is read, and it is denied: of the plugin's error, RESOURCE_EXHAUSTED, Envoy makes
// what its failure_mode_allow says.
func TestOPAEnvoyMessagesAreBounded(t *testing.T) {
	const limit = 4096
	client := opaServerAt(t, "envoy/authz/allow", "package envoy.authz\n\nallow := true", proxy.Config{}, Config{MaxMessage: limit})
	for size, want := range map[int]codes.Code{limit - 1: codes.OK, limit: codes.OK, limit + 1: codes.PermissionDenied, 1 << 20: codes.PermissionDenied} {
		req := checkRequest("/", nil)
		http := req.Attributes.Request.Http
		for http.Body = strings.Repeat("x", size); proto.Size(req) > size; {
			http.Body = http.Body[1:]
		}
		if got := proto.Size(req); got != size {
			t.Fatalf("made a message of %d bytes, want %d", got, size)
		}
		r, err := client.Check(t.Context(), req)
		if got := codes.Code(r.GetStatus().GetCode()); err != nil || got != want || (r.GetDeniedResponse() != nil) == (want == codes.OK) {
			t.Errorf("%d bytes: got %v, %v, want %v", size, r, err, want)
		}
	}
}

// TestOPAEnvoyInputs: CheckRequests, as protobuf JSON, and the input that a policy sees,
// or the refusal.
func TestOPAEnvoyInputs(t *testing.T) {
	const rego = "package envoy.authz\n\nallow := {\"allowed\": true, \"dynamic_metadata\": {\"input\": json.marshal(input)}}\n"
	services, err := parsed.ReadServices(descriptors(t))
	if err != nil {
		t.Fatal(err)
	}
	for file, how := range map[string]Documents{
		"attributes.txtar": {}, "targets.txtar": {SkipBody: true}, "bodies.txtar": {Services: services}, "strict-paths.txtar": {SkipBody: true},
	} {
		client := opaServer(t, rego, proxy.Config{StrictPaths: file == "strict-paths.txtar"}, how)
		t.Run(file, func(t *testing.T) {
			pairs(t, file, func(t *testing.T, input []byte) any {
				t.Helper()
				req := &authv3.CheckRequest{}
				if err := protojson.Unmarshal(input, req); err != nil {
					t.Fatal(err)
				}
				r, err := client.Check(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if in := r.GetDynamicMetadata().GetFields()["input"].GetStringValue(); in != "" {
					doc := map[string]json.RawMessage{}
					if err := json.Unmarshal([]byte(in), &doc); err != nil {
						t.Fatal(err)
					}
					if file != "attributes.txtar" {
						delete(doc, "attributes")
						delete(doc, "version")
						delete(doc, "route")
					}
					return doc
				}
				return shown(t, r)
			})
		})
	}
}

// TestOPAEnvoyMessagesThatAreNone: no policy is asked about bytes that are no CheckRequest;
// one that is empty it is asked about, as the plugin's.
func TestOPAEnvoyMessagesThatAreNone(t *testing.T) {
	engine := policytest.Engine(t, "-- entrypoint --\nenvoy/authz/allow\n-- policy.rego --\npackage envoy.authz\n\nallow := true\n", policy.Config{Timeout: time.Minute})
	g, err := proxy.New(proxy.Config{MaxTime: time.Minute, Profile: proxy.ProfileOPAEnvoy}, engine, nil, nil, nil, time.Now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Documents: Documents{Raw: true}}, g, zap.NewNop())
	for message, want := range map[string]codes.Code{"\xff": codes.PermissionDenied, "\x0a\x05x": codes.PermissionDenied, "": codes.OK} {
		r := &authv3.CheckResponse{}
		if err := proto.Unmarshal(s.AppendAnswer(t.Context(), nil, message), r); err != nil {
			t.Fatal(err)
		}
		if got := codes.Code(r.GetStatus().GetCode()); got != want || want != codes.OK && r.GetDynamicMetadata().GetFields()["reason"].GetStringValue() != policy.ReasonMalformedRequest {
			t.Errorf("%q: got %v, want %v", message, r, want)
		}
	}
}

// descriptors are those of a service that is like many.
func descriptors(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/opa-envoy/descriptors.json")
	if err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := protojson.Unmarshal(text, set); err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
