package extauthz

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"slices"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rolegate/rolegate/policy/footprint"
)

// spoiled are messages that differ from one in a single place, at any depth: a field more,
// once more or less, one of another type, bytes that are none.
func spoiled(m protoreflect.MessageDescriptor, raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { spoil(m, raw, yield) }
}

func spoil(m protoreflect.MessageDescriptor, raw []byte, yield func([]byte) bool) bool {
	highest := protowire.Number(1)
	for i := range m.Fields().Len() {
		highest = max(highest, m.Fields().Get(i).Number())
	}
	for _, more := range additions(highest) {
		if !yield(slices.Concat(raw, more)) {
			return false
		}
	}
	for at := 0; at < len(raw); {
		number, kind, head := protowire.ConsumeTag(raw[at:])
		body := protowire.ConsumeFieldValue(number, kind, raw[at+head:])
		if head < 0 || body < 0 {
			return true // it is spoiled already
		}
		before, field, after := raw[:at], raw[at:at+head+body], raw[at+head+body:]
		at += head + body
		if !yield(slices.Concat(before, after)) || !yield(slices.Concat(before, field, field, after)) ||
			!yield(slices.Concat(before, field[:len(field)-1])) {
			return false
		}
		f := m.Fields().ByNumber(number)
		if f == nil || f.Message() == nil || kind != protowire.BytesType {
			continue
		}
		inner, _ := protowire.ConsumeBytes(field[head:])
		whole := spoil(f.Message(), inner, func(inner []byte) bool {
			return yield(slices.Concat(before, field[:head], protowire.AppendBytes(nil, inner), after))
		})
		if !whole {
			return false
		}
	}
	return true
}

// additions are fields, and what looks like some, of numbers up to one beyond the highest.
func additions(highest protowire.Number) [][]byte {
	list := [][]byte{
		{0xff},
		{0},
		{0, 0},
		{4<<3 | 3, 4<<3 | 4},
		{4<<3 | 4},
		{2<<3 | 7},
		protowire.AppendVarint(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.VarintType), 1),
		protowire.AppendVarint(protowire.AppendVarint(nil, uint64(protowire.MaxValidNumber+1)<<3), 1),
		protowire.AppendVarint(protowire.AppendVarint(nil, math.MaxUint64-7), 1),
	}
	for n := range highest + 2 {
		tag := func(kind protowire.Type, value ...byte) {
			list = append(list, append(protowire.AppendTag(nil, n+1, kind), value...))
		}
		tag(protowire.VarintType, 7)
		tag(protowire.VarintType, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)
		tag(protowire.VarintType, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02)
		tag(protowire.VarintType, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)
		tag(protowire.VarintType, 0x80)
		tag(protowire.BytesType, 0)
		tag(protowire.BytesType, 1, 0xff)
		tag(protowire.BytesType, 1, 'x')
		tag(protowire.BytesType, 2, 'x')
		tag(protowire.BytesType, 0x80)
		tag(protowire.BytesType, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02)
		tag(protowire.BytesType, 0x80, 0)
		tag(protowire.BytesType, 0x81, 0, 'x')
		tag(protowire.Fixed32Type, 1, 2, 3, 4)
		tag(protowire.Fixed32Type, 1, 2, 3)
		tag(protowire.Fixed64Type, 1, 2, 3, 4, 5, 6, 7, 8)
		tag(protowire.Fixed64Type, 1, 2, 3, 4, 5, 6, 7)
		tag(protowire.Fixed32Type, 3<<3|2, 0)                 // too short, and a field by itself
		tag(protowire.Fixed64Type, 3<<3|2, 0)                 // likewise
		tag(protowire.Fixed32Type, 18&15<<3|2|0x80, 18>>4, 0) // likewise, of higher numbers
		tag(protowire.Fixed64Type, 18&15<<3|2|0x80, 18>>4, 0)
	}
	return list
}

// plainlyWritten says whether a message is as an encoder writes one of fields that we
// know: nothing in it counts for nothing.
func plainlyWritten(m proto.Message, raw []byte) bool {
	return proto.Unmarshal(raw, m) == nil && len(unknown(m.ProtoReflect())) == 0 && proto.Size(m) == len(raw)
}

