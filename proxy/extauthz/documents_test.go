package extauthz

import (
	"errors"
	"math"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rolegate/rolegate/proxy/parsed"
)

// withMetadata is a request of which a filter noted v as "key" of "space".
func withMetadata(v *structpb.Value) *authv3.CheckRequest {
	req := checkRequest("/", nil)
	req.Attributes.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
		"space": {Fields: map[string]*structpb.Value{"key": v, "": structpb.NewStringValue("no name")}},
	}}
	return req
}

func refTo(segments ...any) ast.Ref {
	ref := make(ast.Ref, len(segments))
	for i, s := range segments {
		switch s := s.(type) {
		case string:
			ref[i] = ast.StringTerm(s)
		case int:
			ref[i] = ast.InternedTerm(s)
		case bool:
			ref[i] = ast.InternedTerm(s)
		case float64:
			ref[i] = ast.FloatNumberTerm(s)
		}
	}
	return ref
}

// TestNumbers: a float as JSON has it, or as opa-envoy-plugin does; what JSON cannot say is
// a text.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		f           float64
		plain, asIs string
	}{
		{0, "0", "0"},
		{1, "1", "1"},
		{-1.5, "-1.5", "-1.5"},
		{1e6, "1000000", "1e+06"},
		{1e20, "100000000000000000000", "1e+20"},
		{1e21, "1e+21", "1e+21"},
		{-1e21, "-1e+21", "-1e+21"},
		{1e-6, "0.000001", "1e-06"},
		{9.5e-7, "9.5e-07", "9.5e-07"},
		{math.NaN(), `"NaN"`, `"NaN"`},
		{math.Inf(1), `"Infinity"`, `"Infinity"`},
		{math.Inf(-1), `"-Infinity"`, `"-Infinity"`},
	} {
		req := withMetadata(structpb.NewNumberValue(c.f))
		for how, want := range map[*Documents]string{nil: c.plain, {}: c.plain, {SkipBody: true}: c.plain, {Raw: true}: c.asIs} {
			got, found, err := newRest(req, how).Lookup(refTo("attributes", "metadataContext", "filterMetadata", "space", "key"))
			if err != nil || !found || got.String() != want {
				t.Errorf("%v as %+v: got %v, %t, %v, want %s", c.f, how, got, found, err, want)
			}
		}
		// Identity has no profile.
		if got, found, err := newRest(req, &Documents{Raw: true}).Metadata("space", "key"); err != nil || !found || got.String() != c.plain {
			t.Errorf("%v for identity: got %v, %t, %v, want %s", c.f, got, found, err, c.plain)
		}
	}
	for _, absent := range [][2]string{{"space", "other"}, {"other", "key"}} {
		if got, found, err := newRest(withMetadata(nil), nil).Metadata(absent[0], absent[1]); found || err != nil {
			t.Errorf("%q for identity: got %v, %t, %v, want nothing", absent, got, found, err)
		}
	}
}

// TestEveryKindOfField: what a field of each kind is to a policy.
func TestEveryKindOfField(t *testing.T) {
	d := everyKind(t)
	m := dynamicpb.NewMessage(d)
	values := map[protoreflect.Kind]protoreflect.Value{
		protoreflect.BoolKind: protoreflect.ValueOfBool(true), protoreflect.StringKind: protoreflect.ValueOfString("é"),
		protoreflect.BytesKind: protoreflect.ValueOfBytes([]byte{0xff}), protoreflect.FloatKind: protoreflect.ValueOfFloat32(1.5),
		protoreflect.DoubleKind: protoreflect.ValueOfFloat64(-2.5), protoreflect.MessageKind: protoreflect.ValueOfMessage(dynamicpb.NewMessage(d)),
	}
	for _, k := range []protoreflect.Kind{protoreflect.Uint32Kind, protoreflect.Fixed32Kind} {
		values[k] = protoreflect.ValueOfUint32(math.MaxUint32)
	}
	for _, k := range []protoreflect.Kind{protoreflect.Uint64Kind, protoreflect.Fixed64Kind} {
		values[k] = protoreflect.ValueOfUint64(math.MaxUint64)
	}
	for _, k := range []protoreflect.Kind{protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind} {
		values[k] = protoreflect.ValueOfInt32(math.MinInt32)
	}
	for _, k := range []protoreflect.Kind{protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind} {
		values[k] = protoreflect.ValueOfInt64(math.MinInt64)
	}
	want := map[protoreflect.Kind]string{
		protoreflect.BoolKind: "true", protoreflect.StringKind: `"é"`, protoreflect.BytesKind: `"/w=="`, protoreflect.FloatKind: "1.5",
		protoreflect.DoubleKind: "-2.5", protoreflect.MessageKind: "{}",
		protoreflect.Uint32Kind: "4294967295", protoreflect.Fixed32Kind: "4294967295",
		protoreflect.Uint64Kind: "18446744073709551615", protoreflect.Fixed64Kind: "18446744073709551615",
		protoreflect.Int32Kind: "-2147483648", protoreflect.Sint32Kind: "-2147483648", protoreflect.Sfixed32Kind: "-2147483648",
		protoreflect.Int64Kind: "-9223372036854775808", protoreflect.Sint64Kind: "-9223372036854775808", protoreflect.Sfixed64Kind: "-9223372036854775808",
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.IsList() {
			m.Mutable(f).List().Append(values[f.Kind()])
		} else {
			m.Set(f, values[f.Kind()])
		}
	}
	w := walk{left: maxNodes}
	got := w.message(m, 0)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		expected := want[f.Kind()]
		if f.IsList() {
			expected = "[" + expected + "]"
		}
		if v := got.Get(ast.StringTerm(f.JSONName())); v == nil || v.String() != expected {
			t.Errorf("%s: got %v, want %s", f.Kind(), v, expected)
		}
	}
}

