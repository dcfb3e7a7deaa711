package filter

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxNesting = 256 // of parentheses and nots; ForgeRock's own limit
	maxNumber  = 64  // characters of a number; an honest one has 24
)

// Error is the first fault of a filter.
type Error struct {
	Column  int // in characters, from 1; one behind the last at the end
	Message string
}

// Error is "column N: " and what is wrong with what was expected.
func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Message) }

// Parse reads a query filter. Every error is an *[Error].
func Parse(text string) (Filter, error) {
	if at := invalidAt(text); at >= 0 {
		return Filter{}, &Error{Column: column(text, at), Message: "a byte that is not UTF-8"}
	}
	p := &parser{text: text}
	p.read()
	f, err := p.any()
	if err == nil && p.next.kind != atEnd {
		err = p.expected("and, or, or the end")
	}
	if err != nil {
		return Filter{}, err
	}
	return f, nil
}

func invalidAt(text string) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func column(text string, at int) int { return 1 + utf8.RuneCountInString(text[:at]) }

type kind uint8

const (
	atEnd kind = iota
	open
	closing
	word
	quoted
	broken // a string that is none; its value says why
)

// token is one word of the text.
type token struct {
	kind  kind
	at    int    // byte offset
	value string // of a word as written, of a string without quotes and escapes
}

// is says whether the token is a word of the language, in any case.
func (t token) is(w string) bool { return t.kind == word && strings.EqualFold(t.value, w) }

// parser reads a text from left to right, one token ahead.
type parser struct {
	text  string
	at    int
	next  token
	depth int
}

// any is Expr.
func (p *parser) any() (Filter, *Error) { return p.joined(Or, p.all) }

func (p *parser) all() (Filter, *Error) { return p.joined(And, p.not) }

// joined reads parts with one operator between them.
func (p *parser) joined(op Op, part func() (Filter, *Error)) (Filter, *Error) {
	first, err := part()
	if err != nil || !p.next.is(string(op)) {
		return first, err
	}
	f := Filter{Op: op, Of: []Filter{first}}
	for p.next.is(string(op)) {
		p.read()
		next, err := part()
		if err != nil {
			return Filter{}, err
		}
		f.Of = append(f.Of, next)
	}
	return f, nil
}

func (p *parser) not() (Filter, *Error) {
	if !p.next.is("!") {
		return p.primary()
	}
	p.read()
	f, err := p.nested(p.primary)
	if err != nil {
		return Filter{}, err
	}
	return Filter{Op: Not, Of: []Filter{f}}, nil
}

func (p *parser) nested(read func() (Filter, *Error)) (Filter, *Error) {
	if p.depth == maxNesting {
		return Filter{}, p.fault(p.next.at, "nested deeper than %d levels", maxNesting)
	}
	p.depth++
	f, err := read()
	p.depth--
	return f, err
}

func (p *parser) primary() (Filter, *Error) {
	switch t := p.next; {
	case t.kind == open:
		p.read()
		f, err := p.nested(p.any)
		if err != nil {
			return Filter{}, err
		}
		if p.next.kind != closing {
			return Filter{}, p.expected("and, or, or `)`")
		}
		p.read()
		return f, nil
	case t.is("true"), t.is("false"):
		p.read()
		return Filter{Op: Op(strings.ToLower(t.value))}, nil
	case t.is("and"), t.is("or"), t.kind != word:
		return Filter{}, p.expected("a comparison, true, false, `!` or `(`")
	}
	return p.comparison()
}

func (p *parser) comparison() (Filter, *Error) {
	pointer, err := p.pointer()
	if err != nil {
		return Filter{}, err
	}
	op, err := p.operator()
	if err != nil {
		return Filter{}, err
	}
	f := Filter{Op: op, Pointer: pointer}
	if op != Present {
		f.Value, err = p.value()
	}
	return f, err
}

// pointer takes a pointer, in its one form: with a slash in front, none behind.
func (p *parser) pointer() (string, *Error) {
	t := p.next
	if rest, ok := strings.CutPrefix(t.value, "!"); ok {
		return "", p.fault(t.at, "%s is the name of a field to ForgeRock: for its opposite write !(%s ...)", quote(t.value), rest)
	}
	names := strings.Split(strings.TrimSuffix(strings.TrimPrefix(t.value, "/"), "/"), "/")
	for _, name := range names {
		switch rest := strings.NewReplacer("~0", "", "~1", "").Replace(name); {
		case name == "":
			return "", p.fault(t.at, "%s has an empty name: want a pointer like /country", quote(t.value))
		case strings.Contains(rest, "~"):
			return "", p.fault(t.at, "%s has a `~` that is neither ~0 nor ~1", quote(t.value))
		case strings.ContainsAny(rest, "%\"'"):
			return "", p.fault(t.at, "%s has a character that is not read alike everywhere: want a pointer like /country", quote(t.value))
		}
	}
	p.read()
	return "/" + strings.Join(names, "/"), nil
}

