package parsed

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// shop is a service with a method.
func shop(tb testing.TB) *Services {
	tb.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	if err := protojson.Unmarshal([]byte(`{"file": [{"name": "shop.proto", "package": "shop", "syntax": "proto3",
		"messageType": [{"name": "Order", "field": [
			{"name": "id", "number": 1, "label": "LABEL_OPTIONAL", "type": "TYPE_STRING", "jsonName": "id"},
			{"name": "parts", "number": 2, "label": "LABEL_REPEATED", "type": "TYPE_MESSAGE", "typeName": ".shop.Order", "jsonName": "parts"}]}],
		"service": [{"name": "Orders", "method": [{"name": "Place", "inputType": ".shop.Order", "outputType": ".shop.Order"}]}]}]}`), set); err != nil {
		tb.Fatal(err)
	}
	raw, err := proto.Marshal(set)
	if err != nil {
		tb.Fatal(err)
	}
	services, err := ReadServices(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return services
}

// TestBombs: what is small on the wire and large in memory is not read.
func TestBombs(t *testing.T) {
	const maxValues = defaultValues
	many := strings.Repeat("1,", maxValues+1)
	part := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: application/json\r\n\r\n"
	for name, c := range map[string]struct{ kind, body string }{
		"deep":                {"application/json", strings.Repeat(`{"a":`, 4096) + "1" + strings.Repeat("}", 4096)},
		"many":                {"application/json", "[" + many + "1]"},
		"many objects":        {"application/json", "[" + strings.Repeat("{},", maxValues) + "{}]"},
		"many of a form":      {"application/x-www-form-urlencoded", strings.Repeat("&", maxValues+1)},
		"many parts":          {"multipart/form-data; boundary=b", strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n", maxValues+1)},
		"many in all parts":   {"multipart/form-data; boundary=b", part + "[" + many[:maxValues] + "1]\r\n" + part + "[" + many[:maxValues+2] + "1]\r\n--b--"},
		"deep in a later one": {"multipart/form-data; boundary=b", part + "1\r\n" + part + strings.Repeat("[", maxDepth+1) + "\r\n--b--"},
	} {
		v, _, err := Request{Headers: map[string]string{"content-type": c.kind}, Body: c.body}.Read()
		if !errors.Is(err, ErrTooMuch) || v != nil {
			t.Errorf("%s: got %.40v, %v, want %v", name, v, err, ErrTooMuch)
		}
	}
	deep := []byte{}
	for range maxDepth + 1 { // a part in a part
		deep = append([]byte{0x12, byte(len(deep))}, deep...)
		if len(deep) > 120 {
			break
		}
	}
	frame := append([]byte{0, 0, 0, 0, byte(len(deep))}, deep...)
	r := Request{Headers: map[string]string{"content-type": "application/grpc"}, RawBody: frame, Path: []string{"shop.Orders", "Place"}, Services: shop(t)}
	if v, _, err := r.Read(); err == nil {
		t.Errorf("deep grpc: got %v", v)
	}
}

func TestServicesThatCannotBeRead(t *testing.T) {
	for name, set := range map[string]string{"nothing": "", "no set": "\xff", "an import that is not there": "\x0a\x0b\x0a\x01a\x1a\x06b.prot"} {
		if s, err := ReadServices([]byte(set)); err == nil {
			t.Errorf("%s: got %v", name, s)
		}
	}
}

// TestTheLastValueThatIsRead: a body of as many values as there may be is read, of each
// type; one more, and nothing of it is.
func TestTheLastValueThatIsRead(t *testing.T) {
	const kindJSON, kindForm, kindParts, kindGRPC = "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/grpc"
	part := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n"
	for name, c := range map[string]struct {
		kind string
		body func(values int) string
	}{
		"a list":      {kindJSON, func(n int) string { return "[" + strings.Repeat("1,", n-1) + "1]" }},
		"lists":       {kindJSON, func(n int) string { return "[[]" + strings.Repeat(",1", n-2) + "]" }},
		"an object":   {kindJSON, func(n int) string { return "{" + strings.Repeat(`"a":1,`, n-1) + `"a":1}` }},
		"a form":      {kindForm, func(n int) string { return strings.Repeat("a=1&", n-1) + "a=1" }},
		"parts":       {kindParts, func(n int) string { return strings.Repeat(part, n) + "--b--\r\n" }},
		"an order of": {kindGRPC, func(n int) string { return strings.Repeat("\x12\x00", n) }},
	} {
		for asked, want := range map[int]int{0: defaultValues, 7: 7, 20_000: 20_000} {
			if c.kind == kindForm && want > defaultValues {
				continue // net/url reads no form of more
			}
			for _, more := range []int{0, 1} {
				n := want + more
				if c.kind == kindGRPC {
					n = (want-1)/2 + more // each is an object and an element, beside the object and the list that they stand in
				}
				r := Request{
					Headers: map[string]string{"content-type": c.kind}, Path: []string{"shop.Orders", "Place"}, Services: shop(t), Values: asked,
				}
				text := c.body(n)
				if c.kind == kindGRPC {
					text = string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text)))) + text
				}
				r.RawBody = []byte(text)
				if v, _, err := r.Read(); (v != nil) != (more == 0) || errors.Is(err, ErrTooMuch) != (more == 1) {
					t.Errorf("%s, of at most %d values: got %.40v, %v, with %d", name, want, v, err, n)
				}
			}
		}
	}
}
