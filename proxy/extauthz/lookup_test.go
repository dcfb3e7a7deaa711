package extauthz

import (
	"path/filepath"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// TestLookupFindsWhatTheDocumentHolds asks each request of the cases for every path of
// its document, and for paths beside them.
func TestLookupFindsWhatTheDocumentHolds(t *testing.T) {
	files, err := filepath.Glob("testdata/requests/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	asked := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		req := &authv3.CheckRequest{}
		if err := protojson.Unmarshal(archive.Files[0].Data, req); err != nil {
			t.Fatal(err)
		}
		doc, err := newRest(req, nil).document()
		if err != nil {
			continue
		}
		for _, path := range pathsOf(doc, nil) {
			for _, beside := range []*ast.Term{nil, ast.StringTerm("absent"), ast.StringTerm(""), ast.InternedTerm(0), ast.InternedTerm(-1), ast.InternedTerm(99), ast.InternedTerm(true)} {
				p := path
				if beside != nil {
					p = path.Append(beside)
				}
				asked++
				want, err := doc.Find(p)
				got, found, unread := newRest(req, nil).Lookup(p)
				if unread != nil || found != (err == nil) || found && want.Compare(got) != 0 {
					t.Errorf("%s: %s: got %v, %v, %v, want %v, %v", file, p, got, found, unread, want, err)
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("asked for %d paths only", asked)
	}
}

// pathsOf lists the path of every value below v, v's own included unless it is empty.
func pathsOf(v ast.Value, at ast.Ref) (paths []ast.Ref) {
	if len(at) > 0 {
		paths = append(paths, at)
	}
	switch v := v.(type) {
	case ast.Object:
		v.Foreach(func(k, member *ast.Term) { paths = append(paths, pathsOf(member.Value, at.Append(k))...) })
	case *ast.Array:
		for i := range v.Len() {
			paths = append(paths, pathsOf(v.Elem(i).Value, at.Append(ast.InternedTerm(i)))...)
		}
	}
	return paths
}

// TestMetadataIsBounded: what is too much is refused, whichever way it is read.
func TestMetadataIsBounded(t *testing.T) {
	for n, refused := range map[int]bool{maxNodes / 2: false, maxNodes + 1: true} {
		req := checkRequest("/", nil)
		values := make([]*structpb.Value, n)
		for i := range values {
			values[i] = structpb.NewNumberValue(1)
		}
		list := structpb.NewListValue(&structpb.ListValue{Values: values})
		req.Attributes.MetadataContext = &corev3.Metadata{
			FilterMetadata: map[string]*structpb.Struct{"x": {Fields: map[string]*structpb.Value{"list": list}}},
		}
		for _, path := range []ast.Ref{{}, {ast.StringTerm("attributes")}, ast.MustParseRef("attributes.metadataContext.filterMetadata.x.list")} {
			if len(path) > 1 {
				path[0] = ast.StringTerm("attributes")
			}
			if _, _, err := newRest(req, nil).Lookup(path); (err != nil) != refused {
				t.Errorf("%d values, %v: got error %v, want one: %t", n, path, err, refused)
			}
		}
		if _, found, err := newRest(req, nil).Lookup(ast.Ref{ast.StringTerm("parsed_path")}); !found || err != nil {
			t.Errorf("%d values: what is not metadata: got %v, %v", n, found, err)
		}
	}
}

func TestLookupRefusesWhatItCannotRead(t *testing.T) {
	req := checkRequest("/a?x=1;y=2", nil)
	for path, refused := range map[string]bool{"parsed_query": true, "parsed_path": true, "attributes": false, "version": false, "nothing": false} {
		if v, found, err := newRest(req, nil).Lookup(ast.Ref{ast.StringTerm(path)}); (err != nil) != refused || err != nil && (found || v != nil) {
			t.Errorf("%s: got %v, %t, error %v, want an error alone: %t", path, v, found, err, refused)
		}
	}
}
