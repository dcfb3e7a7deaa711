package loader

import (
	"crypto/sha256"
	"path"
	"slices"

	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

// question is where a value stands; it is asked of every file that may hold it.
type question struct {
	problem *policy.Problem
	atValue bool // not at its key
	found   int  // elements of the path that the best file so far has
}

// place fills in File, Line and Column of the problems that know their place as a
// path below data. OPA forgets the lines of data, and an index of them would cost
// more than the data: the files are read again, once each, when something is wrong.
func place(problems policy.Problems, bundles []*bundle) policy.Problems {
	questions := make([]question, len(problems))
	for i := range problems {
		questions[i] = question{problem: &problems[i]}
	}
	answer(questions, bundles)
	problems.Sort()
	return problems
}

// placeFaults is [place] for faults that know more about their place.
func placeFaults(faults []rbac.Fault, bundles []*bundle) policy.Problems {
	problems := make(policy.Problems, len(faults))
	questions := make([]question, len(faults))
	for i, f := range faults {
		problems[i] = f.Problem
		questions[i] = question{problem: &problems[i], atValue: !f.AtKey}
	}
	answer(questions, bundles)
	problems.Sort()
	return problems
}

func answer(questions []question, bundles []*bundle) {
	questions = slices.DeleteFunc(questions, func(q question) bool { return q.problem.Line > 0 || len(q.problem.Path) == 0 })
	// A file is named only by what is in it: the problem's own File restricts the search.
	only := make([]string, len(questions))
	for i, q := range questions {
		only[i], questions[i].found = q.problem.File, -1
	}
	for _, b := range bundles {
		for _, f := range b.files {
			var asked []int
			var paths [][]string
			for i, q := range questions {
				if (only[i] == "" || only[i] == b.prefix+f.name) && (root{path: f.dir}).contains(q.problem.Path) {
					asked = append(asked, i)
					paths = append(paths, q.problem.Path[len(f.dir):])
				}
			}
			if len(asked) == 0 {
				continue
			}
			for i, at := range locate(b, f, paths) {
				questions[asked[i]].settle(b.prefix+f.name, len(f.dir), at)
			}
		}
	}
}

// settle takes a file's answer if it is better than what was found before.
func (q *question) settle(file string, above int, at document.Place) {
	if at.Value.Line == 0 || above+at.Found <= q.found {
		return
	}
	q.found = above + at.Found
	where := at.Key
	if q.atValue && q.found == len(q.problem.Path) {
		where = at.Value
	}
	q.problem.File, q.problem.Line, q.problem.Column = file, where.Line, where.Column
}

// locate reads the file again. When it is not what was parsed any more, nothing is
// known: a wrong line is worse than none.
func locate(b *bundle, f dataFile, paths [][]string) []document.Place {
	if b.source == nil {
		return nil
	}
	text, err := b.source(f.name)
	if err != nil || sha256.Sum256(text) != b.sums[f.name] {
		return nil
	}
	if path.Ext(f.name) == ".json" {
		return document.LocateJSON(text, paths)
	}
	return document.LocateYAML(text, paths)
}
