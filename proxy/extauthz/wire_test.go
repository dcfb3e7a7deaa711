package extauthz

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
)

// seen is what the gate can see of a request.
type seen struct {
	Protocol                                 proxy.Protocol
	Method, Host, Path, Principal, Malformed string
	Socket, Target, Metadata, Certificate    string   // of the credentials
	Names                                    []string // in order, each once
	Headers                                  map[string][]string
	Extensions                               map[string]string
	Rest                                     string
}

func see(in *proxy.Inbound) seen {
	s := seeFields(in)
	v, _, err := in.Rest.Lookup(ast.Ref{})
	if s.Rest = fmt.Sprint(err); err == nil {
		s.Rest = v.String()
	}
	return s
}

// seeFields is see without the rest.
func seeFields(in *proxy.Inbound) seen {
	s := seen{
		Protocol: in.Protocol, Method: in.Method, Host: in.Host, Path: in.Path,
		Principal: in.Credentials.Principal, Malformed: in.Malformed,
		Socket: in.Credentials.Socket, Target: in.Credentials.Path, Certificate: in.Credentials.Certificate,
		Headers: map[string][]string{}, Extensions: map[string]string{},
	}
	if in.Credentials.Metadata != nil {
		v, found, err := in.Credentials.Metadata.Metadata("envoy.filters.http.jwt_authn", "payload")
		s.Metadata = fmt.Sprint(v, found, err)
	}
	for name := range in.HeaderNames {
		for _, asked := range []string{name, strings.ToLower(name), "x-absent"} {
			s.Headers[asked] = slices.Clone(in.Credentials.Headers.Values(asked))
		}
		s.Names = append(s.Names, name)
	}
	slices.Sort(s.Names) // the order of a map is none
	s.Names = slices.Compact(s.Names)
	maps.Copy(s.Extensions, in.Extensions)
	return s
}

