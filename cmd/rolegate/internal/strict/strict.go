// Package strict reads settings into a struct: from YAML, in which every fault is
// told with its place and what was probably meant, and leaf by leaf from the text
// of environment variables and flags. It knows nothing of what is set.
package strict

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds nesting, so that a document that holds itself by an alias ends.
const maxDepth = 64

// Fault is one thing that is wrong with a document.
type Fault struct {
	File         string
	Line, Column int    // from 1; 0 when unknown
	Path         string // of the setting, with dots; "" for the whole document
	Message      string
	Hint         string // what was probably meant; "" when nothing is near
}

// Error is "file:line:column: message (hint)".
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Column > 0 {
		fmt.Fprintf(&b, ":%d", f.Column)
	}
	b.WriteString(": " + f.Message)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// YAML reads one document into the struct that into points to. Keys that are not
// there keep their value; an empty document changes nothing. It answers the line of
// every setting it wrote, by path. The error joins a [Fault] for each thing wrong;
// into is then not to be used.
func YAML(file string, data io.Reader, into any) (lines map[string]int, err error) {
	doc, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	return Read(file, doc, into)
}

// Parse reads one document; nil is an empty one. The error is a [Fault].
func Parse(file string, data io.Reader) (*yaml.Node, error) {
	var doc, second yaml.Node
	dec := yaml.NewDecoder(data)
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil //nolint:nilnil // says so
	case err != nil:
		return nil, syntax(file, err)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, Fault{File: file, Line: second.Line, Message: "a second document: the settings are one"}
	case !errors.Is(err, io.EOF):
		return nil, syntax(file, err)
	}
	return doc.Content[0], nil
}

// Read reads a node into the struct that into points to, as [YAML] does; nil changes
// nothing.
func Read(file string, n *yaml.Node, into any) (lines map[string]int, err error) {
	r := reader{file: file, lines: map[string]int{}}
	if n != nil {
		r.read(n, reflect.ValueOf(into).Elem(), "", 0)
	}
	return r.lines, errors.Join(r.faults...)
}

type reader struct {
	file   string
	lines  map[string]int
	faults []error
}

