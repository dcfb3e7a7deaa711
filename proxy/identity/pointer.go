package identity

import (
	"errors"
	"strconv"
	"strings"
)

// pointer is a JSON pointer in segments. A segment `*` is every element of a list.
// nil points to nothing.
type pointer []string

// everyElement has no escape: a member of that name cannot be pointed to.
const everyElement = "*"

var errPointer = errors.New("is not a JSON pointer, want one like /realm_access/roles (~0 is ~, ~1 is /)")

// parsePointer reads RFC 6901. "" is nil, not the whole document.
func parsePointer(text string) (pointer, error) {
	if text == "" {
		return nil, nil
	}
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return nil, errPointer
	}
	p := pointer(strings.Split(rest, "/"))
	unescape := strings.NewReplacer("~0", "~", "~1", "/")
	for i, segment := range p {
		if strings.Count(segment, "~") != strings.Count(segment, "~0")+strings.Count(segment, "~1") {
			return nil, errPointer
		}
		p[i] = unescape.Replace(segment)
	}
	return p, nil
}

// find gives each value that p points to in v, in order, and no null: null is
// absent.
func (p pointer) find(v any, give func(any)) {
	if p == nil {
		return
	}
	p.walk(v, give)
}

func (p pointer) walk(v any, give func(any)) {
	if len(p) == 0 {
		if v != nil {
			give(v)
		}
		return
	}
	switch v := v.(type) {
	case map[string]any:
		p[1:].walk(v[p[0]], give)
	case []any:
		if p[0] == everyElement {
			for _, element := range v {
				p[1:].walk(element, give)
			}
			return
		}
		if i, _ := strconv.Atoi(p[0]); 0 <= i && i < len(v) && strconv.Itoa(i) == p[0] {
			p[1:].walk(v[i], give)
		}
	}
}

// one is the value that p points to; ok is false where there are several.
func (p pointer) one(v any) (value any, ok bool) {
	n := 0
	p.find(v, func(found any) {
		value = found
		n++
	})
	return value, n <= 1
}
