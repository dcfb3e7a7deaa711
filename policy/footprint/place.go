package footprint

import (
	"cmp"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxDepth bounds the paths that are followed: a function applied to its own result
// would otherwise have paths without end. Below it the whole value is read.
const maxDepth = 12

// Level is how much of a place an answer can depend on. The zero value is nothing.
type Level uint8

// The levels, each including those before it.
const (
	Nothing Level = iota
	Defined       // whether it is there
	Type          // that, and the name of its type
	Full          // its whole value
)

// String is the level as tools print it: the two that do not need the value are
// one word to people.
func (l Level) String() string {
	switch l {
	case Full:
		return "full"
	case Defined, Type:
		return "exists"
	default:
		return "nothing"
	}
}

// place is one location of the input document, a node of the tree of all that a
// policy can read.
type place struct {
	parent   *place
	key      *ast.Term // nil at the root
	children map[string]*place
	depth    int
	level    Level
	at       *ast.Location // what raised the level to where it is; may be nil
}

// ref is input.a.b for the place.
func (p *place) ref() ast.Ref {
	if p.parent == nil {
		return ast.InputRootRef.Copy()
	}
	return append(p.parent.ref(), p.key)
}

// sorted are the children in the order of their keys.
func (p *place) sorted() []*place {
	return slices.SortedFunc(maps.Values(p.children), func(a, b *place) int {
		return a.key.Value.Compare(b.key.Value)
	})
}

// places is a set of locations in the order in which they were found, so that two
// runs over one policy say the same.
type places struct {
	list []*place
	has  map[*place]bool
}

// add says whether p is new.
func (s *places) add(p *place) bool {
	if s.has[p] {
		return false
	}
	if s.has == nil {
		s.has = map[*place]bool{}
	}
	s.has[p] = true
	s.list = append(s.list, p)
	return true
}

// Path is one location of a footprint.
type Path struct {
	Ref   ast.Ref // input.a.b
	Level Level
	At    *ast.Location // the Rego that forced the level; nil when it has no position
}

// paths lists what is read below p, in the order of the keys. Below a full place
// everything is covered by it.
func (p *place) paths() []Path {
	var list []Path
	if p.level != Nothing {
		list = append(list, Path{Ref: p.ref(), Level: p.level, At: p.at})
	}
	if p.level == Full {
		return list
	}
	for _, c := range p.sorted() {
		list = append(list, c.paths()...)
	}
	return list
}

// comparePositions orders positions by file, line and column; no position comes last.
func comparePositions(a, b *ast.Location) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col))
}