// TestPrintable: bytes that are no text are "!" each, and the text that stands for them is
// a text like any other.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{"": "", "é": "é", "\xff": "!", "a\xc3\x28b": "a!(b", "\ufffd": "\ufffd", "\ufffd\xff": "\ufffd!", "\xe2\x82": "!!"} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestBounds: how deep and of how many values a document may be, to the last one.
func TestBounds(t *testing.T) {
	list := func(n int) *structpb.Value {
		values := make([]*structpb.Value, n)
		for i := range values {
			values[i] = structpb.NewNullValue()
		}
		return structpb.NewListValue(&structpb.ListValue{Values: values})
	}
	deep := func(n int, object bool) *structpb.Value {
		v := structpb.NewNullValue()
		for range n {
			if object {
				v = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"a": v}})
			} else {
				v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
			}
		}
		return v
	}
	refused := func(v *structpb.Value, path ...any) bool {
		_, found, err := newRest(withMetadata(v), nil).Lookup(refTo(path...))
		if err != nil && (found || !errors.Is(err, errTooLarge)) {
			t.Errorf("got %t, %v", found, err)
		}
		return err != nil
	}
	// The first that is refused, of values that are larger and larger.
	first := func(of func(int) bool) int {
		low, high := 0, 4*maxNodes
		for low < high {
			if mid := (low + high) / 2; of(mid) {
				high = mid
			} else {
				low = mid + 1
			}
		}
		return low
	}
	whole := []any{"attributes"}
	value := []any{"attributes", "metadataContext", "filterMetadata", "space", "key"}
	for name, c := range map[string]struct {
		of   func(int) bool
		want int
	}{
		"elements of a value":       {func(n int) bool { return refused(list(n), value...) }, maxNodes},      // the list is one
		"elements below attributes": {func(n int) bool { return refused(list(n), whole...) }, maxNodes - 13}, // what else there is counts too
		"lists in lists":            {func(n int) bool { return refused(deep(n, false), value...) }, maxDepth + 1},
		"objects in objects":        {func(n int) bool { return refused(deep(n, true), value...) }, maxDepth + 1},
		"lists below attributes":    {func(n int) bool { return refused(deep(n, false), whole...) }, maxDepth - 3},
		"a namespace of nested objects": {func(n int) bool {
			return refused(deep(n, true), "attributes", "metadataContext", "filterMetadata", "space")
		}, maxDepth},
	} {
		if got := first(c.of); got != c.want {
			t.Errorf("%s: the first that is refused is %d, want %d", name, got, c.want)
		}
	}
}

// TestLookupsThatFindNothing: a path is followed by names where there are names, and by
// whole numbers within a list.
func TestLookupsThatFindNothing(t *testing.T) {
	req := withMetadata(structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewBoolValue(true), structpb.NewBoolValue(false)}}))
	req.Attributes.ContextExtensions = map[string]string{"": "no name", "a": "b"}
	req.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: "x-a", Value: "1"}, {Key: "x-b", Value: "2"}}}
	const space = "attributes/metadataContext/filterMetadata/space"
	at := func(path string, more ...any) ast.Ref {
		ref := ast.Ref{}
		for segment := range strings.SplitSeq(path, "/") {
			ref = append(ref, ast.StringTerm(segment))
		}
		return append(ref, refTo(more...)...)
	}
	for _, c := range []struct {
		path ast.Ref
		want string // "": nothing
	}{
		{at(space+"/key", 0), "true"},
		{at(space+"/key", 1), "false"},
		{at(space+"/key", 2), ""},
		{at(space+"/key", -1), ""},
		{at(space+"/key", 0.5), ""},
		{at(space+"/key", true), ""},
		{at(space+"/key", "0"), ""},
		{at(space+"/key", 0, 0), ""},
		{at(space, ""), `"no name"`},
		{at(space, 0), ""},
		{at(space, true), ""},
		{at("attributes/contextExtensions", ""), `"no name"`},
		{at("attributes/contextExtensions", 0), ""},
		{at("attributes/contextExtensions", "a", 0), ""},
		{at("attributes/request/http/headerMap/headers", 1, "key"), `"x-b"`},
		{at("attributes/request/http/headerMap/headers", 2, "key"), ""},
		{at("attributes/request/http/headerMap/headers", 0.5), ""},
		{at("attributes/request/http/headerMap/headers", "1"), ""},
		{at("attributes/request/http", 0), ""},
		{at("attributes", ""), ""},
		{at("attributes/request/http/headers/x-b"), `"2"`},
		{at("attributes/request/http/headers/x-b", 0), ""},
		{at("version"), `{"encoding": "protojson", "ext_authz": "v3"}`},
		{at("version/ext_authz"), `"v3"`},
		{at("version", 0), ""},
		{at("source_principal"), ""},
		{refTo(0), ""},
	} {
		got, found, err := newRest(req, nil).Lookup(c.path)
		if err != nil || found != (c.want != "") || found && got.String() != c.want {
			t.Errorf("%v: got %v, %t, %v, want %s", c.path, got, found, err, c.want)
		}
	}
}

