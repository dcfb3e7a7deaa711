package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/rolegate/rolegate/policy"
)

// Codes of faults and warnings, beside those of the readers (bad_json, duplicate_key,
// bad_encoding, truncated, …) and of validation.
const (
	CodeField      = "bad_field"       // a field of another type, or without a value where one is needed
	CodeUnknown    = "unknown_record"  // nothing says what a record is
	CodeOther      = "other_vendor"    // a record of another system
	CodeDuplicate  = "duplicate_id"    // two records of one kind and id
	CodeDangling   = "dangling"        // a name that nothing bears
	CodePage       = "page_missing"    // pages that others speak of were not given
	CodeUnmapped   = "not_mapped"      // something that the model does not have
	CodeIncomplete = "nothing_to_read" // no record at all
	CodeLimit      = "over_limit"      // more than a server reads unless it is told to
)

// mostOfACode is how many problems of one code are kept; the rest is counted.
const mostOfACode = 1000

// Place is where something stands in an export. The zero value is nowhere.
type Place struct {
	File   string `json:"f,omitempty"`
	Line   int    `json:"l,omitempty"` // from 1
	Column int    `json:"c,omitempty"` // in characters, from 1
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// problems are what was found, some of each code.
type problems struct {
	kept   policy.Problems
	count  map[string]int
	faults int
}

func (ps *problems) add(at Place, warning bool, code, subject, hint, message string) {
	if ps.count == nil {
		ps.count = map[string]int{}
	}
	if !warning {
		ps.faults++
	}
	ps.count[code]++
	if ps.count[code] > mostOfACode {
		return
	}
	ps.kept = append(ps.kept, policy.Problem{
		Code: code, Subject: subject, File: at.File, Line: at.Line, Column: at.Column, Message: message, Hint: hint, Warning: warning,
	})
}

// sorted answers what was kept, and what was not as one more of its code.
func (ps *problems) sorted(warnings bool) policy.Problems {
	out := slices.DeleteFunc(slices.Clone(ps.kept), func(p policy.Problem) bool { return p.Warning != warnings })
	out.Sort()
	for _, code := range slices.Sorted(maps.Keys(ps.count)) {
		at := slices.IndexFunc(out, func(p policy.Problem) bool { return p.Code == code })
		if more := ps.count[code] - mostOfACode; more > 0 && at >= 0 {
			out = append(out, policy.Problem{Code: code, Warning: warnings, Message: fmt.Sprintf("and %d more of this", more)})
		}
	}
	return out
}

// Unknown is a field that no record of its kind was expected to have.
type Unknown struct {
	Kind  string // of the records: roles
	Field string // with the fields around it: sources.details
	Count int
	First Place
}

func sortUnknown(list []Unknown) {
	slices.SortFunc(list, func(a, b Unknown) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Field, b.Field))
	})
}