// messages are requests as Envoy and gRPC servers send them, and as they do not.
func messages(tb testing.TB) map[string][]byte {
	tb.Helper()
	all := map[string][]byte{}
	files, err := filepath.Glob("testdata/requests/*.txtar")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no cases: %v", err)
	}
	encode := func(req *authv3.CheckRequest) []byte {
		raw, err := proto.Marshal(req)
		if err != nil {
			tb.Fatal(err)
		}
		return raw
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		req := &authv3.CheckRequest{}
		if err := protojson.Unmarshal(archive.Files[0].Data, req); err != nil {
			tb.Fatal(err)
		}
		all[filepath.Base(file)] = encode(req)
	}
	usual := checkRequest("/v1/acme/documents/d1?x=1", map[string]string{
		"authorization": "Bearer " + canary, "X_Rolegate_Roles": "owner", "": "", "é": "é",
	})
	usual.Attributes.ContextExtensions = map[string]string{"tenant": "acme", "": "x"}
	usual.Attributes.Source = &authv3.AttributeContext_Peer{
		Principal: "spiffe://a/b", Certificate: "-----BEGIN%20CERTIFICATE-----", Labels: map[string]string{"a": "b"}, Service: "s",
		Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "/x", Mode: 0o600}}},
	}
	usual.Attributes.Destination = &authv3.AttributeContext_Peer{
		Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "/run/envoy.sock", Mode: 0o600}}},
	}
	all["usual"] = encode(usual)
	raw := proto.Clone(usual).(*authv3.CheckRequest)
	raw.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: "Authorization", RawValue: []byte("Bearer \xff")},
		{Key: "authorization", Value: "v", RawValue: []byte("r")},
		{Key: "x-uſer", Value: "v"},
	}}
	all["raw headers"] = encode(raw)

	field := func(number protowire.Number, value ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	http := func(fields ...[]byte) []byte { return field(1, field(4, field(2, slices.Concat(fields...)...)...)...) }
	get := field(2, []byte("GET")...)
	maps.Copy(all, map[string][]byte{
		"nothing":               {},
		"no message":            {0xff},
		"attributes twice":      slices.Concat(all["usual"], http(get)),
		"request twice":         field(1, slices.Concat(field(4, field(2, get...)...), field(4, field(2, field(4, '/')...)...))...),
		"http twice":            field(1, field(4, slices.Concat(field(2, get...), field(2, field(4, '/')...))...)...),
		"source twice":          field(1, slices.Concat(field(1, field(4, 'a')...), field(1, field(3)...))...),
		"sources differ":        field(1, slices.Concat(field(1, slices.Concat(field(4, 'a'), field(5, 'c'))...), field(1, field(4, 'b')...), field(1, field(3, '1')...))...),
		"destination twice":     field(1, slices.Concat(field(2), field(2, field(1, field(2, field(1, '/')...)...)...))...),
		"destinations differ":   field(1, slices.Concat(field(2, field(1, field(2, field(1, '/')...)...)...), field(2, field(1, field(1)...)...))...),
		"attributes differ":     slices.Concat(field(1, field(2, field(1, field(2, field(1, '/')...)...)...)...), field(1, field(2, field(1, field(1)...)...)...)),
		"an internal address":   field(1, field(2, field(1, field(3, field(1, '/')...)...)...)...),
		"address twice":         field(1, field(2, slices.Concat(field(1, field(2, field(1, '/')...)...), field(1, field(1)...))...)...),
		"pipe and network":      field(1, field(2, field(1, slices.Concat(field(2, field(1, '/')...), field(1))...)...)...),
		"pipe's path twice":     field(1, field(2, field(1, field(2, slices.Concat(field(1, '/'), field(1, 'x'))...)...)...)...),
		"method twice":          http(get, field(2, []byte("PUT")...)),
		"method not UTF-8":      http(field(2, 0xff)),
		"body not UTF-8":        http(get, field(11, 0xff)),
		"a number for text":     http(get, []byte{4 << 3, 7}),
		"an unknown field":      http(get, field(90, 'x')),
		"a group":               http(get, []byte{4<<3 | 3, 4<<3 | 4}),
		"field zero":            http(get, []byte{2, 0}),
		"a long number":         http(get, []byte{9 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}),
		"a number too long":     http(get, []byte{9 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}),
		"a length too large":    http(get, []byte{2<<3 | 2, 200}),
		"a length written long": http([]byte{2<<3 | 2, 0x83, 0x00, 'G', 'E', 'T'}),
		"a key twice":           http(get, field(3, slices.Concat(field(1, 'a'), field(2, '1'))...), field(3, slices.Concat(field(1, 'a'), field(2, '2'))...)),
		"a key twice in one":    http(get, field(3, slices.Concat(field(1, 'a'), field(1, 'b'), field(2, '1'))...)),
		"a value after another": http(get, field(3, slices.Concat(field(1, 'a'), field(9, 'x'), field(2, '1'))...)),
		"one in a header map":   http(get, field(13, field(1, slices.Concat(field(1, 'a'), field(9, 'x'), field(2, '1'))...)...)),
		"one of extensions":     field(1, slices.Concat(field(4, field(2, get...)...), field(10, slices.Concat(field(1, 'a'), field(9, 'x'), field(2, '1'))...))...),
		"no key":                http(get, field(3, field(2, '1')...)),
		"header maps twice":     http(get, field(13, field(1, field(1, 'a')...)...), field(13, field(1, field(1, 'b')...)...)),
		"an empty header map":   http(get, field(13), field(3, slices.Concat(field(1, 'a'), field(2, '1'))...)),
		"an empty raw value":    http(get, field(13, field(1, slices.Concat(field(1, 'a'), field(2, 'v'), field(3))...)...)),
		"metadata not UTF-8":    field(1, slices.Concat(field(4, field(2, get...)...), field(11, field(1, slices.Concat(field(1, 0xff), field(2))...)...))...),
		"metadata cut":          field(1, slices.Concat(field(4, field(2, get...)...), field(11, field(1, 0x0a, 0x05)...))...),
	})
	return all
}

// sameReading fails if the wire is read otherwise than the decoded message.
func sameReading(t *testing.T, s *Server, raw []byte) (read bool) {
	t.Helper()
	return sameOf(t, s, raw, see)
}

// sameFields is sameReading without the rest, which is decoded in both.
func sameFields(t *testing.T, s *Server, raw []byte) (read bool) {
	t.Helper()
	return sameOf(t, s, raw, seeFields)
}

func sameOf(t *testing.T, s *Server, raw []byte, see func(*proxy.Inbound) seen) (read bool) {
	t.Helper()
	w := s.wire()
	w.message = string(raw)
	if !w.read() {
		return false
	}
	req := &authv3.CheckRequest{}
	if err := proto.Unmarshal(raw, req); err != nil {
		t.Fatalf("%x: read, and cannot be decoded: %v", raw, err)
	}
	in := inbound(req, nil)
	if diff := cmp.Diff(see(&in), see(&w.in)); diff != "" {
		t.Fatalf("%x (-decoded +wire):\n%s", raw, diff)
	}
	w.reset()
	s.wires.Put(w)
	return true
}

