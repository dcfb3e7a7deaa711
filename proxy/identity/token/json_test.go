package token_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rolegate/rolegate/proxy/identity/token"
)

func TestObject(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	deepObjects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, tt := range []struct {
		doc  string
		want error
	}{
		{`{}`, nil},
		{" \t\r\n{ } ", nil},
		{"{ \t\"a\" \n:\r [ 1 ,\n{ } , \"x\" ] ,\t\"b\" : { } }", nil},
		{`{"a":1e100,"b":1E-999}`, nil},
		{`{"a":1,"b":[true,false,null,"x",{"a":{}}]}`, nil},
		{`{"a":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"}`, nil},
		{`{"a":-0,"b":1.50,"c":1e10,"d":-12.5E-3,"e":123456789012345678901234567890}`, nil},
		{`{"a":1e+5,"b":1E-5,"c":` + strings.Repeat("9", 64) + `}`, nil},
		{"{\"é\":\"é 😀 \ufffd\"}", nil},
		{deepObjects(token.MaxDepth), nil},
		{deepObjects(token.MaxDepth + 1), token.ErrTooDeep},
		{deep(token.MaxDepth - 1), nil},
		{deep(token.MaxDepth), token.ErrTooDeep},
		{deep(4000), token.ErrTooDeep},
		{`{"a":1,"a":1}`, token.ErrDuplicate},
		{`{"a":1,"\u0061":1}`, token.ErrDuplicate},
		{`{"x":{"a":1,"b":2,"a":3}}`, token.ErrDuplicate},
		{``, token.ErrMalformed},
		{`[]`, token.ErrMalformed},
		{`"a"`, token.ErrMalformed},
		{`null`, token.ErrMalformed},
		{`{} {}`, token.ErrMalformed},
		{`{}x`, token.ErrMalformed},
		{"{}\x00", token.ErrMalformed},
		{"\ufeff{}", token.ErrMalformed},
		{`{"a":1,}`, token.ErrMalformed},
		{`{,"a":1}`, token.ErrMalformed},
		{`{"a":[1,]}`, token.ErrMalformed},
		{`{"a" 1}`, token.ErrMalformed},
		{`{a:1}`, token.ErrMalformed},
		{`{'a':1}`, token.ErrMalformed},
		{`{"a":1}/**/`, token.ErrMalformed},
		{`{"a":01}`, token.ErrMalformed},
		{`{"a":+1}`, token.ErrMalformed},
		{`{"a":.5}`, token.ErrMalformed},
		{`{"a":1.}`, token.ErrMalformed},
		{`{"a":1e}`, token.ErrMalformed},
		{`{"a":1e+}`, token.ErrMalformed},
		{`{"a":-}`, token.ErrMalformed},
		{`{"a":0x10}`, token.ErrMalformed},
		{`{"a":NaN}`, token.ErrMalformed},
		{`{"a":1e1000}`, token.ErrMalformed},
		{`{"a":` + strings.Repeat("9", 65) + `}`, token.ErrMalformed},
		{`{"a":True}`, token.ErrMalformed},
		{`{"a":tru}`, token.ErrMalformed},
		{`{"a":nullx}`, token.ErrMalformed},
		{`{"a":"\x"}`, token.ErrMalformed},
		{`{"a":"\u12"}`, token.ErrMalformed},
		{`{"a":"\u+123"}`, token.ErrMalformed},
		{`{"a":"\u1_23"}`, token.ErrMalformed},
		{`{"a":"\ud800"}`, token.ErrMalformed},
		{`{"a":"\udc00\ud800"}`, token.ErrMalformed},
		{`{"a":"\ud800x"}`, token.ErrMalformed},
		{`{"a":"\ud800\u0041"}`, token.ErrMalformed},
		{"{\"a\":\"\xff\"}", token.ErrMalformed},
		{"{\"a\":\"\xc0\xaf\"}", token.ErrMalformed},
		{"{\"a\":\"\n\"}", token.ErrMalformed},
		{"{\"a\":\"\x00\"}", token.ErrMalformed},
		{`{"a":"`, token.ErrMalformed},
		{`{"a":"\`, token.ErrMalformed},
		{`{"a":"\u`, token.ErrMalformed},
		{`{"a":`, token.ErrMalformed},
		{`{`, token.ErrMalformed},
		{`{"a":t`, token.ErrMalformed},
		{`{"a":"\ud800\u`, token.ErrMalformed},
		{"{\"a\":\"\x80\"}", token.ErrMalformed},

		// A part that is broken off, where what follows fits what stands around it.
		{`{"x":{,"y":1}`, token.ErrMalformed},
		{`{xa":1}`, token.ErrMalformed},
		{`{"\x:1}`, token.ErrMalformed},
		{`{"y":{"\x}`, token.ErrMalformed},
		{`{"y":{"a"}`, token.ErrMalformed},
		{`{"y":[{"a":1]}`, token.ErrMalformed},
		{`{"y":[1}`, token.ErrMalformed},
		{`{"y":[1 2]}`, token.ErrMalformed},
		{"{\"a\":\"x\n}", token.ErrMalformed},
		{`{"a":"\x}`, token.ErrMalformed},
		{`{"a":"\u"}`, token.ErrMalformed},
		{`{"a":"\ud800dc00"}`, token.ErrMalformed},
	} {
		// The document is the last thing in its memory: whoever reads beyond it panics.
		got, err := token.Object(slices.Clip([]byte(tt.doc)))
		if !errors.Is(err, tt.want) {
			t.Errorf("Object(%.80q)\n got error %v\nwant error %v", tt.doc, err, tt.want)
		}
		if err == nil {
			compareWithStandard(t, []byte(tt.doc), got)
		}
	}
}

// compareWithStandard checks that what we accept means to encoding/json what it
// means to us.
func compareWithStandard(t *testing.T, doc []byte, got map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	var want map[string]any
	if err := decoder.Decode(&want); err != nil {
		t.Fatalf("Object(%q) is accepted, encoding/json: %v", doc, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("Object(%q) is accepted, encoding/json sees more: %v", doc, err)
	}
	if !reflect.DeepEqual(got, want) { // go-cmp takes time exponential in the depth of lists
		t.Fatalf("Object(%q)\n got %#v\nwant %#v, as encoding/json reads it", doc, got, want)
	}
}

func FuzzObject(f *testing.F) {
	for _, doc := range []string{
		`{"iss":"a","exp":1.5e3,"aud":["x",null,true]}`, `{"a":{"a":{"a":[]}}}`, `{"a":1,"\u0061":2}`,
		`{"a":"\ud83d\ude00"}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":-0.0e-0}`, `{} `,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := token.Object(doc)
		if err == nil {
			compareWithStandard(t, doc, got)
			return
		}
		if _, ok := errors.AsType[token.Error](err); !ok {
			t.Fatalf("Object(%q): error %v is not of our words", doc, err)
		}
	})
}
