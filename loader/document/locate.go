package document

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// LocateJSON answers where the values at the paths stand, in one pass over a text
// that [JSON] accepts. Elements of lists are named by their index in decimal. A
// path that is not there is answered with the place of its longest beginning.
func LocateJSON(text []byte, paths [][]string) []Place {
	s := &scanner{text: text, places: make([]Place, len(paths))}
	root := wanted(paths)
	s.at = skipSpace(text, 0)
	start := s.at
	s.found(root, 0, start, start)
	s.descend(root, 1)
	s.count(root)
	return s.places
}

// scanner walks over a text without decoding it. On a text that is not JSON it
// stops early and never out of bounds.
type scanner struct {
	text   []byte
	at     int
	places []Place // until count, Line and Column hold the token's offset and Width its length
}

// found notes that the paths through w exist up to here.
func (s *scanner) found(w *want, depth, key, value int) {
	w.each(func(path int) {
		s.places[path] = Place{Found: depth, Key: Position{Line: key}, Value: Position{Line: value}}
	})
}

// descend reads the value at s.at and notes what w asks for below it.
func (s *scanner) descend(w *want, depth int) {
	if len(w.children) == 0 || s.at >= len(s.text) {
		s.skip()
		return
	}
	switch s.text[s.at] {
	case '{':
		s.object(func(name string, keyAt int) bool {
			if child, ok := w.children[name]; ok {
				s.found(child, depth, keyAt, s.at)
				s.descend(child, depth+1)
			} else {
				s.skip()
			}
			return true
		})
	case '[':
		s.list(func(i int) {
			if child, ok := w.children[strconv.Itoa(i)]; ok {
				s.found(child, depth, s.at, s.at)
				s.descend(child, depth+1)
			} else {
				s.skip()
			}
		})
	default:
		s.skip()
	}
}

// object calls member with every name, s.at standing at the value: member moves
// behind it, or answers false to stop.
func (s *scanner) object(member func(name string, keyAt int) bool) {
	s.at++
	for {
		s.at = skipSpace(s.text, s.at)
		keyAt := s.at
		if s.at >= len(s.text) || s.text[s.at] != '"' {
			s.at = min(s.at+1, len(s.text)) // behind the closing brace
			return
		}
		d := decoder{text: s.text, at: s.at}
		name, err := d.string()
		if err != nil {
			s.at = len(s.text)
			return
		}
		s.at = skipSpace(s.text, d.at) + 1 // behind the colon
		s.at = skipSpace(s.text, s.at)
		before := s.at
		if !member(name, keyAt) {
			return
		}
		if s.at == before { // member is to move; without this, not JSON would not end
			s.skip()
		}
		s.comma()
	}
}

func (s *scanner) list(element func(i int)) {
	s.at++
	for i := 0; ; i++ {
		s.at = skipSpace(s.text, s.at)
		if s.at >= len(s.text) || s.text[s.at] == ']' {
			s.at = min(s.at+1, len(s.text))
			return
		}
		before := s.at
		element(i)
		if s.at == before {
			s.at = len(s.text)
			return
		}
		s.comma()
	}
}

func (s *scanner) comma() {
	s.at = skipSpace(s.text, s.at)
	if s.at < len(s.text) && s.text[s.at] == ',' {
		s.at++
	}
}

// skip moves behind the value at s.at.
func (s *scanner) skip() {
	depth := 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			s.at = tokenEnd(s.text, s.at)
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
			s.at++
		case ' ', '\n', '\t', '\r', ',', ':':
			if depth == 0 {
				return
			}
			s.at++
		default:
			s.at = tokenEnd(s.text, s.at)
		}
		if depth == 0 {
			return
		}
	}
}

// tokenEnd is the offset behind the token at an offset.
func tokenEnd(text []byte, at int) int {
	if at >= len(text) {
		return at
	}
	switch text[at] {
	case '"':
		for i := at + 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(text)
	case '{', '}', '[', ']', ',', ':':
		return at + 1
	}
	end := bytes.IndexAny(text[at:], " \n\t\r,:{}[]\"")
	switch {
	case end < 0:
		return len(text)
	case end == 0:
		return at + 1
	}
	return at + end
}

// count turns the offsets in the places into lines and columns.
func (s *scanner) count(root *want) {
	root.each(func(path int) {
		p := &s.places[path]
		p.Key, p.Value = s.position(p.Key.Line), s.position(p.Value.Line)
	})
}

func (s *scanner) position(offset int) Position {
	offset = min(offset, len(s.text))
	line, column := positionOf(s.text, offset)
	width := utf8.RuneCount(s.text[offset:tokenEnd(s.text, offset)])
	return Position{Line: line, Column: column, Width: max(width, 1)}
}
