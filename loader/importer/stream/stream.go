// Package stream splits an export into its records, without holding more of it
// than one record: lists, pages, single objects and lines of objects, in any
// sequence. It says where each record stands and leaves its decoding to
// loader/document.
package stream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/rolegate/rolegate/loader/document"
)

const (
	// MaxRecord is how many bytes one record may have: a policy with all its roles is one.
	MaxRecord = 64 << 20
	bufferOf  = 256 << 10
)

// Codes of an error, beside those of package document.
const (
	CodeEncoding  = "bad_encoding"
	CodeTruncated = "truncated"
	CodeLarge     = "record_too_large"
)

// Item is one record, or the rest of a page behind its last record.
type Item struct {
	Raw    []byte // an object; valid until the next call. Of a page, its lists are empty
	Line   int    // of its first character, from 1
	Column int    // in characters, from 1
	Page   bool   // what stood around records
	List   string // of a page: the member that held the records, the last of several
	Count  int    // of a page: how many records it held
}

// place is what the reader stands in.
type place uint8

const (
	top        place = iota // between documents
	list                    // in a list at the top
	object                  // in an object that may be a page
	recordList              // in a list of records of a page
)

// Reader reads one file.
type Reader struct {
	in     *bufio.Reader
	lists  []string
	line   int
	column int
	offset int64

	begun  bool
	at     place
	inList bool    // the object is an element of a list at the top
	first  bool    // nothing stands before in the innermost list or object
	opened int     // line where that begins
	listed int     // line where the list at the top begins
	page   Item    // the object that is being read
	whole  []byte  // its text, but for what its lists hold
	one    []byte  // the text of a record in it
	sink   *[]byte // where what is taken goes; nil: nowhere
}

// New reads from in. lists are the members of a page that hold records.
func New(in io.Reader, lists []string) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, bufferOf), lists: lists, line: 1, column: 1}
}

// Offset is how many bytes were read so far.
func (r *Reader) Offset() int64 { return r.offset }

// Next answers the next item, [io.EOF] behind the last one. What is wrong with the
// text is a [*document.Error]; any other error is that of the file.
func (r *Reader) Next() (Item, error) {
	if !r.begun {
		r.begun = true
		if err := r.encoding(); err != nil {
			return Item{}, err
		}
	}
	for {
		var item Item
		var done bool
		var err error
		switch r.at {
		case top:
			err = r.document()
		case list:
			err = r.element()
		case object:
			item, done, err = r.member()
		case recordList:
			item, done, err = r.record()
		}
		if err != nil || done {
			return item, err
		}
	}
}

// encoding refuses what is not plain UTF-8 by its first bytes.
func (r *Reader) encoding() error {
	head, err := r.in.Peek(4)
	if len(head) == 0 && err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	fault := func(message, hint string) error {
		return &document.Error{Code: CodeEncoding, Line: 1, Column: 1, Message: message, Hint: hint}
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		return fault("a byte order mark stands before the document", "save the file as UTF-8 without one")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return fault("the file is compressed", "unpack it, or read it through a pipe as -")
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.IndexByte(head, 0) >= 0:
		return fault("the file is not UTF-8: it looks like UTF-16 or UTF-32", "save it as UTF-8: iconv -t UTF-8, for example")
	}
	return nil
}

// document begins whatever stands next at the top.
func (r *Reader) document() error {
	c, err := r.peek()
	if err != nil {
		return err // io.EOF is the end
	}
	switch c {
	case '[':
		r.listed, r.opened, r.first, r.at = r.line, r.line, true, list
		return r.take()
	case '{':
		return r.open(false)
	}
	return r.wrong(c, "an object or a list")
}

// element begins the next element of a list at the top, or ends the list.
func (r *Reader) element() error {
	c, err := r.next(']', "a list")
	switch {
	case err != nil:
		return err
	case c == ']':
		r.at = top
		return r.take()
	case c != '{':
		return r.wrong(c, "an object in a list")
	}
	return r.open(true)
}

func (r *Reader) open(inList bool) error {
	r.page = Item{Line: r.line, Column: r.column}
	r.whole = r.whole[:0]
	r.sink = &r.whole
	r.inList, r.at, r.first, r.opened = inList, object, true, r.line
	return r.take()
}

// member reads one member of an object; done when the object is complete.
func (r *Reader) member() (item Item, done bool, err error) {
	c, err := r.next('}', "an object")
	switch {
	case err != nil:
		return Item{}, false, err
	case c == '}':
		if err := r.take(); err != nil {
			return Item{}, false, err
		}
		r.close()
		return r.page, true, nil
	case c != '"':
		return Item{}, false, r.wrong(c, "a key in double quotes")
	}
	key := len(r.whole)
	if err := r.value(); err != nil {
		return Item{}, false, err
	}
	name := string(r.whole[key:])
	if c, err = r.inside("an object"); err != nil {
		return Item{}, false, err
	}
	if c != ':' {
		return Item{}, false, r.wrong(c, "`:` behind the key "+name)
	}
	if err := r.take(); err != nil {
		return Item{}, false, err
	}
	if c, err = r.inside("an object"); err != nil {
		return Item{}, false, err
	}
	plain, err := strconv.Unquote(name)
	if c != '[' || err != nil || !slices.Contains(r.lists, plain) {
		return Item{}, false, r.value()
	}
	r.page.Page, r.page.List = true, plain
	err = r.take()
	r.sink = nil
	r.opened, r.first, r.at = r.line, true, recordList
	return Item{}, false, err
}

