// Package cases runs worked cases: questions with the answers that their author
// expects, as JSON or YAML files that are kept beside the policies.
package cases

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"

	"github.com/rolegate/rolegate/loader/document"
)

// Case is one worked case. Keys of a file that are not named here are ignored.
type Case struct {
	Name    string
	Op      string         // decide, assign, signup, search, validate or validate_change
	Data    map[string]any // data.rbac; nil: the bundle's
	Old     map[string]any // data.rbac before, for validate_change
	Request map[string]any // in the notation of tools
	Expect  any
	File    string
	Line    int // of the case's first line, from 1
}

// Error says why a file is not one of cases, and where.
type Error struct {
	File    string
	Line    int
	Message string
}

// Error is "file:line: message".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message) }

// errNotCases means that a document is something else than a list of cases.
var errNotCases = errors.New("want a list of cases, [{\"name\": …, \"op\": …, \"request\": {…}, \"expect\": …}, …]")

// Read calls yield for each case of a file in its order, without holding more than
// one. It ends with yield's error, or an [Error].
func Read(r io.Reader, file string, yield func(Case) error) error {
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		return readYAML(r, file, yield)
	default:
		return readJSON(r, file, yield)
	}
}

// readJSON takes the list apart with the standard decoder, so that a long file
// streams, and reads each element strictly.
func readJSON(r io.Reader, file string, yield func(Case) error) error {
	lines := &lineCounter{reader: bufio.NewReader(r)}
	decoder := json.NewDecoder(lines)
	fail := func(offset int64, err error) error {
		return &Error{File: file, Line: lines.at(offset), Message: err.Error()}
	}
	open, err := decoder.Token()
	if err != nil {
		return fail(decoder.InputOffset(), err)
	}
	if open != json.Delim('[') {
		return fail(0, errNotCases)
	}
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return fail(decoder.InputOffset(), err)
		}
		line := lines.at(decoder.InputOffset() - int64(len(raw)))
		value, err := document.JSON(raw)
		if fault, ok := errors.AsType[*document.Error](err); ok {
			return &Error{File: file, Line: line + fault.Line - 1, Message: fault.Message}
		}
		if err != nil {
			return &Error{File: file, Line: line, Message: err.Error()}
		}
		c, err := caseOf(value, file, line)
		if err != nil {
			return err
		}
		if err := yield(c); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return fail(decoder.InputOffset(), err)
	}
	return nil
}

func readYAML(r io.Reader, file string, yield func(Case) error) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	value, err := document.YAML(text)
	if fault, ok := errors.AsType[*document.Error](err); ok {
		return &Error{File: file, Line: fault.Line, Message: fault.Message}
	}
	if err != nil {
		return &Error{File: file, Line: 1, Message: err.Error()}
	}
	list, ok := value.([]any)
	if !ok {
		return &Error{File: file, Line: 1, Message: errNotCases.Error()}
	}
	paths := make([][]string, len(list))
	for i := range list {
		paths[i] = []string{fmt.Sprint(i)}
	}
	places := document.LocateYAML(text, paths)
	for i, element := range list {
		c, err := caseOf(element, file, places[i].Value.Line)
		if err != nil {
			return err
		}
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

// caseOf reads one element of the list.
func caseOf(value any, file string, line int) (Case, error) {
	c := Case{File: file, Line: line}
	fail := func(format string, args ...any) (Case, error) {
		return Case{}, &Error{File: file, Line: line, Message: fmt.Sprintf(format, args...)}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return fail("%v", errNotCases)
	}
	if c.Name, ok = object["name"].(string); !ok || c.Name == "" {
		return fail("a case wants a name")
	}
	if c.Op, ok = object["op"].(string); !ok {
		return fail("case %s: want an op: decide, assign, signup, search, validate or validate_change", c.Name)
	}
	if !known(c.Op) {
		return fail("case %s: unknown op %q: want decide, assign, signup, search, validate or validate_change", c.Name, c.Op)
	}
	for key, into := range map[string]*map[string]any{"data": &c.Data, "old": &c.Old, "request": &c.Request} {
		if object[key] == nil {
			continue
		}
		if *into, ok = object[key].(map[string]any); !ok {
			return fail("case %s: %s is %s, want an object", c.Name, key, kind(object[key]))
		}
	}
	if c.Expect, ok = object["expect"]; !ok {
		return fail("case %s: it expects nothing", c.Name)
	}
	return c, nil
}

func known(op string) bool {
	switch op {
	case "decide", "assign", "signup", "search", "validate", "validate_change":
		return true
	default:
		return false
	}
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "a number"
	}
}

// lineCounter remembers where the lines of what was read begin.
type lineCounter struct {
	reader io.Reader
	read   int64
	ends   []int64 // offsets of the newlines
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.reader.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.ends = append(l.ends, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at is the line of an offset, from 1.
func (l *lineCounter) at(offset int64) int {
	return 1 + sort.Search(len(l.ends), func(i int) bool { return l.ends[i] >= offset })
}
