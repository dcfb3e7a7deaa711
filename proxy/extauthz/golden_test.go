package extauthz

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the last part of the cases in testdata")
	goleak.VerifyTestMain(m)
}

// golden runs answer on the first part of each case of a folder, and compares with
// the last.
func golden(t *testing.T, folder string, answer func(t *testing.T, input []byte) any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) != 2 {
				t.Fatalf("%s has %d parts, want 2", file, len(archive.Files))
			}
			got := indented(t, answer(t, archive.Files[0].Data))
			if flag.Lookup("update").Value.String() == "true" {
				archive.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("%s%s(-want +got):\n%s", archive.Comment, archive.Files[0].Data, diff)
			}
		})
	}
}

// indented writes v as JSON whose objects are in the order of their keys.
func indented(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(plain); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRequests: CheckRequests, as protobuf JSON, and what the gate is given of them.
func TestRequests(t *testing.T) {
	golden(t, "requests", func(t *testing.T, input []byte) any {
		t.Helper()
		req := &authv3.CheckRequest{}
		if err := protojson.Unmarshal(input, req); err != nil {
			t.Fatal(err)
		}
		in := inbound(req, nil)
		headers := map[string][]string{}
		for name := range in.HeaderNames {
			lower := strings.ToLower(name)
			headers[lower] = in.Credentials.Headers.Values(lower)
		}
		shown := map[string]any{
			"protocol": in.Protocol, "method": in.Method, "host": in.Host, "path": in.Path,
			"principal": in.Credentials.Principal, "headers": headers, "extensions": in.Extensions, "malformed": in.Malformed,
		}
		rest, _, err := in.Rest.Lookup(nil)
		if err != nil {
			shown["unread"] = err.Error()
		} else if shown["rest"], err = ast.JSON(rest); err != nil {
			t.Fatal(err)
		}
		return shown
	})
}

// TestResponses: answers, and the CheckResponses that tell them.
func TestResponses(t *testing.T) {
	golden(t, "responses", func(t *testing.T, input []byte) any {
		t.Helper()
		a := readAnswer(t, input)
		r, fault := guard(response(a), a.Effect)
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"response": json.RawMessage(raw), "fault": fault}
	})
}

// readAnswer reads the answer of a case.
func readAnswer(t *testing.T, input []byte) proxy.Answer {
	t.Helper()
	var c struct {
		Effect     string
		Reason     string
		ID         string
		Generation uint64
		Origin     policy.Origin
		Revisions  map[string]string
		Metadata   json.RawMessage
		Reply      proxy.Reply
	}
	decoder := json.NewDecoder(bytes.NewReader(input))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	a := proxy.Answer{ID: c.ID, Revisions: c.Revisions, Reply: c.Reply}
	a.Reason, a.Generation, a.Origin = c.Reason, c.Generation, c.Origin
	if c.Effect == "allow" {
		a.Effect = policy.Allow
	}
	if c.Metadata != nil {
		v, err := ast.ValueFromReader(bytes.NewReader(c.Metadata))
		if err != nil {
			t.Fatal(err)
		}
		a.Reply.Metadata = v.(ast.Object)
	}
	return a
}

func TestHeaderFormsAgree(t *testing.T) {
	joined := joinedHeaders{"x-a": "1"}
	if got := joined.Values("x-b"); got != nil {
		t.Errorf("absent: got %q", got)
	}
	if got := joined.Values("x-a"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("got %q, want the one value", got)
	}
}