// TestLookupsOfBodies: where a body, and each part beside it, cannot be read, nothing is
// found there; what is not asked for does not matter.
func TestLookupsOfBodies(t *testing.T) {
	services, err := parsed.ReadServices(descriptors(t))
	if err != nil {
		t.Fatal(err)
	}
	const none, unread = "none", "unread"
	raw := func(name, value string) *corev3.HeaderMap {
		return &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: name, RawValue: []byte(value)}}}
	}
	for name, c := range map[string]struct {
		path, kind, body  string
		raw               *corev3.HeaderMap
		how               *Documents
		parsed, truncated string // what is found, or none, or unread
		whole             bool   // can be read
	}{
		"JSON":                       {"/", "application/json", `{"a":1}`, nil, nil, `{"a": 1}`, "false", true},
		"broken JSON":                {"/", "application/json", `{"a":1`, nil, nil, unread, unread, false},
		"skipped":                    {"/", "application/json", `{"a":1`, nil, &Documents{SkipBody: true}, none, none, true},
		"not skipped":                {"/", "application/json", `{"a":1}`, nil, &Documents{}, `{"a": 1}`, "false", true},
		"raw headers":                {"/", "", `{"a":1}`, raw("Content-Type", "application/json"), nil, `{"a": 1}`, "false", true},
		"both forms of headers":      {"/", "application/json", `{"a":1}`, raw("Content-Type", "text/plain"), nil, `{"a": 1}`, "false", true},
		"no headers":                 {"/", "", `{"a":1}`, nil, nil, "null", "false", true},
		"a bad path":                 {"/%zz", "application/json", `{"a":1}`, nil, nil, `{"a": 1}`, "false", false},
		"a bad path, and services":   {"/%zz", "application/json", `{"a":1}`, nil, &Documents{Services: services}, unread, unread, false},
		"services":                   {"/a/b", "application/json", `{"a":1}`, nil, &Documents{Services: services}, `{"a": 1}`, "false", true},
		"a number beyond all bounds": {"/", "application/json", `1e99999999999999999999`, nil, nil, unread, unread, false},
		"another raw header":         {"/", "application/json", `{"a":1}`, raw("x", "y"), nil, `{"a": 1}`, "false", true},
	} {
		req := checkRequest(c.path, map[string]string{})
		http := req.Attributes.Request.Http
		if c.kind != "" {
			http.Headers["content-type"] = c.kind
		}
		http.HeaderMap, http.Body = c.raw, c.body
		r := newRest(req, c.how)
		for member, want := range map[string]string{"parsed_body": c.parsed, "truncated_body": c.truncated} {
			got, found, err := r.Lookup(refTo(member))
			shown := none
			switch {
			case err != nil:
				shown = unread
			case found:
				shown = got.String()
			}
			if shown != want || err != nil && found {
				t.Errorf("%s: %s: got %s, %t, %v, want %s", name, member, shown, found, err, want)
			}
		}
		if doc, found, err := r.Lookup(nil); (err == nil) != c.whole || found != c.whole || doc == nil {
			t.Errorf("%s: the whole: got %t, %v, want it to be read: %t", name, found, err, c.whole)
		}
	}
}

// TestHowManyValuesABodyMayHave: of a body of more nothing is read. Policies written for
// opa-envoy-plugin, which counts none, may read more than others.
func TestHowManyValuesABodyMayHave(t *testing.T) {
	list := func(values int) string { return "[" + strings.Repeat("1,", values-1) + "1]" }
	for _, c := range []struct {
		profile string
		how     *Documents
		most    int
	}{
		{"rolegate", nil, 10_000},
		{"rolegate", &Documents{}, 10_000},
		{"opa-envoy", &Documents{Raw: true}, 100_000},
	} {
		for values, want := range map[int]error{c.most: nil, c.most + 1: parsed.ErrTooMuch} {
			req := checkRequest("/", map[string]string{"content-type": "application/json"})
			req.Attributes.Request.Http.Body = list(values)
			r := newRest(req, c.how)
			if got, found, err := r.Lookup(refTo("parsed_body", values-1)); !errors.Is(err, want) || found != (want == nil) {
				t.Errorf("%s: the last of %d values: got %v, %t, %v, want %v", c.profile, values, got, found, err, want)
			}
			if _, found, err := r.Lookup(nil); !errors.Is(err, want) || found != (want == nil) {
				t.Errorf("%s: a request with %d values: got %t, %v, want %v", c.profile, values, found, err, want)
			}
		}
	}
}
