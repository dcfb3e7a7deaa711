package filter

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Op is what a filter does, by the word that conditions have for it too.
type Op string

// The operators.
const (
	And   Op = "and"
	Or    Op = "or"
	Not   Op = "not"
	True  Op = "true"
	False Op = "false"

	Present      Op = "pr"
	Equal        Op = "eq"
	Contains     Op = "co"
	StartsWith   Op = "sw"
	Less         Op = "lt"
	LessEqual    Op = "le"
	Greater      Op = "gt"
	GreaterEqual Op = "ge"
)

// Filter is a query filter as a tree. The zero value is none: it prints as nothing
// and has no condition.
type Filter struct {
	Op      Op
	Pointer string   // of comparisons and pr: a JSON pointer, beginning with a slash
	Value   any      // of comparisons: a string, a bool or a [json.Number]
	Of      []Filter // of and, or: two or more; of not: one
}

// String is the text that [Parse] reads as f again: with as few parentheses as that
// takes, pointers with their slash, strings in double quotes.
func (f Filter) String() string {
	var b strings.Builder
	f.print(&b)
	return b.String()
}

func (f Filter) print(b *strings.Builder) {
	switch f.Op {
	case And, Or:
		for i, part := range f.Of {
			if i > 0 {
				fmt.Fprintf(b, " %s ", f.Op)
			}
			// An or in an or would else become one list with it.
			if part.Op == Or || part.Op == And && f.Op == And {
				part.printEnclosed(b)
			} else {
				part.print(b)
			}
		}
	case Not:
		for _, part := range f.Of {
			b.WriteByte('!')
			part.printEnclosed(b)
		}
	case Present:
		fmt.Fprintf(b, "%s %s", f.Pointer, f.Op)
	case Equal, Contains, StartsWith, Less, LessEqual, Greater, GreaterEqual:
		fmt.Fprintf(b, "%s %s ", f.Pointer, f.Op)
		printValue(b, f.Value)
	case True, False:
		b.WriteString(string(f.Op))
	}
}

func (f Filter) printEnclosed(b *strings.Builder) {
	b.WriteByte('(')
	f.print(b)
	b.WriteByte(')')
}

func printValue(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteByte('"')
		for _, r := range v {
			if r == '"' || r == '\\' {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
		b.WriteByte('"')
	case bool, json.Number:
		fmt.Fprint(b, v)
	}
}

// Attributes adds to names the attributes that f looks at: the first name of each
// pointer.
func (f Filter) Attributes(names map[string]bool) {
	if f.Pointer != "" {
		names[unescape(firstName(f.Pointer))] = true
	}
	for _, part := range f.Of {
		part.Attributes(names)
	}
}

func firstName(pointer string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return name
}

func unescape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
}
