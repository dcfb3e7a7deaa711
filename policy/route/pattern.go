package route

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is the path of a route.
type pattern struct {
	text   string
	steps  []step
	params []param
}

// step is one segment of a pattern.
type step struct {
	kind stepKind
	text string // of a literal; "" as the last one is a trailing slash
}

type stepKind uint8

const (
	stepLiteral stepKind = iota
	stepOne              // {name}
	stepRest             // {name...}, only as the last step
)

// param is a placeholder of a path.
type param struct {
	name  string
	index int  // of the (first) segment it takes
	rest  bool // {name...}
}

// String is the placeholder without braces.
func (p param) String() string {
	if p.rest {
		return p.name + "..."
	}
	return p.name
}

// segments are the ones that {name...} takes; a trailing slash is none.
func (p param) segments(all []string) []string {
	taken := all[p.index:]
	if n := len(taken); n > 0 && taken[n-1] == "" {
		taken = taken[:n-1]
	}
	return taken
}

// value is the parameter as Match.Params has it.
func (p param) value(all []string, sameSlash bool) string {
	switch {
	case !p.rest:
		return all[p.index]
	case sameSlash:
		return strings.Join(p.segments(all), "/")
	default:
		return strings.Join(all[p.index:], "/")
	}
}

// parsePattern reads a path template. Segments are written decoded, as the
// canonical path has them.
func parsePattern(text string) (pattern, *fault) {
	if wrong := checkPathText(text); wrong != nil {
		return pattern{}, wrong
	}
	p := pattern{text: text}
	texts := strings.Split(text[1:], "/")
	for i, s := range texts {
		if !strings.ContainsAny(s, "{}") {
			if s == "*" || s == "**" {
				return pattern{}, &fault{fmt.Sprintf("%q: * is no wildcard in a path", text), "write {name} for one segment, {name...} for the rest"}
			}
			p.steps = append(p.steps, step{kind: stepLiteral, text: s})
			continue
		}
		q, wrong := parseParam(text, s)
		if wrong != nil {
			return pattern{}, wrong
		}
		if slices.ContainsFunc(p.params, func(other param) bool { return other.name == q.name }) {
			return pattern{}, &fault{fmt.Sprintf("%q names {%s} twice", text, q.name), ""}
		}
		if q.rest && i < len(texts)-1 {
			return pattern{}, &fault{fmt.Sprintf("%q: {%s...} takes the rest of the path, so nothing can follow it", text, q.name), fmt.Sprintf("write {%s} for one segment", q.name)}
		}
		q.index = i
		p.params = append(p.params, q)
		kind := stepOne
		if q.rest {
			kind = stepRest
		}
		p.steps = append(p.steps, step{kind: kind})
	}
	return p, nil
}

// parseParam reads a segment that holds a brace.
func parseParam(path, s string) (param, *fault) {
	inner, closed := strings.CutSuffix(s, "}")
	inner, opened := strings.CutPrefix(inner, "{")
	if !opened || !closed || strings.ContainsAny(inner, "{}") {
		return param{}, &fault{fmt.Sprintf("%q: %q is neither a literal nor one placeholder", path, s), "a placeholder is a whole segment: {name}, or {name...} at the end"}
	}
	name, rest := strings.CutSuffix(inner, "...")
	switch {
	case !isName(name):
		return param{}, &fault{fmt.Sprintf("%q: {%s} is not a name", path, inner), "letters, digits, _ and -, beginning with a letter or _"}
	case name == "host":
		return param{}, &fault{fmt.Sprintf("%q: {host} is the request's host in templates", path), "choose another name"}
	}
	return param{name: name, rest: rest}, nil
}

func isName(s string) bool {
	for i, r := range s {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}

// checkPathText refuses text that no canonical path can hold, for routes and for
// prefixes.
func checkPathText(text string) *fault {
	if !strings.HasPrefix(text, "/") {
		return &fault{fmt.Sprintf("%q does not begin with /", text), ""}
	}
	switch {
	case strings.ContainsAny(text, "?#"):
		return &fault{fmt.Sprintf("%q: a path ends before ? and #", text), "{query.name} reads a parameter, in resource and action"}
	case strings.Contains(text, "%"):
		return &fault{fmt.Sprintf("%q holds a %%: no canonical path does", text), "write the segment decoded"}
	case strings.Contains(text, `\`), !utf8.ValidString(text), strings.ContainsFunc(text, unicode.IsControl):
		return &fault{fmt.Sprintf("%q holds what is refused in every request: a backslash, a control character or what is not UTF-8", text), ""}
	}
	segments := strings.Split(text[1:], "/")
	for i, s := range segments {
		switch name, _, _ := strings.Cut(s, ";"); {
		case name == "." || name == "..":
			return &fault{fmt.Sprintf("%q has a dot segment: no canonical path does", text), ""}
		case name == "" && (s != "" || i < len(segments)-1):
			return &fault{fmt.Sprintf("%q has an empty segment: no canonical path does", text), ""}
		}
	}
	return nil
}
