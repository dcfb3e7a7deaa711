package extauthz

import (
	"bytes"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/policy/footprint"
)

// readable are paths that policies may read in a request: those that are written from the
// wire, their neighbors, and each header that the request has.
func readable(req *authv3.CheckRequest) []ast.Ref {
	at := func(segments ...any) ast.Ref {
		ref := make(ast.Ref, len(segments))
		for i, s := range segments {
			if name, ok := s.(string); ok {
				ref[i] = ast.StringTerm(name)
			} else {
				ref[i] = ast.InternedTerm(s.(int))
			}
		}
		return ref
	}
	paths := []ast.Ref{
		at("source_principal"), at("source_principal", "x"), at("attributes"), at("attributes", "source", "principal"),
		at("attributes", "source", "service"), at("version"), at(1), at("attributes", "request", "http"),
	}
	for _, name := range []string{"method", "path", "host", "scheme", "protocol", "headers", "headerMap", "id"} {
		paths = append(paths, at("attributes", "request", "http", name), at("attributes", "request", "http", name, "x"))
	}
	http := req.GetAttributes().GetRequest().GetHttp()
	names := []string{"authorization", "Authorization", "x-user", "missing"}
	for name := range http.GetHeaders() {
		names = append(names, name)
	}
	for _, h := range http.GetHeaderMap().GetHeaders() {
		names = append(names, h.GetKey())
	}
	for _, name := range names {
		paths = append(paths, at("attributes", "request", "http", "headers", name))
	}
	return paths
}

// sameWriting fails if what is written from the wire is not what the document has.
func sameWriting(t *testing.T, s *Server, raw []byte) (written int) {
	t.Helper()
	w := s.wire()
	w.message = string(raw)
	if !w.read() {
		return 0
	}
	req := &authv3.CheckRequest{}
	if err := proto.Unmarshal(raw, req); err != nil {
		t.Fatal(err)
	}
	for _, path := range readable(req) {
		got, ok := w.AppendTo([]byte("before"), path)
		if !ok {
			continue
		}
		written++
		v, found, err := newRest(req, nil).Lookup(path)
		if err != nil {
			t.Fatalf("%x: %v is written, and cannot be read: %v", raw, path, err)
		}
		want := footprint.AppendAbsent([]byte("before"))
		if found {
			want = footprint.AppendValue([]byte("before"), v)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%x: %v: got %q, want %q", raw, path, got, want)
		}
	}
	return written
}

func TestTheWireWritesWhatTheDocumentHas(t *testing.T) {
	s := wireServers(t)[0]
	written := map[string]int{}
	for name, raw := range messages(t) {
		written[name] = sameWriting(t, s, raw)
	}
	for _, name := range []string{"usual", "raw headers", "envoy.txtar", "raw-headers.txtar"} {
		if written[name] < 9 {
			t.Errorf("%s: %d paths were written from the wire, want most", name, written[name])
		}
	}
}

func FuzzWireWrites(f *testing.F) {
	for _, raw := range messages(f) {
		f.Add(raw)
	}
	s := wireServers(f)[0]
	f.Fuzz(func(t *testing.T, raw []byte) { sameWriting(t, s, raw) })
}
