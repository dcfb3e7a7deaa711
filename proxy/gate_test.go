package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.yaml.in/yaml/v3"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
	"github.com/rolegate/rolegate/proxy"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the last part of the cases in testdata")
	goleak.VerifyTestMain(m)
}

func update() bool { return flag.Lookup("update").Value.String() == "true" }

// now is the clock of every case.
func now() time.Time { return time.UnixMilli(1_800_000_000_000) }

// request is a case's request.json.
type request struct {
	Protocol   proxy.Protocol      `json:"protocol"`
	Method     string              `json:"method"`
	Host       string              `json:"host"`
	Path       string              `json:"path"`
	Headers    map[string][]string `json:"headers"`
	Extensions map[string]string   `json:"extensions"`
	Malformed  string              `json:"malformed"`
	Rest       json.RawMessage     `json:"rest"`   // members of the input document
	Unread     string              `json:"unread"` // why they cannot be had
	Subject    struct {
		ID, Type string
		Claims   json.RawMessage
		Bad      string // the error of identity
	} `json:"subject"`
}

type fakeHeaders map[string][]string

func (h fakeHeaders) Values(name string) []string { return h[name] }

func (r request) inbound(tb testing.TB) proxy.Inbound {
	tb.Helper()
	in := proxy.Inbound{
		Protocol: r.Protocol, Method: r.Method, Host: r.Host, Path: r.Path, Extensions: r.Extensions, Malformed: r.Malformed,
		Credentials: proxy.Credentials{Headers: fakeHeaders(r.Headers)},
		HeaderNames: maps.Keys(r.Headers),
	}
	switch {
	case r.Unread != "":
		in.Rest = &proxy.Members{Make: func() (ast.Object, error) { return nil, errors.New(r.Unread) }}
	case r.Rest != nil:
		in.Rest = &proxy.Members{Make: func() (ast.Object, error) { return object(tb, r.Rest), nil }}
	}
	return in
}

// Authenticate makes a request its own authenticator.
func (r request) Authenticate(context.Context, policy.View, proxy.Credentials) (policy.Subject, error) {
	if r.Subject.Bad != "" {
		// What comes beside an error does not count.
		return policy.Subject{ID: "mallory"}, errors.New(r.Subject.Bad)
	}
	s := policy.Subject{ID: r.Subject.ID, Type: r.Subject.Type}
	if r.Subject.Claims != nil {
		v, err := ast.ValueFromReader(bytes.NewReader(r.Subject.Claims))
		if err != nil {
			return policy.Subject{}, err
		}
		s.Claims = v.(ast.Object)
	}
	return s, nil
}

func object(tb testing.TB, raw []byte) ast.Object {
	tb.Helper()
	v, err := ast.ValueFromReader(bytes.NewReader(raw))
	if err != nil {
		tb.Fatal(err)
	}
	return v.(ast.Object)
}

// engine holds the one snapshot of a policy and its data; "" is no snapshot. It has
// time, so that a slow machine answers the same.
func engine(tb testing.TB, rego, data string) *policy.Engine {
	tb.Helper()
	return engineWith(tb, policy.Config{Timeout: time.Minute}, rego, data)
}

