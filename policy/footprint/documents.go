package footprint

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Document is what one document or function of a policy reads, and all that it uses, as
// an entry point uses it: of what it only hands on it reads whether it is there, unless
// the entry point reads more of it; and a function reads what it is given there.
type Document struct {
	Ref              ast.Ref       // data.a.b
	At               *ast.Location // its first definition; nil when it has no position
	Paths            []Path        // in the order of the document
	Nondeterministic []Call        // by name
}

// Documents finds what each document and function reads that an entry point reaches, the
// entry point among them, in the order of their names; never nil. Whatever one of them
// reads is read by the entry point. The arguments are those of [Analyze]. It costs up to
// as much as one analysis for each document: it is for tools.
func Documents(c *ast.Compiler, entrypoint ast.Ref, constant func(ast.Ref) ast.Value) []Document {
	whole := analyze(c, entrypoint, constant)
	if rules := whole.rulesFor(entrypoint); len(rules) > 0 {
		if spent, complete := completeDocument(rules, entrypoint); complete && spent == len(entrypoint) {
			whole.at = rules[0].Location
			for _, r := range rules {
				whole.escapeValue(r) // who asks reads the answer
			}
		}
	}
	definitions := map[string][]*ast.Rule{}
	for _, r := range whole.rules {
		name := r.Ref().GroundPrefix().String()
		definitions[name] = append(definitions[name], r)
	}
	list := make([]Document, 0, len(definitions))
	for _, rules := range definitions {
		slices.SortFunc(rules, func(x, y *ast.Rule) int { return comparePositions(x.Location, y.Location) })
		f := whole.alone(rules).footprint()
		list = append(list, Document{rules[0].Ref().GroundPrefix(), rules[0].Location, f.Paths, f.Nondeterministic})
	}
	slices.SortFunc(list, func(x, y Document) int { return strings.Compare(x.Ref.String(), y.Ref.String()) })
	return list
}

// alone analyzes the definitions of one document by themselves, as they are used here.
func (a *analysis) alone(rules []*ast.Rule) *analysis {
	d := newAnalysis(a.compiler, a.constant)
	d.builtins, d.known, d.found = a.builtins, a.known, a.found // the same for every analysis
	d.mocked = maps.Clone(a.mocked)
	for _, r := range rules {
		d.used(name{r, ""}, a)
		for _, t := range r.Head.Args {
			if v, ok := t.Value.(ast.Var); ok {
				d.used(name{r, v}, a)
			}
		}
	}
	d.settle(func() {
		for _, r := range rules {
			d.reach(r)
		}
	})
	return d
}

// used takes over what whole knows of the uses of a name: what it can be, what it stands
// for if it is an argument, and whether that is read in full.
func (a *analysis) used(n name, whole *analysis) {
	if c := whole.arguments[n]; c != nil {
		a.arguments[n] = &constants{slices.Clone(c.list), c.unknown}
	}
	if s := whole.points[n]; s != nil && n.v != "" {
		for _, p := range s.list {
			a.pointsTo(n).add(a.same(p))
		}
	}
	if at, ok := whole.escaped[n]; ok {
		a.escaped[n] = at
		a.readEscaped(n)
	}
}

// same is the place where another analysis has p.
func (a *analysis) same(p *place) *place {
	if p.parent == nil {
		return a.root
	}
	return a.child(a.same(p.parent), p.key)
}
