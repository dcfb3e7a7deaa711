package parsed

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Bounds of a body. A value costs a hundred bytes and more, whatever it takes on the
// wire: two bytes of JSON are one.
const (
	maxDepth      = 64
	defaultValues = 10_000
)

// budget is how many values may still be made.
type budget struct{ left int }

func (b *budget) take(n int) bool {
	b.left -= n
	return b.left >= 0
}

// readJSON reads one document. Numbers stay as they are written; of two members of one
// name the last counts.
func readJSON(text string, left *budget) (any, error) {
	if !moderate(text, left) {
		return nil, ErrTooMuch
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, ErrJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrJSON
	}
	return v, nil
}

// moderate says whether a text, if it is JSON, is neither too deep nor of too many
// values.
func moderate(text string, left *budget) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			if depth > maxDepth || !left.take(1) {
				return false
			}
		case c == ']' || c == '}':
			depth--
		case c == ',':
			if !left.take(1) {
				return false
			}
		}
	}
	return true
}