func engineWith(tb testing.TB, cfg policy.Config, rego, data string) *policy.Engine {
	tb.Helper()
	e, err := policy.NewEngine(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	if rego == "" {
		return e
	}
	module, err := ast.ParseModule("policy.rego", rego)
	if err != nil {
		tb.Fatal(err)
	}
	src := policy.Source{
		Modules:    map[string]*ast.Module{"policy.rego": module},
		Data:       map[string]any{},
		Entrypoint: strings.ReplaceAll(strings.TrimPrefix(module.Package.Path.String(), "data."), ".", "/") + "/decision",
		Revisions:  map[string]string{"test": "r1"},
	}
	if data != "" {
		decoder := json.NewDecoder(strings.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&src.Data); err != nil {
			tb.Fatal(err)
		}
	}
	snapshot, err := policy.Compile(tb.Context(), src)
	if err != nil {
		tb.Fatal(err)
	}
	e.Install(snapshot)
	return e
}

func gate(tb testing.TB, cfg proxy.Config, e proxy.Engine, identity proxy.Authenticator, log *zap.Logger, recorders ...proxy.Recorder) *proxy.Gate {
	tb.Helper()
	g, err := proxy.New(cfg, e, identity, recorders, nil, now, log)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

type recorded []proxy.Record

func (r *recorded) Record(record proxy.Record) { *r = append(*r, record) }

// told is what a case shows of an answer and of its record.
type told struct {
	Verdict  policy.Verdict `json:"verdict"`
	Reason   string         `json:"reason"`
	Origin   policy.Origin  `json:"origin,omitempty"`
	Subject  string         `json:"subject,omitempty"`
	Tenant   string         `json:"tenant,omitempty"`
	Roles    []string       `json:"roles,omitempty"`
	Route    string         `json:"route,omitempty"`
	Missing  string         `json:"missing,omitempty"`
	Set      []string       `json:"set,omitempty"`
	Remove   []string       `json:"remove,omitempty"`
	Add      []string       `json:"add_to_response,omitempty"`
	SetQuery []string       `json:"set_query,omitempty"`
	DelQuery []string       `json:"remove_query,omitempty"`
	Status   int            `json:"status,omitempty"`
	Fault    bool           `json:"fault,omitempty"`
	Headers  []string       `json:"headers,omitempty"`
	Body     string         `json:"body,omitempty"`
	Metadata string         `json:"metadata,omitempty"`
	Error    string         `json:"recorded_error,omitempty"`
}

func tell(a proxy.Answer, r proxy.Record) told {
	lines := func(list []proxy.Header) (lines []string) {
		for _, h := range list {
			action := "= "
			if h.Append {
				action = "+ "
			}
			lines = append(lines, action+h.Name+": "+strings.ReplaceAll(h.Value, a.ID, "ID"))
		}
		return lines
	}
	out := told{
		Verdict: a.Verdict(), Reason: a.Reason, Origin: a.Origin, Subject: a.Subject.ID, Tenant: a.Tenant, Roles: a.Roles,
		Route: a.Route.ID + a.Route.Error, Missing: a.Route.Missing,
		Set: lines(a.Reply.SetHeaders), Remove: a.Reply.RemoveHeaders, Add: lines(a.Reply.AddToResponse),
		DelQuery: a.Reply.RemoveQuery,
		Status:   a.Reply.Status, Fault: a.Reply.Fault, Headers: lines(a.Reply.Headers),
		Body: strings.ReplaceAll(a.Reply.Body, a.ID, "ID"), Error: r.Error,
	}
	for _, p := range a.Reply.SetQuery {
		out.SetQuery = append(out.SetQuery, p.Name+"="+p.Value)
	}
	if a.Reply.Metadata != nil {
		out.Metadata = a.Reply.Metadata.String()
	}
	return out
}

// TestCases runs testdata/cases: a policy, its data, a request, and what the gate
// answers. config.yaml and data.json may be left out.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, f := range archive.Files {
				parts[f.Name] = string(f.Data)
			}
			var cfg proxy.Config
			if err := yaml.Unmarshal([]byte(parts["config.yaml"]), &cfg); err != nil {
				t.Fatal(err)
			}
			var r request
			decoder := json.NewDecoder(strings.NewReader(parts["request.json"]))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&r); err != nil {
				t.Fatal(err)
			}
			var records recorded
			cfg.MaxTime = time.Minute
			g := gate(t, cfg, engine(t, parts["policy.rego"], parts["data.json"]), r, zaptest.NewLogger(t), &records)
			a := g.Check(t.Context(), r.inbound(t))
			if len(records) != 1 {
				t.Fatalf("got %d records, want 1", len(records))
			}
			checkRecord(t, a, records[0])

			var got bytes.Buffer
			encoder := json.NewEncoder(&got)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(tell(a, records[0])); err != nil {
				t.Fatal(err)
			}
			last := &archive.Files[len(archive.Files)-1]
			if last.Name != "answer.json" {
				t.Fatalf("%s ends with %s, want answer.json", file, last.Name)
			}
			if update() {
				last.Data = got.Bytes()
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(last.Data), got.String()); diff != "" {
				t.Errorf("%s\n%s(-want +got):\n%s", parts["request.json"], archive.Comment, diff)
			}
		})
	}
}