// sameAnswer fails if a message is answered otherwise than the decoded request.
func sameAnswer(t *testing.T, s *Server, raw []byte) {
	t.Helper()
	decoded := &authv3.CheckRequest{}
	var want *authv3.CheckResponse
	if proto.Unmarshal(raw, decoded) == nil {
		var err error
		if want, err = s.Check(t.Context(), decoded); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // also once it is remembered, and once it was said
		got := &authv3.CheckResponse{}
		if err := proto.Unmarshal(s.AppendAnswer(t.Context(), []byte("before"), string(raw))[len("before"):], got); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			if got.GetStatus().GetCode() == 0 || got.GetDeniedResponse().GetStatus().GetCode() != 400 {
				t.Fatalf("%x: no message, and the answer is %v", raw, got)
			}
			continue
		}
		if diff := cmp.Diff(bare(want), bare(got)); diff != "" {
			t.Fatalf("%x (-decoded +wire):\n%s", raw, diff)
		}
	}
}

// bare is a response without its decision's id, and without whether it was remembered.
func bare(r *authv3.CheckResponse) string {
	fields := r.GetDynamicMetadata().GetFields()
	id := fields["decision_id"].GetStringValue()
	delete(fields, "source")
	if len(id) != 32 {
		return "no id: " + r.String()
	}
	raw, err := protojson.Marshal(r)
	if err != nil {
		return err.Error()
	}
	// protojson adds white space at random, so that nobody compares its bytes.
	return strings.ReplaceAll(strings.ReplaceAll(string(raw), id, "ID"), " ", "")
}

// wireServers are servers of policies that read little, and all.
func wireServers(tb testing.TB) []*Server {
	tb.Helper()
	var servers []*Server
	for _, archive := range []string{benchBundle("true"), benchBundle("input.route.params.doc != input.subject.id"), benchBundle(`input.attributes.request.http.headers["x-user"] == "ann"`), bundle} {
		engine := policytest.Engine(tb, archive, policy.Config{})
		g, err := proxy.New(proxy.Config{ReservedHeaders: []string{"x-user"}}, engine, tokens{}, nil, nil, time.Now, zap.NewNop())
		if err != nil {
			tb.Fatal(err)
		}
		servers = append(servers, New(Config{}, g, zap.NewNop()))
	}
	return servers
}

func TestWireIsReadAsItIsDecoded(t *testing.T) {
	servers, all := wireServers(t), messages(t)
	read := map[string]bool{}
	for name, raw := range all {
		t.Run(name, func(t *testing.T) {
			read[name] = sameReading(t, servers[0], raw)
			for _, s := range servers {
				sameAnswer(t, s, raw)
			}
		})
	}
	for _, name := range []string{"usual", "raw headers", "envoy.txtar", "grpc-server.txtar", "raw-headers.txtar"} {
		if !read[name] {
			t.Errorf("%s is decoded, and should be read as it came", name)
		}
	}
}

// FuzzWire: whatever the bytes are, they are read as they are decoded, or not at all.
func FuzzWire(f *testing.F) {
	for _, raw := range messages(f) {
		f.Add(raw)
	}
	servers := wireServers(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		sameReading(t, servers[0], raw)
		for _, s := range servers {
			sameAnswer(t, s, raw)
		}
	})
}

// TestPanicsWhileAnsweringAreDenials: also those of what reads the message.
func TestPanicsWhileAnsweringAreDenials(t *testing.T) {
	s := New(Config{}, testGate(t, zap.NewNop()), zap.NewNop())
	s.shape = nil
	raw, err := proto.Marshal(checkRequest("/", nil))
	if err != nil {
		t.Fatal(err)
	}
	got := &authv3.CheckResponse{}
	if err := proto.Unmarshal(s.AppendAnswer(t.Context(), nil, string(raw)), got); err != nil || got.GetStatus().GetCode() == 0 {
		t.Errorf("got %v, %v, want a denial", got, err)
	}
	s.gate = nil
	if err := proto.Unmarshal(s.unreadable("it is too large"), got); err != nil || got.GetStatus().GetCode() == 0 {
		t.Errorf("of what cannot be read: got %v, %v, want a denial", got, err)
	}
}

func TestNothingIsNeverSent(t *testing.T) {
	if _, err := (codec{}).Marshal(&message{}); err == nil {
		t.Error("an empty response, which allows, is sent")
	}
	s := New(Config{}, testGate(t, zap.NewNop()), zap.NewNop())
	if m, err := s.checkMessage(t.Context(), func(any) error { return context.Canceled }); err == nil {
		t.Errorf("nothing was received: got %v", m)
	}
}
