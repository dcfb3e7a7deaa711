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
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/parsed"
)

// opaServer answers as policies written for opa-envoy-plugin expect, over a real
// connection.
func opaServer(t *testing.T, rego string, cfg proxy.Config, how Documents) authv3.AuthorizationClient {
	t.Helper()
	module, err := ast.ParseModule("policy.rego", rego)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := policy.Compile(t.Context(), policy.Source{ // no role library: these policies know none
		Modules: map[string]*ast.Module{"policy.rego": module}, Data: map[string]any{}, Entrypoint: "envoy/authz/allow", Lenient: true,
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
	how.Raw = true
	conn, _ := serve(t, New(Config{Addr: "127.0.0.1:0", Documents: how}, g, zap.NewNop()))
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
