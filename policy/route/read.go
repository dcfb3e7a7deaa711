package route

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parser collects problems.
type parser struct{ problems []Problem }

// place is where in the document the parser is.
type place struct {
	subject string
	path    []string
}

func (at place) in(key string) place {
	return place{at.subject, append(slices.Clip(at.path), key)}
}

func (at place) item(i int) place { return at.in(strconv.Itoa(i)) }

func (p *parser) report(code string, at place, message, hint string) {
	p.problems = append(p.problems, Problem{Code: code, Subject: at.subject, Path: at.path, Message: message, Hint: hint})
}

// check reports wrong, if it is something, and says whether all is well.
func (p *parser) check(at place, wrong *fault) bool {
	if wrong != nil {
		p.report(CodeBadShape, at, wrong.message, wrong.hint)
	}
	return wrong == nil
}

// object reads an object that has no keys but the known ones.
func (p *parser) object(at place, value any, known ...string) (map[string]any, bool) {
	obj, ok := value.(map[string]any)
	if !ok {
		p.report(CodeBadShape, at, "want an object, have "+kindOf(value), "")
		return nil, false
	}
	for _, key := range slices.Sorted(maps.Keys(obj)) {
		if slices.Contains(known, key) {
			continue
		}
		hint := "known keys: " + strings.Join(known, ", ")
		if near := closest(key, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		p.report(CodeBadShape, at.in(key), fmt.Sprintf("unknown key %q", key), hint)
	}
	return obj, true
}

// text reads the string that at's last key names; ok is false when there is none.
func (p *parser) text(at place, obj map[string]any) (text string, ok bool) {
	value, present := obj[at.path[len(at.path)-1]]
	if !present {
		return "", false
	}
	text, ok = value.(string)
	if !ok {
		p.report(CodeBadShape, at, "want a string, have "+kindOf(value), "")
	}
	return text, ok
}

// required is text that must be there and not be empty.
func (p *parser) required(at place, obj map[string]any) (string, bool) {
	key := at.path[len(at.path)-1]
	_, present := obj[key]
	text, ok := p.text(at, obj)
	switch {
	case ok && text == "":
		p.report(CodeBadShape, at, fmt.Sprintf("%q is empty", key), "")
	case !ok && !present:
		p.report(CodeBadShape, place{at.subject, at.path[:len(at.path)-1]}, fmt.Sprintf("%q is missing", key), "")
	}
	return text, ok && text != ""
}

func (p *parser) bool(at place, obj map[string]any) bool {
	value, present := obj[at.path[len(at.path)-1]]
	b, ok := value.(bool)
	if present && !ok {
		p.report(CodeBadShape, at, "want true or false, have "+kindOf(value), "")
	}
	return b
}

// strings reads a list of different strings, each judged by check. It returns the
// good ones, nil for an absent list, and whether there was no problem.
func (p *parser) strings(at place, obj map[string]any, check func(string) *fault) (good []string, ok bool) {
	value, present := obj[at.path[len(at.path)-1]]
	if !present {
		return nil, true
	}
	list, ok := value.([]any)
	if !ok {
		p.report(CodeBadShape, at, "want a list of strings, have "+kindOf(value), "")
		return nil, false
	}
	for i, item := range list {
		text, isText := item.(string)
		switch {
		case !isText:
			p.report(CodeBadShape, at.item(i), "want a string, have "+kindOf(item), "")
		case slices.Contains(good, text):
			p.report(CodeBadShape, at.item(i), fmt.Sprintf("%q is listed twice", text), "")
		case p.check(at.item(i), check(text)):
			good = append(good, text)
		}
	}
	return good, len(good) == len(list)
}

// someStrings is strings for lists whose empty one would be taken for "any".
func (p *parser) someStrings(at place, obj map[string]any, check func(string) *fault) (good []string, ok bool) {
	key := at.path[len(at.path)-1]
	if list, isList := obj[key].([]any); isList && len(list) == 0 {
		hint := ""
		if key == "hosts" {
			hint = "leave hosts out for any host"
		}
		p.report(CodeBadShape, at, fmt.Sprintf("%q is an empty list", key), hint)
		return nil, false
	}
	return p.strings(at, obj, check)
}

func kindOf(value any) string {
	switch value.(type) {
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

// compareProblems orders by place, list indices as numbers.
func compareProblems(a, b Problem) int {
	return cmp.Or(
		slices.CompareFunc(a.Path, b.Path, compareKeys),
		cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Message, b.Message),
	)
}

func compareKeys(a, b string) int {
	m, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	switch {
	case err1 == nil && err2 == nil:
		return cmp.Or(cmp.Compare(m, n), cmp.Compare(a, b))
	case err1 == nil:
		return -1
	case err2 == nil:
		return 1
	default:
		return cmp.Compare(a, b)
	}
}
