package filter_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/loader/importer/filter"
)

// What is printed is read as the same filter, and its conditions are the same.
func TestParsePrints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		want := drawFilter(rt, 5)
		text := want.String()
		got, err := filter.Parse(text)
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%s (-want +got):\n%s", text, diff)
		}
	})
}

func drawFilter(t *rapid.T, deep int) filter.Filter {
	ops := []filter.Op{
		filter.Present, filter.Equal, filter.Contains, filter.StartsWith, filter.Less, filter.LessEqual,
		filter.Greater, filter.GreaterEqual, filter.True, filter.False,
	}
	if deep > 0 {
		ops = append(ops, filter.And, filter.Or, filter.Not, filter.And, filter.Or)
	}
	f := filter.Filter{Op: rapid.SampledFrom(ops).Draw(t, "op")}
	switch f.Op {
	case filter.And, filter.Or:
		for range rapid.IntRange(2, 3).Draw(t, "parts") {
			f.Of = append(f.Of, drawFilter(t, deep-1))
		}
	case filter.Not:
		f.Of = []filter.Filter{drawFilter(t, deep-1)}
	case filter.True, filter.False:
	case filter.Present:
		f.Pointer = drawPointer(t)
	default:
		f.Pointer, f.Value = drawPointer(t), drawValue(t)
	}
	return f
}

func drawPointer(t *rapid.T) string {
	name := rapid.OneOf(
		rapid.SampledFrom([]string{"a", "true", "and", "pr", "!", "0", "~0", "a~1b", "Köln", "x,y", "*"}),
		rapid.StringMatching(`[a-zA-Z0-9_.:@!-]{1,8}`),
	)
	return "/" + strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "names"), "/")
}

func drawValue(t *rapid.T) any {
	switch rapid.IntRange(0, 2).Draw(t, "type") {
	case 0:
		return rapid.OneOf(rapid.String(), rapid.StringMatching(`["'\\() a\n]{0,6}`)).Draw(t, "text")
	case 1:
		return rapid.Bool().Draw(t, "flag")
	default:
		text, err := json.Marshal(rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Int64(), func(i int64) float64 { return float64(i) })).Draw(t, "number"))
		if err != nil {
			t.Fatal(err)
		}
		return json.Number(text)
	}
}

// Whatever bytes come: no panic, an error that names a place in the text, or a
// filter that prints as itself and whose condition has the library's form.
func FuzzParse(f *testing.F) {
	for _, c := range table[readable](f, "testdata/read.json") {
		f.Add(c.Filter)
	}
	for _, c := range table[unreadable](f, "testdata/wrong.json") {
		f.Add(c.Filter)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := filter.Parse(text)
		if err != nil {
			fault, ok := errors.AsType[*filter.Error](err)
			if !ok || fault.Column < 1 || fault.Column > len([]rune(text))+1 || fault.Message == "" {
				t.Errorf("%q: got error %#v", text, err)
			}
			return
		}
		again, err := filter.Parse(parsed.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, parsed.String(), err)
		}
		if diff := cmp.Diff(parsed, again); diff != "" {
			t.Errorf("%q prints as %q (-read +read again):\n%s", text, parsed.String(), diff)
		}
		condition, err := parsed.Condition()
		if err != nil {
			if !errors.Is(err, filter.ErrTooDeep) && !errors.Is(err, filter.ErrIndex) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if !formed(condition, 1) {
			t.Errorf("%q: got condition %v, which is of no known form", text, condition)
		}
	})
}

// formed holds a condition against N16.
func formed(v any, depth int) bool {
	c, ok := v.(map[string]any)
	if !ok || depth > filter.Deepest {
		return false
	}
	pointer, _ := c["p"].(string)
	switch c["op"] {
	case "true", "false":
		return len(c) == 1
	case "pr":
		return len(c) == 2 && strings.HasPrefix(pointer, "/")
	case "not":
		return len(c) == 2 && formed(c["of"], depth+1)
	case "and", "or":
		of, _ := c["of"].([]any)
		for _, part := range of {
			if !formed(part, depth+1) {
				return false
			}
		}
		return len(c) == 2 && len(of) >= 2
	case "eq", "co", "sw", "lt", "le", "gt", "ge":
		switch c["v"].(type) {
		case string, bool, json.Number:
			return len(c) == 3 && strings.HasPrefix(pointer, "/")
		}
	}
	return false
}
