package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxNumber    = 128     // characters of a number; an honest one has 24
	maxInterned  = 1 << 12 // distinct short strings that are kept once
	internLength = 32      // bytes of a string that may be kept once
)

// JSON decodes one document. Every error is an *[Error].
func JSON(text []byte) (any, error) {
	d := &decoder{text: text, interned: map[string]string{}}
	v, err := d.document()
	if err != nil {
		return nil, err
	}
	return v, nil
}

// decoder reads a text from left to right.
type decoder struct {
	text     []byte
	at       int
	depth    int
	interned map[string]string // members of a million records have the same few names
}

func (d *decoder) document() (any, *Error) {
	if bytes.HasPrefix(d.text, []byte("\xef\xbb\xbf")) {
		return nil, d.fault(0, "a byte order mark stands before the document")
	}
	d.space()
	if d.at == len(d.text) {
		return nil, d.fault(d.at, "the document is empty")
	}
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	d.space()
	if d.at < len(d.text) {
		return nil, d.fault(d.at, "%s stands behind the document", d.sight())
	}
	return v, nil
}

func (d *decoder) value() (any, *Error) {
	if d.at == len(d.text) {
		return nil, d.fault(d.at, "the document ends where a value should be")
	}
	switch c := d.text[d.at]; {
	case c == '{':
		return d.nested(d.object)
	case c == '[':
		return d.nested(d.list)
	case c == '"':
		return d.string()
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	}
	return d.word()
}

func (d *decoder) nested(read func() (any, *Error)) (any, *Error) {
	if d.depth == MaxDepth {
		err := d.fault(d.at, "nested deeper than %d levels", MaxDepth)
		err.Code = CodeDepth
		return nil, err
	}
	d.depth++
	v, err := read()
	d.depth--
	return v, err
}

