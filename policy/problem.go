package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of what a bundle brings: a code from the role model, from
// the route table or from the compiler, and the place that caused it.
type Problem struct {
	Code    string   // bad_shape, unknown_owner, rego_type_error, …
	Subject string   // what the code speaks of: "acme.ops", "acme:ann"; "" for a whole file
	Path    []string // of the value below data; nil when the place is a line of Rego
	File    string   // "" until known
	Line    int      // from 1; 0 when unknown
	Column  int      // from 1; 0 when unknown
	Message string
	Hint    string // what would be right; "" when nothing is known
	Warning bool   // has no effect on decisions that the author may have meant it to have; does not refuse the bundle
}

// String is "file:line:column: code: message (hint)".
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	case p.File != "":
		b.WriteString(p.File + ": ")
	case len(p.Path) > 0:
		b.WriteString(strings.Join(p.Path, "/") + ": ")
	}
	b.WriteString(p.Code + ": " + p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems is what keeps a snapshot from being built, or what it warns of.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Refusals answers the problems that refuse a bundle, nil when all only warn.
func (ps Problems) Refusals() Problems {
	return slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool { return p.Warning })
}

// Sort orders the problems by place, then by code and subject.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			slices.Compare(a.Path, b.Path), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject),
		)
	})
}
