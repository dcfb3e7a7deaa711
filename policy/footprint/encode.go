package footprint

import (
	"encoding/binary"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Tags of the encoding. A value begins with its tag, then what its kind needs to be
// read back, so that no two different values share their bytes.
const (
	tagAbsent byte = iota
	tagDefined
	tagType
	tagNull
	tagFalse
	tagTrue
	tagNumber
	tagString
	tagArray
	tagObject
	tagSet
)

// AppendString appends an injective encoding of s.
func AppendString(b []byte, s string) []byte { return appendText(b, tagString, s) }

// AppendAbsent appends the encoding of the absent value.
func AppendAbsent(b []byte) []byte { return append(b, tagAbsent) }

// AppendTrue appends the encoding of true.
func AppendTrue(b []byte) []byte { return append(b, tagTrue) }

// AppendStrings appends the encoding of an array of strings.
func AppendStrings(b []byte, list []string) []byte {
	b = appendCount(b, tagArray, len(list))
	for _, s := range list {
		b = AppendString(b, s)
	}
	return b
}

func appendText(b []byte, tag byte, s string) []byte {
	b = append(b, tag)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendCount(b []byte, tag byte, n int) []byte {
	b = append(b, tag)
	return binary.AppendUvarint(b, uint64(n))
}

// AppendValue appends an injective encoding of v: a tag, then a length or a count,
// then the parts. Members stand in the order of their keys, so that one object has
// one encoding. Numbers keep their text. nil is the absent value.
func AppendValue(b []byte, v ast.Value) []byte {
	switch v := v.(type) {
	case ast.Null:
		return append(b, tagNull)
	case ast.Boolean:
		if v {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case ast.Number:
		return appendText(b, tagNumber, string(v))
	case ast.String:
		return appendText(b, tagString, string(v))
	case *ast.Array:
		b = appendCount(b, tagArray, v.Len())
		for i := range v.Len() {
			b = AppendValue(b, v.Elem(i).Value)
		}
		return b
	case ast.Object:
		b = appendCount(b, tagObject, v.Len())
		keys := v.KeysIterator() // sorted
		for k, ok := keys.Next(); ok; k, ok = keys.Next() {
			b = AppendValue(b, k.Value)
			b = AppendValue(b, v.Get(k).Value)
		}
		return b
	case ast.Set:
		b = appendCount(b, tagSet, v.Len())
		for _, t := range v.Slice() { // sorted
			b = AppendValue(b, t.Value)
		}
		return b
	default:
		return append(b, tagAbsent)
	}
}