// checkRecord compares a record with the answer that it is of.
func checkRecord(t *testing.T, a proxy.Answer, r proxy.Record) {
	t.Helper()
	type common struct {
		ID, Subject, Tenant, Reason string
		Effect                      policy.Effect
		Generation                  uint64
		Route                       route.Match
	}
	want := common{a.ID, a.Subject.ID, a.Tenant, a.Reason, a.Effect, a.Generation, a.Route}
	got := common{r.ID, r.Subject, r.Tenant, r.Reason, r.Effect, r.Generation, r.Route}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record is not of the answer (-answer +record):\n%s", diff)
	}
	if !r.Time.Equal(now()) || len(r.ID) != 32 {
		t.Errorf("record: got time %v and id %q", r.Time, r.ID)
	}
}

func TestIDsDiffer(t *testing.T) {
	g := gate(t, proxy.Config{}, engine(t, "", ""), nil, zap.NewNop())
	seen := map[string]bool{}
	for range 1000 {
		id := g.Check(t.Context(), proxy.Inbound{}).ID
		if seen[id] || strings.Trim(id, "0123456789abcdef") != "" {
			t.Fatalf("id %q came twice or is not hexadecimal", id)
		}
		seen[id] = true
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []proxy.Config{
		{OnPolicyError: "allow"},
		{MaxTime: -1},
		{RetryAfter: time.Millisecond},
		{Challenge: "Bearer\r\nx: y"},
		{ReservedHeaders: []string{"x user"}},
		{ReservedHeaders: []string{"Content-Length"}},
	} {
		if _, err := proxy.New(cfg, engine(t, "", ""), nil, nil, nil, now, zap.NewNop()); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

// TestAuditsRefuseNobody: the engine's audit looks at the whole of a request, also at
// what cannot be read and no policy asked for.
func TestAuditsRefuseNobody(t *testing.T) {
	e := engineWith(t, policy.Config{AuditEvery: 1}, "package mine\n\ndecision := {\"allowed\": input.route.error == \"no_route\"}", "")
	unread := &proxy.Members{Make: func() (ast.Object, error) { return nil, errors.New("query escapes") }}
	g := gate(t, proxy.Config{MaxTime: time.Minute}, e, nil, zap.NewNop())
	a := g.Check(t.Context(), proxy.Inbound{Method: "GET", Path: "/", Rest: unread})
	if n := e.Stats().Audits; a.Effect != policy.Allow || n != 1 {
		t.Errorf("got %s %s after %d audits, want it allowed after one", a.Effect, a.Reason, n)
	}
}

// faulty breaks in each place that the gate calls.
type faulty struct{ proxy.Engine }

func (faulty) View() policy.View { panic("canary-of-a-panic") }

func (faulty) Authenticate(context.Context, policy.View, proxy.Credentials) (policy.Subject, error) {
	panic("canary-of-a-panic")
}

func (faulty) Values(string) []string { panic("canary-of-a-panic") }

func TestPanicsAreDenials(t *testing.T) {
	const rego = "package rolegate\n\ndecision := {\"allow\": true, \"valid_until\": null}"
	const data = `{"routes": {"s": {"prefixes": ["/"], "routes": [{"id": "r", "methods": ["*"], "path": "/{x...}", "resource": "{header.kind}", "action": "read"}]}}}`
	sound := proxy.Inbound{Method: "GET", Path: "/", Host: "h"}
	for name, c := range map[string]struct {
		engine   proxy.Engine
		identity proxy.Authenticator
		change   func(*proxy.Inbound)
	}{
		"engine":   {engine: faulty{}},
		"identity": {engine: engine(t, rego, data), identity: faulty{}},
		"headers":  {engine: engine(t, rego, data), change: func(in *proxy.Inbound) { in.Credentials.Headers = faulty{} }},
		"names": {engine: engine(t, rego, data), change: func(in *proxy.Inbound) {
			in.HeaderNames = func(func(string) bool) { panic("canary-of-a-panic") }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			var records recorded
			in := sound
			if c.change != nil {
				c.change(&in)
			}
			a := gate(t, proxy.Config{}, c.engine, c.identity, logTo(&log), &records).Check(t.Context(), in)
			if a.Effect != policy.Deny || a.Reason != policy.ReasonPolicyError || a.Reply.Status != 403 {
				t.Errorf("got %+v, want a policy_error", a)
			}
			if len(records) != 1 || records[0].Error == "" {
				t.Errorf("got records %+v, want one with its error", records)
			}
			if text := log.String(); strings.Contains(text, "canary") || !strings.Contains(text, "gate_test.go") {
				t.Errorf("the log must say where, and not what was panicked with: %s", text)
			}
		})
	}
}

func TestDeadlines(t *testing.T) {
	const rego = `package slow

decision := {"allowed": count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i * j == 7]) > 0}`
	e := engineWith(t, policy.Config{Timeout: 200 * time.Millisecond}, rego, "")
	in := proxy.Inbound{Method: "GET", Path: "/", Host: "h"}
	t.Run("configured", func(t *testing.T) {
		a := gate(t, proxy.Config{MaxTime: 20 * time.Millisecond}, e, nil, zap.NewNop()).Check(t.Context(), in)
		if a.Effect != policy.Deny || a.Reason != policy.ReasonTimeout || a.Reply.Status != 503 {
			t.Errorf("got %s %s %d, want a timeout", a.Effect, a.Reason, a.Reply.Status)
		}
	})
	t.Run("head start", func(t *testing.T) {
		at := time.Now().Add(30 * time.Millisecond)
		ctx, cancel := context.WithDeadline(t.Context(), at)
		defer cancel()
		a := gate(t, proxy.Config{MaxTime: time.Hour}, e, nil, zap.NewNop()).Check(ctx, in)
		if a.Reason != policy.ReasonTimeout {
			t.Errorf("got %s, want a timeout", a.Reason)
		}
		if ctx.Err() != nil {
			t.Log("the caller's deadline passed before the answer; the machine may be busy")
		}
	})
}

func TestMalformedIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	asked := false
	identity := authenticator(func() (policy.Subject, error) { asked = true; return policy.Subject{}, nil })
	g := gate(t, proxy.Config{}, engine(t, "package rolegate\n\ndecision := true", ""), identity, zap.NewNop())
	for name, in := range map[string]proxy.Inbound{
		"zero":                    {},
		"method":                  {Method: "GE T", Path: "/", Host: "h"},
		"connect":                 {Method: "CONNECT", Path: "/", Host: "h"},
		"path":                    {Method: "GET", Path: "/a/../b", Host: "h"},
		"no path":                 {Method: "GET", Host: "h"},
		"host":                    {Method: "GET", Path: "/", Host: "a@b"},
		"by surface":              {Method: "GET", Path: "/", Host: "h", Malformed: "word"},
		"header":                  {Method: "GET", Path: "/", Host: "h", HeaderNames: slices.Values([]string{"x_rolegate_\x00"})},
		"header, and sound ones":  {Method: "GET", Path: "/", Host: "h", HeaderNames: slices.Values([]string{"accept", "x_rolegate_\x00", "accept", "x-rolegate-a"})},
		"host, and sound headers": {Method: "GET", Path: "/", Host: "a@b", HeaderNames: slices.Values([]string{"accept"})},
	} {
		if a := g.Check(t.Context(), in); a.Effect != policy.Deny || a.Reason != policy.ReasonMalformedRequest || a.Reply.Status != 400 {
			t.Errorf("%s: got %s %s %d, want malformed_request with 400", name, a.Effect, a.Reason, a.Reply.Status)
		}
	}
	if asked {
		t.Error("identity was asked about a malformed request")
	}
}

type authenticator func() (policy.Subject, error)

func (f authenticator) Authenticate(context.Context, policy.View, proxy.Credentials) (policy.Subject, error) {
	return f()
}
