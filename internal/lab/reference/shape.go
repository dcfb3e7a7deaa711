package reference

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
)

// numberBits is enough to hold every integer a test writes down exactly.
const numberBits = 512

// object is v as an object; nil, an empty one, when v is anything else.
func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

// field reads down a path of members. A null is an absent member (definitions, "Null"), and so is
// every member of what is no object.
func field(v any, path ...string) (any, bool) {
	for _, name := range path {
		v = object(v)[name]
	}
	return v, v != nil
}

// textField is field, when what it finds is a string.
func textField(v any, path ...string) (string, bool) {
	found, _ := field(v, path...)
	text, ok := found.(string)
	return text, ok
}

// list is v as a list; empty when v is anything else.
func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// listField is the list at a path, empty if there is none.
func listField(v any, path ...string) []any {
	found, _ := field(v, path...)
	return list(found)
}

// texts keeps the strings of a list.
func texts(v any) []string {
	var out []string
	for _, element := range list(v) {
		if text, ok := element.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// textsField is the strings of the list at a path.
func textsField(v any, path ...string) []string {
	found, _ := field(v, path...)
	return texts(found)
}

// keys are the names of an object's members, sorted.
func keys(v any) []string {
	return slices.Sorted(maps.Keys(object(v)))
}

// number reads a JSON number of any size.
func number(v any) (*big.Float, bool) {
	switch n := v.(type) {
	case json.Number:
		return new(big.Float).SetPrec(numberBits).SetString(n.String())
	case float64:
		if n != n { // no JSON number is NaN, and big.Float panics on it
			return nil, false
		}
		return big.NewFloat(n), true
	case int:
		return new(big.Float).SetInt64(int64(n)), true
	case int64:
		return new(big.Float).SetInt64(n), true
	default:
		return nil, false
	}
}

// integer reads a JSON number whose value is whole.
func integer(v any) (*big.Float, bool) {
	n, ok := number(v)
	if !ok || !n.IsInt() {
		return nil, false
	}
	return n, true
}

// instant reads an integer of 64 bits: no other number of milliseconds is a time.
func instant(v any) (*big.Float, bool) {
	n, ok := integer(v)
	if !ok {
		return nil, false
	}
	_, accuracy := n.Int64()
	return n, accuracy == big.Exact
}

// milliseconds renders an instant as JSON does; nil is null.
func milliseconds(n *big.Float) any {
	if n == nil {
		return nil
	}
	return json.Number(n.Text('f', 0))
}

// set is a set of names.
type set map[string]bool

// sorted lists a set as reports do.
func (s set) sorted() []string {
	out := slices.Sorted(maps.Keys(s))
	if out == nil {
		out = []string{}
	}
	return out
}
