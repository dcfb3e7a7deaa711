package importer

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/rbac"
)

// Object is a record, or an object in one. A nil *Object has no fields, so that
// what hangs below an absent one need not be asked for.
type Object struct {
	b      *Builder
	record *record
	path   []string // of the object in its record
	name   string   // path without the indices of lists
	fields map[string]any
	seen   []string  // fields that were asked for
	below  []*Object // objects that were handed out
}

// record is the text that an object comes from.
type record struct {
	kind string
	of   string
	at   Place
	raw  []byte // valid until the next record is read; nil from then on
}

// Of is what the user says that the file is of (KIND:OF=FILE), "" when nothing.
func (o *Object) Of() string {
	if o == nil {
		return ""
	}
	return o.record.of
}

// Has says whether a field is there and not null. It does not make the field known.
func (o *Object) Has(field string) bool { return o != nil && o.fields[field] != nil }

// Known names fields that are understood, and have no place in a bundle.
func (o *Object) Known(fields ...string) {
	if o != nil {
		o.seen = append(o.seen, fields...)
	}
}

// Value is a field as it is decoded, numbers as [encoding/json.Number]; nil when it
// is absent.
func (o *Object) Value(field string) any {
	if o == nil {
		return nil
	}
	if !slices.Contains(o.seen, field) {
		o.seen = append(o.seen, field)
	}
	return o.fields[field]
}

// Text is a string, "" when it is absent.
func (o *Object) Text(field string) string {
	v := o.Value(field)
	s, ok := v.(string)
	if !ok && v != nil {
		o.wrong(field, "a string", v)
	}
	return s
}

// Need is [Object.Text] of a field that may be neither absent nor empty.
func (o *Object) Need(field string) string {
	s := o.Text(field)
	if s == "" && (!o.Has(field) || o.fields[field] == "") {
		o.Fault("", CodeField, "without %q", joined(o.name, field))
	}
	return s
}

// Flag is true or false; false when it is absent.
func (o *Object) Flag(field string) bool {
	v := o.Value(field)
	flag, ok := v.(bool)
	if !ok && v != nil {
		o.wrong(field, "true or false", v)
	}
	return flag
}

// Integer is a whole number; ok when it is there.
func (o *Object) Integer(field string) (n int64, ok bool) {
	v := o.Value(field)
	if v == nil {
		return 0, false
	}
	number, isNumber := v.(json.Number)
	n, err := number.Int64()
	if !isNumber || err != nil {
		o.wrong(field, "a whole number", v)
		return 0, false
	}
	return n, true
}

// Instant reads a time of RFC 3339 as milliseconds; ok when it is there and one. A
// time without a zone is a fault: nobody knows which instant it is.
func (o *Object) Instant(field string) (ms int64, ok bool) {
	text := o.Text(field)
	if text == "" {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		o.Fault(field, CodeField, "%s: want a time as 2026-01-02T15:04:05Z, got %q", field, text)
		return 0, false
	}
	return t.UnixMilli(), true
}

// Texts is a list of strings.
func (o *Object) Texts(field string) []string {
	var out []string
	for i, v := range o.List(field) {
		s, ok := v.(string)
		if !ok {
			o.wrongAt([]string{field, strconv.Itoa(i)}, field, "a list of strings", v)
			continue
		}
		out = append(out, s)
	}
	return out
}

// List is a list as it is decoded.
func (o *Object) List(field string) []any {
	v := o.Value(field)
	list, ok := v.([]any)
	if !ok && v != nil {
		o.wrong(field, "a list", v)
	}
	return list
}

// Object is an object in this one, nil when it is absent.
func (o *Object) Object(field string) *Object {
	v := o.Value(field)
	if v == nil {
		return nil
	}
	fields, ok := v.(map[string]any)
	if !ok {
		o.wrong(field, "an object", v)
		return nil
	}
	return o.child(fields, field)
}

// Objects is a list of objects.
func (o *Object) Objects(field string) []*Object {
	var out []*Object
	for i, v := range o.List(field) {
		fields, ok := v.(map[string]any)
		if !ok {
			o.wrongAt([]string{field, strconv.Itoa(i)}, field, "a list of objects", v)
			continue
		}
		out = append(out, o.child(fields, field, strconv.Itoa(i)))
	}
	return out
}

func (o *Object) child(fields map[string]any, below ...string) *Object {
	c := &Object{
		b: o.b, record: o.record, fields: fields,
		path: append(slices.Clip(o.path), below...), name: joined(o.name, below[0]),
	}
	o.below = append(o.below, c)
	return c
}

func joined(name, field string) string {
	if name == "" {
		return field
	}
	return name + "." + field
}

// Names lists the fields that are not null, sorted. It makes none of them known.
func (o *Object) Names() []string {
	if o == nil {
		return nil
	}
	var names []string
	for name, v := range o.fields {
		if v != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// At is where a field stands, or with "" the object itself. It is exact while the
// record is being read, and the record's own place afterwards.
func (o *Object) At(field string) Place {
	if o == nil {
		return Place{}
	}
	if field == "" {
		return o.at(o.path)
	}
	return o.at(append(slices.Clip(o.path), field))
}

func (o *Object) at(path []string) Place {
	at := o.record.at
	if o.record.raw == nil || len(path) == 0 {
		return at
	}
	value := document.LocateJSON(o.record.raw, [][]string{path})[0].Value
	if value.Line == 1 {
		at.Column += value.Column - 1
	} else {
		at.Column = value.Column
	}
	at.Line += value.Line - 1
	return at
}

// Fault says what makes the export unusable.
func (o *Object) Fault(field, code, format string, args ...any) {
	o.b.Fault(o.At(field), code, o.record.kind, "", format, args...)
}

// Warn says what is not mapped.
func (o *Object) Warn(field, code, format string, args ...any) {
	o.b.Warn(o.At(field), code, o.record.kind, "", format, args...)
}

func (o *Object) wrong(field, want string, v any) { o.wrongAt([]string{field}, field, want, v) }

func (o *Object) wrongAt(below []string, field, want string, v any) {
	at := o.at(append(slices.Clip(o.path), below...))
	o.b.Fault(at, CodeField, o.record.kind, "", "%s: want %s, got %s", joined(o.name, field), want, rbac.Kind(v))
}

// unread counts the fields that nobody asked for.
func (o *Object) unread() {
	for field, v := range o.fields {
		if v != nil && !slices.Contains(o.seen, field) {
			o.b.unknown(o, field)
		}
	}
	for _, c := range o.below {
		c.unread()
	}
}

func kindList(kinds []Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}
