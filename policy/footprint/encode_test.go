package footprint

import (
	"bytes"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"
)

// values are drawn from few names, so that near misses are frequent.
func values() *rapid.Generator[ast.Value] {
	text := rapid.SampledFrom([]string{"", "a", "b", "ab", "a\x00b", "\x05\x01a", "a.b", "1"})
	return rapid.Deferred(func() *rapid.Generator[ast.Value] {
		return rapid.Custom(func(t *rapid.T) ast.Value {
			switch rapid.IntRange(0, 7).Draw(t, "kind") {
			case 0:
				return ast.Null{}
			case 1:
				return ast.Boolean(rapid.Bool().Draw(t, "bool"))
			case 2:
				return ast.Number(rapid.SampledFrom([]string{"0", "1", "10", "1e1"}).Draw(t, "number"))
			case 3, 4:
				return ast.String(text.Draw(t, "text"))
			case 5:
				var terms []*ast.Term
				for range rapid.IntRange(0, 2).Draw(t, "length") {
					terms = append(terms, ast.NewTerm(values().Draw(t, "element")))
				}
				return ast.NewArray(terms...)
			case 6:
				s := ast.NewSet()
				for range rapid.IntRange(0, 2).Draw(t, "size") {
					s.Add(ast.NewTerm(values().Draw(t, "member")))
				}
				return s
			default:
				o := ast.NewObject()
				for range rapid.IntRange(0, 2).Draw(t, "size") {
					o.Insert(ast.StringTerm(text.Draw(t, "key")), ast.NewTerm(values().Draw(t, "value")))
				}
				return o
			}
		})
	})
}

func TestValuesThatDifferHaveDifferentBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a1, a2 := values().Draw(t, "first, 1"), values().Draw(t, "first, 2")
		b1, b2 := values().Draw(t, "second, 1"), values().Draw(t, "second, 2")
		k1, k2 := AppendValue(AppendValue(nil, a1), b1), AppendValue(AppendValue(nil, a2), b2)
		same := a1.Compare(a2) == 0 && b1.Compare(b2) == 0
		if bytes.Equal(k1, k2) && !same {
			t.Fatalf("the same bytes %x for %v %v and for %v %v", k1, a1, b1, a2, b2)
		}
		if again := AppendValue(AppendValue(nil, a1), b1); !bytes.Equal(again, k1) {
			t.Fatalf("two encodings of %v %v: %x and %x", a1, b1, k1, again)
		}
	})
}

func TestAnAbsentValueIsNotAnEmptyOne(t *testing.T) {
	keys := map[string]string{}
	for name, v := range map[string]ast.Value{"absent": nil, "null": ast.Null{}, "empty": ast.NewObject(), "text": ast.String("")} {
		k := string(AppendValue(nil, v))
		if other, ok := keys[k]; ok {
			t.Errorf("%s and %s have the same bytes", name, other)
		}
		keys[k] = name
	}
}