// unknown are the bytes of a message that no field is for.
func unknown(m protoreflect.Message) []byte {
	all := slices.Clone(m.GetUnknown())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				all = append(all, unknown(v.Message())...)
				return true
			})
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				all = append(all, unknown(v.List().Get(i).Message())...)
			}
		case f.Message() != nil && !f.IsMap():
			all = append(all, unknown(v.Message())...)
		}
		return true
	})
	return all
}

// TestSpoiledMessagesAreReadAsTheyAreDecoded: wherever a message is spoiled, it is read as
// it is decoded or not at all; and whatever an encoder could have written is read.
func TestSpoiledMessagesAreReadAsTheyAreDecoded(t *testing.T) {
	s := wireServers(t)[0]
	all := messages(t)
	for _, name := range []string{"usual", "raw headers", "everything.txtar", "nothing"} {
		t.Run(name, func(t *testing.T) {
			tried, read := 0, 0
			for raw := range spoiled((&authv3.CheckRequest{}).ProtoReflect().Descriptor(), all[name]) {
				tried++
				if sameFields(t, s, raw) {
					read++
					sameWriting(t, s, raw)
				} else if plainlyWritten(&authv3.CheckRequest{}, raw) {
					t.Fatalf("%x could be read as it came", raw)
				}
			}
			t.Logf("%d of %d were read as they came", read, tried)
			if read == 0 || read == tried {
				t.Errorf("%d of %d were read as they came: nothing was tried", read, tried)
			}
		})
	}
}

// everyKind is a message with a field of every kind, once alone and once as a list.
func everyKind(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	m := &descriptorpb.DescriptorProto{Name: new("M")}
	for kind := range descriptorpb.FieldDescriptorProto_Type_name {
		if kind == int32(descriptorpb.FieldDescriptorProto_TYPE_GROUP) || kind == int32(descriptorpb.FieldDescriptorProto_TYPE_ENUM) {
			continue
		}
		for i, label := range []descriptorpb.FieldDescriptorProto_Label{descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED} {
			f := &descriptorpb.FieldDescriptorProto{
				Name: new(fmt.Sprintf("f%d_%d", kind, i)), Number: new(2*kind + int32(i)), Label: &label, Type: new(descriptorpb.FieldDescriptorProto_Type(kind)),
			}
			if kind == int32(descriptorpb.FieldDescriptorProto_TYPE_MESSAGE) {
				f.TypeName = new(".M")
			}
			m.Field = append(m.Field, f)
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{Name: new("m.proto"), Syntax: new("proto3"), MessageType: []*descriptorpb.DescriptorProto{m}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0)
}

// TestShapesOfEveryKind: what has the shape of a message can be decoded as one, and what
// an encoder writes has it, but for lists of numbers, which are written in two ways.
func TestShapesOfEveryKind(t *testing.T) {
	d := everyKind(t)
	s := shapes{}.of(d)
	whole := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		if f := d.Fields().Get(i); !f.IsList() {
			switch f.Kind() { //nolint:exhaustive // of numbers the bytes do
			case protoreflect.StringKind:
				whole.Set(f, protoreflect.ValueOfString("é"))
			case protoreflect.BytesKind:
				whole.Set(f, protoreflect.ValueOfBytes([]byte{0xff}))
			case protoreflect.MessageKind:
				whole.Set(f, protoreflect.ValueOfMessage(dynamicpb.NewMessage(d)))
			}
		}
	}
	raw, err := proto.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for raw := range spoiled(d, raw) {
		m := dynamicpb.NewMessage(d)
		switch plainly := plainlyWritten(m, raw) && !hasNumbers(m); {
		case s.holds(string(raw), 0):
			held++
			if err := proto.Unmarshal(raw, dynamicpb.NewMessage(d)); err != nil || len(unknown(m)) > 0 {
				t.Errorf("%x has the shape and cannot be decoded: %v", raw, err)
			}
		case plainly:
			t.Errorf("%x has not the shape of what it is", raw)
		}
	}
	if held < d.Fields().Len() {
		t.Errorf("%d have the shape: nothing was tried", held)
	}
	for depth, want := range map[int]bool{1: true, maxNesting: true, maxNesting + 1: false, 3 * maxNesting: false} {
		var nested []byte
		for range depth {
			nested = protowire.AppendBytes(protowire.AppendTag(nil, 2*protowire.Number(descriptorpb.FieldDescriptorProto_TYPE_MESSAGE), protowire.BytesType), nested)
		}
		if got := s.holds(string(nested), 0); got != want {
			t.Errorf("%d messages in each other: got %t, want %t", depth, got, want)
		}
	}
}

// hasNumbers says whether a message, or one in it, has a list of numbers.
func hasNumbers(m protoreflect.Message) (has bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
			has = has || f.IsList() && f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.BytesKind
		case f.IsList():
			for i := range v.List().Len() {
				has = has || hasNumbers(v.List().Get(i).Message())
			}
		default:
			has = has || hasNumbers(v.Message())
		}
		return true
	})
	return has
}

