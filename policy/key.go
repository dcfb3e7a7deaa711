package policy

import (
	"encoding/binary"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Tags of the encoding. A value begins with its tag, then what its kind needs to be
// read back, so that no two different values share their bytes.
const (
	tagAbsent byte = iota
	tagNull
	tagFalse
	tagTrue
	tagNumber
	tagString
	tagArray
	tagObject
	tagSet
)

// appendText appends a length and the bytes of s.
func appendText(b []byte, tag byte, s string) []byte {
	b = append(b, tag)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendValue appends an injective encoding of v: a tag, then a length or a count,
// then the parts. Members stand in the order of their keys, so that one object has
// one encoding. Numbers keep their text. nil is the absent value.
func appendValue(b []byte, v ast.Value) []byte {
	count := func(tag byte, n int) {
		b = append(b, tag)
		b = binary.AppendUvarint(b, uint64(n))
	}
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
		count(tagArray, v.Len())
		v.Foreach(func(t *ast.Term) { b = appendValue(b, t.Value) })
		return b
	case ast.Object:
		count(tagObject, v.Len())
		for _, k := range v.Keys() { // sorted
			b = appendValue(b, k.Value)
			b = appendValue(b, v.Get(k).Value)
		}
		return b
	case ast.Set:
		count(tagSet, v.Len())
		for _, t := range v.Slice() { // sorted
			b = appendValue(b, t.Value)
		}
		return b
	default:
		return append(b, tagAbsent)
	}
}
