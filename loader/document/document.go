// Package document reads the JSON and YAML of a bundle strictly, and says where in
// the text a value stands. What two readers could understand differently is
// refused: keys given twice, text behind the document, bytes that are no UTF-8.
//
// Decoded values are those of encoding/json with UseNumber: nil, bool,
// [encoding/json.Number], string, []any and map[string]any.
package document

import (
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep objects and lists may nest.
const MaxDepth = 64

// Codes of an [Error].
const (
	CodeJSON      = "bad_json"
	CodeYAML      = "bad_yaml"
	CodeDuplicate = "duplicate_key"
	CodeDepth     = "too_deep"
)

// Error is the first fault of a document.
type Error struct {
	Code    string // one of the Code constants
	Line    int    // from 1
	Column  int    // in characters, from 1
	Message string
	Hint    string // what would be right; "" when nothing is known
}

// Error is "line:column: message".
func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

// Position is a token of the text. The zero value is none.
type Position struct {
	Line   int // from 1
	Column int // in characters, from 1
	Width  int // of the token in characters, at least 1
}

// Place is where a value stands.
type Place struct {
	Found int      // how many elements of the path exist: the place is that of the last of them
	Key   Position // of the object's key; the value's own position in a list and at the top
	Value Position
}

// positionOf counts the line and the column of a byte offset.
func positionOf(text []byte, offset int) (line, column int) {
	line, start := 1, 0
	for i, c := range text[:offset] {
		if c == '\n' {
			line++
			start = i + 1
		}
	}
	return line, 1 + utf8.RuneCount(text[start:offset])
}

// want is a set of paths as a tree, so that one pass over a text finds all of them.
type want struct {
	paths    []int // indices of the paths that end here
	children map[string]*want
}

func wanted(paths [][]string) *want {
	root := &want{}
	for i, path := range paths {
		node := root
		for _, name := range path {
			child, ok := node.children[name]
			if !ok {
				child = &want{}
				if node.children == nil {
					node.children = map[string]*want{}
				}
				node.children[name] = child
			}
			node = child
		}
		node.paths = append(node.paths, i)
	}
	return root
}

// each calls f for every path that passes through w or ends there.
func (w *want) each(f func(path int)) {
	for _, i := range w.paths {
		f(i)
	}
	for _, child := range w.children {
		child.each(f)
	}
}