// syntax makes a Fault of the parser's "yaml: line 3: what is wrong".
func syntax(file string, err error) Fault {
	f := Fault{File: file, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if rest, ok := strings.CutPrefix(f.Message, "line "); ok {
		if line, what, ok := strings.Cut(rest, ": "); ok {
			f.Line, _ = strconv.Atoi(line)
			f.Message = what
		}
	}
	return f
}

func (r *reader) fault(n *yaml.Node, path, hint, format string, args ...any) {
	r.faults = append(r.faults, Fault{
		File: r.file, Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// read reads n into v by v's type.
func (r *reader) read(n *yaml.Node, v reflect.Value, path string, depth int) {
	for n.Kind == yaml.AliasNode && depth <= maxDepth {
		n, depth = n.Alias, depth+1
	}
	switch {
	case depth > maxDepth:
		r.fault(n, path, "", "nested deeper than %d levels", maxDepth)
	case n.Tag == "!!null":
		// "key:" without a value is a key that was left out.
	case own(v):
		r.decode(n, v, path)
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		r.read(n, v.Elem(), path, depth+1)
	case v.Kind() == reflect.Struct:
		r.readStruct(n, v, path, depth)
	case v.Kind() == reflect.Map:
		r.readMap(n, v, path, depth)
	case v.Kind() == reflect.Slice:
		r.readSlice(n, v, path, depth)
	case v.Kind() == reflect.Interface:
		r.decode(n, v, path)
	case n.Kind != yaml.ScalarNode:
		r.fault(n, path, "", "%s: want %s, got %s", path, wanted(v.Type()), kind(n))
	default:
		r.lines[path] = n.Line
		if err := set(v, n.Value); err != nil {
			r.fault(n, path, "", "%s: %v", path, err)
		}
	}
}

// own says whether a type reads itself.
func own(v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	switch v.Addr().Interface().(type) {
	case yaml.Unmarshaler, encoding.TextUnmarshaler:
		return true
	default:
		return false
	}
}

func (r *reader) decode(n *yaml.Node, v reflect.Value, path string) {
	r.lines[path] = n.Line
	if err := n.Decode(v.Addr().Interface()); err != nil {
		r.fault(n, path, "", "%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
}

// pairs answers the keys and values of a mapping; faults are told.
func (r *reader) pairs(n *yaml.Node, path string, each func(key, value *yaml.Node, path string)) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "", "%s: want a mapping, got %s", nonEmpty(path, "the document"), kind(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fault(key, path, "", "%s: a key is %s, want a word", nonEmpty(path, "the document"), kind(key))
		case key.Tag == "!!merge":
			r.fault(key, path, "", "merge keys (<<) are not known here: write the keys out")
		case seen[key.Value]:
			r.fault(key, path, "", "key %q stands here twice", key.Value)
		default:
			seen[key.Value] = true
			each(key, value, join(path, key.Value))
		}
	}
}

func (r *reader) readStruct(n *yaml.Node, v reflect.Value, path string, depth int) {
	fields := fieldsOf(v)
	r.pairs(n, path, func(key, value *yaml.Node, path string) {
		for _, f := range fields {
			if f.name == key.Value {
				r.read(value, f.value, path, depth+1)
				return
			}
		}
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.name
		}
		r.fault(key, path, didYouMean(key.Value, names), "unknown key %q", key.Value)
	})
}

func (r *reader) readMap(n *yaml.Node, v reflect.Value, path string, depth int) {
	m := reflect.MakeMap(v.Type())
	r.pairs(n, path, func(key, value *yaml.Node, path string) {
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if err := set(k, key.Value); err != nil {
			r.fault(key, path, "", "key %q: %v", key.Value, err)
			return
		}
		r.read(value, e, path, depth+1)
		m.SetMapIndex(k, e)
	})
	v.Set(m)
}

func (r *reader) readSlice(n *yaml.Node, v reflect.Value, path string, depth int) {
	if n.Kind != yaml.SequenceNode {
		r.fault(n, path, "", "%s: want a list, got %s", path, kind(n))
		return
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		r.read(item, s.Index(i), path+"["+strconv.Itoa(i)+"]", depth+1)
	}
	v.Set(s)
}

type field struct {
	name  string
	value reflect.Value
}

// fieldsOf answers the settings of a struct: its exported fields by their yaml name,
// those of inlined structs among them.
func fieldsOf(v reflect.Value) []field {
	var fields []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case slices.Contains(strings.Split(options, ","), "inline"):
			fields = append(fields, fieldsOf(v.Field(i))...)
		default:
			fields = append(fields, field{nonEmpty(name, strings.ToLower(f.Name)), v.Field(i)})
		}
	}
	return fields
}

// Leaf is one setting that a single text can set.
type Leaf struct {
	Path  string // with dots: "cache.entries"
	value reflect.Value
}

// Leaves answers the settings of the struct that into points to, in order: every
// field that is a text, a number, a bool, a duration, a list of texts, or a type
// that reads itself from text.
func Leaves(into any) []Leaf { return leaves(reflect.ValueOf(into).Elem(), "") }

func leaves(v reflect.Value, path string) []Leaf {
	var all []Leaf
	for _, f := range fieldsOf(v) {
		switch path := join(path, f.name); {
		case wanted(f.value.Type()) != "":
			all = append(all, Leaf{path, f.value})
		case f.value.Kind() == reflect.Struct:
			all = append(all, leaves(f.value, path)...)
		}
	}
	return all
}

// Set writes the setting from a text; a list is separated by commas.
func (l Leaf) Set(text string) error { return set(l.value, text) }

// String is the setting as a text that Set takes.
func (l Leaf) String() string {
	if s, ok := reflect.TypeAssert[[]string](l.value); ok {
		return strings.Join(s, ",")
	}
	return fmt.Sprint(l.value.Interface())
}

// IsBool says whether the setting is a bool: its flag needs no value.
func (l Leaf) IsBool() bool { return l.value.Kind() == reflect.Bool }

// Want says what a text must be: "an integer".
func (l Leaf) Want() string { return wanted(l.value.Type()) }

// set writes a scalar from its text.
func set(v reflect.Value, text string) error {
	bad := fmt.Errorf("want %s, got %q", wanted(v.Type()), text)
	if v.CanAddr() {
		if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
			return u.UnmarshalText([]byte(text))
		}
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return bad
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return bad
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 0, v.Type().Bits())
		if err != nil {
			return bad
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 0, v.Type().Bits())
		if err != nil {
			return bad
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return bad
		}
		v.SetFloat(n)
	case reflect.Slice:
		var list []string
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		v.Set(reflect.ValueOf(list).Convert(v.Type()))
	default:
		return fmt.Errorf("a %s is not set by a text", v.Kind())
	}
	return nil
}

// wanted says in words what a text must be for a type; "" when no text can be.
func wanted(t reflect.Type) string {
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "a word"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 50ms or 5m"
	case t == reflect.TypeFor[[]string]():
		return "a list of words"
	}
	switch t.Kind() {
	case reflect.String:
		return "a word"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer from 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return ""
	}
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return strconv.Quote(n.Value)
	default:
		return "something else"
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func nonEmpty(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