func (r *Reader) close() {
	r.page.Raw = r.whole
	r.sink, r.at, r.first = nil, top, false
	if r.inList {
		r.at, r.opened = list, r.listed
	}
}

// record reads one record of a page.
func (r *Reader) record() (item Item, done bool, err error) {
	c, err := r.next(']', "a list")
	switch {
	case err != nil:
		return Item{}, false, err
	case c == ']':
		r.sink = &r.whole
		r.at, r.first, r.opened = object, false, r.page.Line
		return Item{}, false, r.take()
	case c != '{':
		return Item{}, false, r.wrong(c, "an object in the list "+r.page.List)
	}
	item = Item{Line: r.line, Column: r.column}
	r.one = r.one[:0]
	r.sink = &r.one
	err = r.value()
	r.sink = nil
	item.Raw = r.one
	r.page.Count++
	return item, err == nil, err
}

// next answers the first character of the next element, its comma taken, or of the
// end, which is left.
func (r *Reader) next(end byte, what string) (byte, error) {
	c, err := r.inside(what)
	if err != nil || c == end {
		return c, err
	}
	if r.first {
		r.first = false
		return c, nil
	}
	if c != ',' {
		return 0, r.wrong(c, fmt.Sprintf("`,` or `%c` in %s", end, what))
	}
	if err := r.take(); err != nil {
		return 0, err
	}
	if c, err = r.inside(what); err == nil && c == end {
		return 0, r.wrong(c, "what the comma announces")
	}
	return c, err
}

// value takes one value whole. What is in it is looked at only as far as its end
// must be found.
func (r *Reader) value() error {
	line, column := r.line, r.column
	start := len(*r.sink)
	var v valueEnd
	for {
		if _, err := r.in.Peek(1); err != nil {
			return r.cut(err, line, "a value")
		}
		ahead, err := r.in.Peek(r.in.Buffered())
		if err != nil {
			return err
		}
		n, done := v.scan(ahead)
		if done && n == 0 && len(*r.sink) == start {
			return r.wrong(ahead[0], "a value")
		}
		r.pass(ahead[:n])
		if len(*r.sink)-start > MaxRecord {
			return &document.Error{
				Code: CodeLarge, Line: line, Column: column,
				Message: fmt.Sprintf("a record of more than %d bytes", MaxRecord),
			}
		}
		if _, err := r.in.Discard(n); done || err != nil {
			return err
		}
	}
}

// pass counts text and keeps it.
func (r *Reader) pass(text []byte) {
	r.offset += int64(len(text))
	if last := bytes.LastIndexByte(text, '\n'); last >= 0 {
		r.line += bytes.Count(text, []byte{'\n'})
		r.column = 1 + characters(text[last+1:])
	} else {
		r.column += characters(text)
	}
	*r.sink = append(*r.sink, text...)
}

// characters counts the bytes that begin one: text may begin within one.
func characters(text []byte) (n int) {
	for _, c := range text {
		if c&0xc0 != 0x80 { // not the rest of a character
			n++
		}
	}
	return n
}

// valueEnd finds the end of a value that comes in pieces.
type valueEnd struct {
	depth           int
	quoted, escaped bool
}

// scan answers how many bytes of text belong to the value, and whether it ends there.
func (v *valueEnd) scan(text []byte) (n int, done bool) {
	for i, c := range text {
		if v.escaped {
			v.escaped = false
			continue
		}
		if v.quoted {
			switch c {
			case '\\':
				v.escaped = true
			case '"':
				v.quoted = false
				if v.depth == 0 {
					return i + 1, true
				}
			}
			continue
		}
		if v.depth == 0 && endsScalar(c) {
			return i, true
		}
		switch c {
		case '"':
			v.quoted = true
		case '{', '[':
			v.depth++
		case '}', ']':
			v.depth--
			if v.depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(text), false
}

func endsScalar(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

// raw answers the next byte without taking it.
func (r *Reader) raw() (byte, error) {
	head, err := r.in.Peek(1)
	if err != nil {
		return 0, err
	}
	return head[0], nil
}

// peek is raw behind white space, which is taken.
func (r *Reader) peek() (byte, error) {
	for {
		c, err := r.raw()
		if err != nil || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c, err
		}
		if err := r.take(); err != nil {
			return 0, err
		}
	}
}

// inside is peek where the file may not end.
func (r *Reader) inside(what string) (byte, error) {
	c, err := r.peek()
	if err != nil {
		return 0, r.cut(err, r.opened, what)
	}
	return c, nil
}

// take moves behind the next byte.
func (r *Reader) take() error {
	c, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	r.offset++
	switch {
	case c == '\n':
		r.line, r.column = r.line+1, 1
	case c&0xc0 != 0x80: // not the rest of a character
		r.column++
	}
	if r.sink != nil {
		*r.sink = append(*r.sink, c)
	}
	return nil
}

// cut says where what the file ends in began.
func (r *Reader) cut(err error, opened int, what string) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return &document.Error{
		Code: CodeTruncated, Line: r.line, Column: r.column,
		Message: fmt.Sprintf("the file ends inside %s that begins in line %d", what, opened),
		Hint:    "the export is not complete: make it again",
	}
}

func (r *Reader) wrong(c byte, want string) error {
	seen := strconv.QuoteRune(rune(c))
	if c >= utf8.RuneSelf {
		seen = "a character that is not ASCII"
	}
	return &document.Error{
		Code: document.CodeJSON, Line: r.line, Column: r.column, Message: fmt.Sprintf("%s where %s should be", seen, want),
	}
}
