package token

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep arrays and objects may nest, the outermost counted.
	MaxDepth = 64
	// maxNumber is the longest number that is read; an exponent has at most three
	// digits. Past that a number costs its reader more than it can mean.
	maxNumber   = 64
	maxExponent = 3
)

// Object reads one JSON object and nothing after it. Values are those of
// encoding/json with UseNumber: map[string]any, []any, string, json.Number, bool,
// nil; numbers keep their text.
//
// It is stricter than encoding/json where readers of one document could differ: a
// name that stands twice in an object is [ErrDuplicate], and invalid UTF-8, half a
// surrogate pair and numbers beyond any use are [ErrMalformed]. Nesting beyond
// [MaxDepth] is [ErrTooDeep].
func Object(doc []byte) (map[string]any, error) {
	p := parser{doc: doc}
	p.space()
	v, err := p.value(1)
	if err != nil {
		return nil, err
	}
	p.space()
	o, ok := v.(map[string]any)
	if !ok || p.pos != len(doc) {
		return nil, ErrMalformed
	}
	return o, nil
}

// parser walks doc once; pos is the first byte that was not read.
type parser struct {
	doc []byte
	pos int
}

// next is the byte at pos; 0, which begins nothing in JSON, at the end.
func (p *parser) next() byte {
	if p.pos < len(p.doc) {
		return p.doc[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for {
		switch p.next() {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// take reads the byte c, after white space.
func (p *parser) take(c byte) bool {
	p.space()
	if p.next() != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) value(depth int) (any, error) {
	switch c := p.next(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.text()
	case c == '-' || isDigit(c):
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	default: // null, or nothing that begins a value
		return nil, p.word("null")
	}
}

func (p *parser) word(w string) error {
	if !bytes.HasPrefix(p.doc[p.pos:], []byte(w)) {
		return ErrMalformed
	}
	p.pos += len(w)
	return nil
}

func (p *parser) object(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	p.pos++
	o := map[string]any{}
	if p.take('}') {
		return o, nil
	}
	for {
		p.space()
		if p.next() != '"' {
			return nil, ErrMalformed
		}
		name, err := p.text()
		if err != nil {
			return nil, err
		}
		if _, twice := o[name]; twice {
			return nil, ErrDuplicate
		}
		if !p.take(':') {
			return nil, ErrMalformed
		}
		p.space()
		if o[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		switch {
		case p.take(','):
		case p.take('}'):
			return o, nil
		default:
			return nil, ErrMalformed
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	p.pos++
	list := []any{}
	if p.take(']') {
		return list, nil
	}
	for {
		p.space()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch {
		case p.take(','):
		case p.take(']'):
			return list, nil
		default:
			return nil, ErrMalformed
		}
	}
}

// text reads a string from its opening quote to its closing one.
func (p *parser) text() (string, error) {
	p.pos++
	var s []byte
	for {
		c := p.next()
		switch {
		case c == '"':
			p.pos++
			return string(s), nil
		case c < ' ': // and the end
			return "", ErrMalformed
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			s = utf8.AppendRune(s, r)
		case c < utf8.RuneSelf:
			s = append(s, c)
			p.pos++
		default:
			_, size := utf8.DecodeRune(p.doc[p.pos:])
			if size == 1 { // a byte beyond ASCII that is no UTF-8
				return "", ErrMalformed
			}
			s = append(s, p.doc[p.pos:p.pos+size]...)
			p.pos += size
		}
	}
}

func (p *parser) escape() (rune, error) {
	p.pos++
	c := p.next()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.unicode()
	default:
		return 0, ErrMalformed
	}
}

// unicode reads what follows \u: four digits, or a whole surrogate pair.
func (p *parser) unicode() (rune, error) {
	r, ok := p.hex4()
	if !ok {
		return 0, ErrMalformed
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if p.word(`\u`) != nil {
		return 0, ErrMalformed
	}
	low, _ := p.hex4() // 0, which is no half of a pair, where there are no four digits
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, ErrMalformed
	}
	return r, nil
}

func (p *parser) hex4() (rune, bool) {
	const digits = 4
	if len(p.doc)-p.pos < digits {
		return 0, false
	}
	// ParseUint takes no sign, no prefix and no underscore in base 16.
	n, err := strconv.ParseUint(string(p.doc[p.pos:p.pos+digits]), 16, 16)
	p.pos += digits
	return rune(n), err == nil
}

// number reads a number and keeps its text.
func (p *parser) number() (json.Number, error) {
	start := p.pos
	if p.next() == '-' {
		p.pos++
	}
	switch {
	case p.next() == '0': // no digit may follow a leading zero
		p.pos++
	case p.digits() == 0:
		return "", ErrMalformed
	}
	if p.next() == '.' {
		p.pos++
		if p.digits() == 0 {
			return "", ErrMalformed
		}
	}
	if c := p.next(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.next(); c == '+' || c == '-' {
			p.pos++
		}
		if n := p.digits(); n == 0 || n > maxExponent {
			return "", ErrMalformed
		}
	}
	if p.pos-start > maxNumber {
		return "", ErrMalformed
	}
	return json.Number(p.doc[start:p.pos]), nil
}

func (p *parser) digits() int {
	start := p.pos
	for isDigit(p.next()) {
		p.pos++
	}
	return p.pos - start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