func (d *decoder) object() (any, *Error) {
	start := d.at
	object := map[string]any{}
	d.at++
	for d.space(); !d.next('}'); d.space() {
		if len(object) > 0 {
			if !d.next(',') {
				return nil, d.expected("`,` or `}` in an object")
			}
			d.space()
		}
		keyAt := d.at
		if d.at == len(d.text) || d.text[d.at] != '"' {
			return nil, d.expected("a key in double quotes")
		}
		key, err := d.string()
		if err != nil {
			return nil, err
		}
		if _, twice := object[key]; twice {
			return nil, d.duplicate(start, keyAt, key)
		}
		d.space()
		if !d.next(':') {
			return nil, d.expected("`:` behind the key %q", key)
		}
		d.space()
		if object[key], err = d.value(); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func (d *decoder) duplicate(object, keyAt int, key string) *Error {
	err := d.fault(keyAt, "the key %q is given twice in one object", key)
	err.Code = CodeDuplicate
	s := &scanner{text: d.text, at: object}
	s.object(func(name string, at int) bool {
		if name == key {
			line, column := positionOf(d.text, at)
			err.Hint = fmt.Sprintf("the first one is at %d:%d", line, column)
			return false
		}
		return true
	})
	return err
}

func (d *decoder) list() (any, *Error) {
	list := []any{}
	d.at++
	for d.space(); !d.next(']'); d.space() {
		if len(list) > 0 {
			if !d.next(',') {
				return nil, d.expected("`,` or `]` in a list")
			}
			d.space()
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (d *decoder) string() (string, *Error) {
	start := d.at + 1
	for i := start; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '"':
			d.at = i + 1
			raw := d.text[start:i]
			if !utf8.Valid(raw) {
				return "", d.fault(start+invalidAt(raw), "a byte that is not UTF-8 in a string")
			}
			return d.intern(raw), nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.fault(i, "a control character in a string: write it as an escape")
		}
	}
	return "", d.fault(start-1, "a string without its closing quote")
}

func (d *decoder) intern(raw []byte) string {
	if len(raw) > internLength || d.interned == nil {
		return string(raw)
	}
	if s, ok := d.interned[string(raw)]; ok {
		return s
	}
	s := string(raw)
	if len(d.interned) < maxInterned {
		d.interned[s] = s
	}
	return s
}

func invalidAt(raw []byte) int {
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(raw)
}

// escaped reads a string that has escapes, from its first character on.
func (d *decoder) escaped(start int) (string, *Error) {
	var b strings.Builder
	for i := start; i < len(d.text); {
		switch c := d.text[i]; {
		case c == '"':
			d.at = i + 1
			return b.String(), nil
		case c == '\\':
			r, size := unescape(d.text[i:])
			if size == 0 {
				return "", d.fault(i, "not an escape of JSON")
			}
			b.WriteRune(r)
			i += size
		case c < ' ':
			return "", d.fault(i, "a control character in a string: write it as an escape")
		default:
			r, size := utf8.DecodeRune(d.text[i:])
			if r == utf8.RuneError && size == 1 {
				return "", d.fault(i, "a byte that is not UTF-8 in a string")
			}
			b.WriteRune(r)
			i += size
		}
	}
	return "", d.fault(start-1, "a string without its closing quote")
}

// unescape reads one escape; size 0 says that there is none. Half of a surrogate
// pair is none: readers differ in what they make of it.
func unescape(text []byte) (r rune, size int) {
	if len(text) < 2 {
		return 0, 0
	}
	switch text[1] {
	case '"', '\\', '/':
		return rune(text[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(text[2:])
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(text) < 12 || text[6] != '\\' || text[7] != 'u' {
			return 0, 0
		}
		low, ok := hex4(text[8:])
		pair := utf16.DecodeRune(r, low)
		if !ok || pair == utf8.RuneError {
			return 0, 0
		}
		return pair, 12
	default:
		return 0, 0
	}
}

func hex4(text []byte) (rune, bool) {
	if len(text) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range text[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func (d *decoder) number() (any, *Error) {
	start := d.at
	for d.at < len(d.text) && isNumeric(d.text[d.at]) {
		d.at++
	}
	s := string(d.text[start:d.at])
	if why := badNumber(s); why != "" {
		return nil, d.fault(start, "%s", why)
	}
	return json.Number(s), nil
}

func isNumeric(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// badNumber says why s is not a number that everybody reads alike; "" when it is.
func badNumber(s string) string {
	switch {
	case len(s) > maxNumber:
		return fmt.Sprintf("a number of more than %d characters", maxNumber)
	case !isNumber(s):
		return fmt.Sprintf("%s is not a number as JSON writes it", s)
	}
	if _, err := strconv.ParseFloat(s, 64); err != nil {
		return s + " is out of range"
	}
	return ""
}

// isNumber holds s against JSON's grammar of a number.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	switch {
	case s == "" || s[0] < '0' || s[0] > '9':
		return false
	case s[0] == '0':
		s = s[1:]
	default:
		s = strings.TrimLeft(s, "0123456789")
	}
	if rest, ok := strings.CutPrefix(s, "."); ok {
		if s = strings.TrimLeft(rest, "0123456789"); s == rest {
			return false
		}
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		return s != "" && strings.TrimLeft(s, "0123456789") == ""
	}
	return s == ""
}

func (d *decoder) word() (any, *Error) {
	start := d.at
	for d.at < len(d.text) && 'a' <= d.text[d.at] && d.text[d.at] <= 'z' {
		d.at++
	}
	switch string(d.text[start:d.at]) {
	case "null":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	d.at = start
	return nil, d.expected("a value")
}

func (d *decoder) space() {
	d.at = skipSpace(d.text, d.at)
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
		at++
	}
	return at
}

// next takes c, if it is the next byte.
func (d *decoder) next(c byte) bool {
	if d.at == len(d.text) || d.text[d.at] != c {
		return false
	}
	d.at++
	return true
}

func (d *decoder) expected(format string, args ...any) *Error {
	return d.fault(d.at, "%s where %s should be", d.sight(), fmt.Sprintf(format, args...))
}

// sight names what stands at the current place.
func (d *decoder) sight() string {
	if d.at == len(d.text) {
		return "the end of the document"
	}
	r, size := utf8.DecodeRune(d.text[d.at:])
	if r == utf8.RuneError && size == 1 {
		return "a byte that is not UTF-8"
	}
	return strconv.QuoteRune(r)
}

func (d *decoder) fault(offset int, format string, args ...any) *Error {
	line, column := positionOf(d.text, offset)
	return &Error{Code: CodeJSON, Line: line, Column: column, Message: fmt.Sprintf(format, args...)}
}