func (p *parser) operator() (Op, *Error) {
	t := p.next
	if t.kind == word {
		switch op := Op(strings.ToLower(t.value)); op {
		case Present, Equal, Contains, StartsWith, Less, LessEqual, Greater, GreaterEqual:
			p.read()
			return op, nil
		case And, Or, Not, True, False: // words, but not here
		}
	}
	return "", p.expected("one of eq, co, sw, lt, le, gt, ge, pr")
}

func (p *parser) value() (any, *Error) {
	const want = "a string in quotes, a number, true or false"
	t := p.next
	switch {
	case t.kind == quoted:
		p.read()
		return t.value, nil
	case t.is("true"), t.is("false"):
		p.read()
		return t.is("true"), nil
	case t.kind == word && strings.ContainsAny(t.value[:1], "-+.0123456789"):
		if !isNumber(t.value) {
			return nil, p.fault(t.at, "%s is not a number as JSON writes it, nor a string in quotes", quote(t.value))
		}
		p.read()
		return json.Number(t.value), nil
	}
	return nil, p.expected(want)
}

// isNumber lets JSON's reader decide, but for numbers that are too long or too large.
func isNumber(s string) bool {
	if len(s) > maxNumber || !json.Valid([]byte(s)) {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// read moves to the next token.
func (p *parser) read() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
	start := p.at
	if start == len(p.text) {
		p.next = token{kind: atEnd, at: start}
		return
	}
	switch c := p.text[start]; c {
	case '(', ')':
		p.at++
		p.next = token{kind: open, at: start}
		if c == ')' {
			p.next.kind = closing
		}
	case '"', '\'':
		p.string(c)
	default:
		for p.at < len(p.text) && !strings.ContainsRune(" ()", rune(p.text[p.at])) {
			p.at++
		}
		p.next = token{kind: word, at: start, value: p.text[start:p.at]}
		if i := strings.IndexFunc(p.next.value, unicode.IsControl); i >= 0 {
			p.next = token{kind: broken, at: start + i, value: "a control character: words are parted by blanks"}
		}
	}
}

// string reads a string up to its closing quote. A backslash before a letter or a
// digit is refused: readers differ in whether \n is a line break or an n.
func (p *parser) string(closing byte) {
	start := p.at
	var b strings.Builder
	for i := start + 1; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == closing:
			p.at = i + 1
			p.next = token{kind: quoted, at: start, value: b.String()}
			return
		case c == '\\' && i+1 < len(p.text):
			i++
			if escaped := rune(p.text[i]); escaped < utf8.RuneSelf && (unicode.IsLetter(escaped) || unicode.IsDigit(escaped)) {
				p.next = token{kind: broken, at: i - 1, value: fmt.Sprintf("a backslash before %q is not read alike everywhere: write \\\\ for a backslash", escaped)}
				return
			}
			b.WriteByte(p.text[i])
		default:
			b.WriteByte(c)
		}
	}
	p.next = token{kind: broken, at: start, value: "a string without its closing quote"}
}

func (p *parser) expected(want string) *Error {
	switch t := p.next; t.kind {
	case atEnd:
		return p.fault(t.at, "the filter ends where %s should be", want)
	case broken:
		return p.fault(t.at, "%s", t.value)
	case open, closing:
		return p.fault(t.at, "`%c` where %s should be", p.text[t.at], want)
	case word:
		return p.fault(t.at, "%s where %s should be", quote(t.value), want)
	case quoted:
		return p.fault(t.at, "a string where %s should be", want)
	}
	return nil
}

func (p *parser) fault(at int, format string, args ...any) *Error {
	return &Error{Column: column(p.text, at), Message: fmt.Sprintf(format, args...)}
}

// quote shows a word, or its beginning when it is long.
func quote(s string) string {
	const shown = 40
	if utf8.RuneCountInString(s) > shown {
		s = string([]rune(s)[:shown]) + "…"
	}
	return strconv.Quote(s)
}
