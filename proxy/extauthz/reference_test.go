package extauthz

import (
	"path/filepath"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"
)

// plainly is a message as opa-envoy-plugin hands it to OPA: what its sources say, in the
// fewest words, for want of running them here.
func plainly(m protoreflect.Message) any {
	if s, ok := m.Interface().(*structpb.Struct); ok {
		return s.AsMap()
	}
	single := func(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
		if f.Kind() == protoreflect.MessageKind {
			return plainly(v.Message())
		}
		return v.Interface()
	}
	object := map[string]any{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			members := map[string]any{}
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				members[k.String()] = single(f.MapValue(), v)
				return true
			})
			object[f.JSONName()] = members
		case f.IsList():
			list := []any{}
			for i := range v.List().Len() {
				list = append(list, single(f, v.List().Get(i)))
			}
			object[f.JSONName()] = list
		default:
			object[f.JSONName()] = single(f, v)
		}
		return true
	})
	return object
}

// TestAttributesAreThoseOfThePlugin: each request's attributes are what they were, but
// for the headers that are made of raw ones.
func TestAttributesAreThoseOfThePlugin(t *testing.T) {
	same := func(t rapid.TB, req *authv3.CheckRequest) {
		t.Helper()
		if req.GetAttributes() == nil || req.GetAttributes().GetRequest().GetHttp().GetHeaderMap() != nil {
			return
		}
		want, err := ast.InterfaceToValue(plainly(req.GetAttributes().ProtoReflect()))
		if err != nil {
			t.Fatal(err)
		}
		got, found, err := newRest(req, &Documents{Raw: true}).Lookup(ast.Ref{ast.StringTerm("attributes")})
		if err != nil || !found || got.Compare(want) != 0 || got.String() != want.String() {
			t.Errorf("got  %v\nwant %v (%v)", got, want, err)
		}
	}
	files, err := filepath.Glob("testdata/requests/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "testdata/opa-envoy/attributes.txtar") {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range archive.Files {
			req := &authv3.CheckRequest{}
			if filepath.Base(file) != "metadata-too-deep.txtar" && protojson.Unmarshal(part.Data, req) == nil {
				same(t, req)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		req := requests().Draw(t, "request")
		if rapid.Bool().Draw(t, "metadata") {
			number := rapid.Float64().Draw(t, "number")
			req.Attributes.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
				rapid.String().Draw(t, "namespace"): {Fields: map[string]*structpb.Value{rapid.String().Draw(t, "key"): structpb.NewNumberValue(number)}},
			}}
			req.Attributes.GetRequest().GetHttp().Size = rapid.Int64().Draw(t, "size")
			req.Attributes.GetRequest().GetHttp().RawBody = rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		}
		same(t, req)
	})
}