// TestWhatIsWrittenFromTheWire: for which paths the message need not be decoded.
func TestWhatIsWrittenFromTheWire(t *testing.T) {
	s := wireServers(t)[0]
	all := messages(t)
	const http = "attributes.request.http."
	header := func(name string) string { return http + `headers["` + name + `"]` }
	for _, c := range []struct {
		message string
		written []string
		decoded []string
	}{
		{
			"usual",
			[]string{
				"source_principal", "attributes.source.principal", http + "method", http + "path", http + "host",
				header("authorization"), header("X_Rolegate_Roles"), header("é"), header(""), header("missing"),
			},
			[]string{
				"version", "parsed_path", "attributes", "attributes.source", "attributes.source.service", "attributes.destination.principal",
				"attributes.source.http.method", "attributes.request.time.method", "attributes.request.http", http + "scheme", http + "headers",
				"source_principal.x", "attributes.source.principal.x", http + `method["authorization"]`, header("authorization") + ".x",
				"nothing.source.principal", "nothing.request.http.method", http + "headers[1]", http + "nothing", "attributes.request.principal",
			},
		},
		{
			"raw headers", // the map counts, and the raw ones do not
			[]string{header("authorization"), header("x-uſer"), header("missing")},
			[]string{http + "headers"},
		},
		{
			"raw headers alone",
			[]string{header("x-once"), header("x-uſer"), header("missing"), header("X-Once")},
			[]string{header("x-twice"), header("x-bytes")},
		},
		{"nothing in it", []string{"source_principal", "attributes.source.principal", http + "method", header("missing")}, nil},
	} {
		raw := all[c.message]
		switch c.message {
		case "raw headers alone":
			field := func(number protowire.Number, value ...byte) []byte {
				return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
			}
			one := func(name, value string) []byte {
				return field(1, slices.Concat(field(1, []byte(name)...), field(3, []byte(value)...))...)
			}
			list := slices.Concat(one("X-Twice", "1"), one("X-Once", "v"), one("x-twice", "2"), one("x-uſer", "u"), one("x-bytes", "\xff"))
			raw = field(1, field(4, field(2, field(13, list...)...)...)...)
		case "nothing in it":
			raw = []byte{1<<3 | 2, 0}
		}
		w := s.wire()
		if w.message = string(raw); !w.read() {
			t.Fatalf("%s is not read as it came", c.message)
		}
		req := &authv3.CheckRequest{}
		if err := proto.Unmarshal(raw, req); err != nil {
			t.Fatal(err)
		}
		for _, path := range c.written {
			ref := ast.MustParseRef("input." + path)[1:]
			v, found, err := newRest(req, nil).Lookup(ref)
			if err != nil {
				t.Fatal(err)
			}
			want := footprint.AppendAbsent([]byte("before"))
			if found {
				want = footprint.AppendValue([]byte("before"), v)
			}
			if got, ok := w.AppendTo([]byte("before"), ref); !ok || !bytes.Equal(got, want) {
				t.Errorf("%s: %s: got %q, %t, want %q", c.message, path, got, ok, want)
			}
		}
		if got, ok := w.AppendTo([]byte("before"), ast.Ref{ast.InternedTerm(1)}); ok || string(got) != "before" {
			t.Errorf("%s: a path that begins with a number: got %q, %t, want it to be decoded", c.message, got, ok)
		}
		for _, path := range c.decoded {
			ref := ast.MustParseRef("input." + path)
			if got, ok := w.AppendTo([]byte("before"), ref[1:]); ok || string(got) != "before" {
				t.Errorf("%s: %s: got %q, %t, want it to be decoded", c.message, path, got, ok)
			}
		}
	}
}
