package importer

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// field is a member of an object whose members have an order of their own.
type field struct {
	name  string
	value any
}

// ordered is an object; members without a value are left out.
type ordered []field

func (o *ordered) text(name, value string) {
	if value != "" {
		*o = append(*o, field{name, value})
	}
}

func (o *ordered) add(name string, value any, there bool) {
	if there {
		*o = append(*o, field{name, value})
	}
}

// compact writes a value in one line, objects sorted.
func compact(v any) ([]byte, error) {
	if o, ok := v.(ordered); ok {
		var b bytes.Buffer
		b.WriteByte('{')
		for i, f := range o {
			if i > 0 {
				b.WriteString(", ")
			}
			name, err := compact(f.name)
			if err != nil {
				return nil, err
			}
			value, err := compact(f.value)
			if err != nil {
				return nil, err
			}
			b.Write(name)
			b.WriteString(": ")
			b.Write(value)
		}
		b.WriteByte('}')
		return b.Bytes(), nil
	}
	if text, ok := v.(string); ok && plain(text) {
		return append(append([]byte{'"'}, text...), '"'), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return spaced(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// plain says whether a string is written in JSON as it is, as nearly all are.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// spaced puts a blank behind each colon and comma, as people write them.
func spaced(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	quoted, escaped := false, false
	for _, c := range text {
		out = append(out, c)
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
		case c == '"':
			quoted = true
		case c == ':' || c == ',':
			out = append(out, ' ')
		}
	}
	return out
}

// expanded writes a value with the members of its outer objects on lines of their
// own, so many levels deep: what changes in one of them is one line of a diff.
func expanded(v any, levels int) ([]byte, error) {
	var b bytes.Buffer
	if err := expand(&b, v, levels, ""); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func expand(b *bytes.Buffer, v any, levels int, indent string) error {
	members, isObject := v.(ordered)
	if m, ok := v.(map[string]any); ok {
		isObject = true
		for _, name := range slices.Sorted(maps.Keys(m)) {
			members = append(members, field{name, m[name]})
		}
	}
	if !isObject || levels == 0 || len(members) == 0 {
		text, err := compact(v)
		b.Write(text)
		return err
	}
	b.WriteString("{\n")
	for i, f := range members {
		name, err := compact(f.name)
		if err != nil {
			return err
		}
		b.WriteString(indent + "  ")
		b.Write(name)
		b.WriteString(": ")
		if err := expand(b, f.value, levels-1, indent+"  "); err != nil {
			return err
		}
		if i < len(members)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString(indent + "}")
	return nil
}
