package footprint

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Input answers what stands at a path of the input document. An empty path is the
// whole document.
type Input interface {
	Lookup(path ast.Ref) (ast.Value, bool)
}

// Plan reads a footprint's places from a request, and nothing else, and makes both
// the key and the evaluator's input from what it read. It is immutable.
type Plan struct {
	root  *step
	slots int
	// whole are the places in the order of their slots, where every one of them is read
	// in full: then the key can be written without a look at types. nil: it cannot.
	whole []ast.Ref
}

// step is one place of the plan.
type step struct {
	key   *ast.Term // nil at the root
	path  ast.Ref   // below the input
	level Level
	kids  []*step
	slot  int // in the values read; -1: nothing is read at this place itself
	index int // of an array element; -1: a member of an object
}

// Value is what was read at one place. The zero value is an absent one.
type Value struct {
	defined bool
	kind    string    // the name of the type; "" where it is not read
	value   ast.Value // of a place that is read in full
}

// Plan makes the plan of a footprint.
func (f *Footprint) Plan() *Plan {
	p := &Plan{}
	root := f.root
	if root == nil {
		root = &place{} // of the zero footprint: nothing is read
	}
	p.root = p.step(root, ast.Ref{})
	if whole := p.root.full(nil); len(whole) == p.slots {
		p.whole = whole
	}
	return p
}

// full adds the places at and below s that are read in full, in the order of the slots.
func (s *step) full(paths []ast.Ref) []ast.Ref {
	if s.level == Full {
		return append(paths, s.path)
	}
	for _, kid := range s.kids {
		paths = kid.full(paths)
	}
	return paths
}

func (p *Plan) step(at *place, path ast.Ref) *step {
	s := &step{key: at.key, path: path, level: at.level, slot: -1, index: -1}
	if at.key != nil {
		if n, ok := at.key.Value.(ast.Number); ok {
			if i, ok := n.Int(); ok && i >= 0 {
				s.index = i
			}
		}
	}
	if s.level != Nothing {
		s.slot = p.slots
		p.slots++
	}
	if s.level == Full {
		return s
	}
	for _, c := range at.sorted() {
		kid := p.step(c, append(slices.Clip(path), c.key))
		if kid.level != Nothing || len(kid.kids) > 0 {
			s.kids = append(s.kids, kid)
		}
	}
	return s
}

// Read reads the places from a request, in the footprint's order.
func (p *Plan) Read(in Input) []Value {
	values := make([]Value, p.slots)
	p.root.read(in, values)
	return values
}

// read answers whether the place is there. What stands below it may say so, and of
// what type it is: then it needs not be read itself.
func (s *step) read(in Input, values []Value) (defined bool) {
	if s.level == Full {
		v, ok := in.Lookup(s.path)
		values[s.slot] = Value{defined: ok, value: v}
		return ok
	}
	kind := ""
	for _, kid := range s.kids {
		if kid.read(in, values) {
			kind, defined = "object", true
			if kid.index >= 0 {
				kind = "array"
			}
		}
	}
	if s.level == Nothing {
		return defined
	}
	if !defined {
		v, ok := in.Lookup(s.path)
		if ok {
			kind, defined = ast.ValueName(v), true
		}
	}
	if s.level == Type {
		values[s.slot] = Value{defined: defined, kind: kind}
	} else {
		values[s.slot] = Value{defined: defined}
	}
	return defined
}

// AppendKey appends an injective encoding of what was read.
func (p *Plan) AppendKey(b []byte, values []Value) []byte {
	for _, v := range values {
		switch {
		case !v.defined:
			b = append(b, tagAbsent)
		case v.value != nil:
			b = AppendValue(b, v.value)
		case v.kind != "":
			b = appendText(b, tagType, v.kind)
		default:
			b = append(b, tagDefined)
		}
	}
	return b
}

// Writer writes what stands at a path of the input document as [AppendValue] does, and
// the absent value as [AppendAbsent] does, without making it first. ok is false where it
// would have to be made; what b then holds is of no use.
type Writer interface {
	AppendTo(b []byte, path ast.Ref) (_ []byte, ok bool)
}

// WriteKey appends the bytes that [Plan.AppendKey] appends to what [Plan.Read] reads.
// ok is false where that takes values; what b then holds is of no use.
func (p *Plan) WriteKey(b []byte, in Writer) (_ []byte, ok bool) {
	if len(p.whole) != p.slots {
		return b, false
	}
	for _, path := range p.whole {
		if b, ok = in.AppendTo(b, path); !ok {
			return b, false
		}
	}
	return b, true
}

// Build makes the evaluator's input from what was read. nil: no input document.
func (p *Plan) Build(values []Value) ast.Value { return p.root.build(values) }

func (s *step) build(values []Value) ast.Value {
	var at Value
	if s.slot >= 0 {
		at = values[s.slot]
	}
	if s.level == Full {
		return at.value
	}
	var object ast.Object
	var array []*ast.Term
	for _, kid := range s.kids {
		v := kid.build(values)
		switch {
		case v == nil:
		case kid.index >= 0:
			for len(array) <= kid.index {
				array = append(array, ast.NullTerm())
			}
			array[kid.index] = ast.NewTerm(v)
		default:
			if object == nil {
				object = ast.NewObject()
			}
			object.Insert(kid.key, ast.NewTerm(v))
		}
	}
	switch {
	case object != nil:
		return object
	case array != nil:
		return ast.NewArray(array...)
	case at.kind != "":
		return zero(at.kind)
	case at.defined:
		return ast.NewObject()
	default:
		return nil
	}
}

// zero stands for a value of which only the type is read.
func zero(kind string) ast.Value {
	switch kind {
	case "null":
		return ast.NullValue
	case "boolean":
		return ast.Boolean(true)
	case "number":
		return ast.Number("0")
	case "string":
		return ast.String("")
	case "array":
		return ast.NewArray()
	case "set":
		return ast.NewSet()
	default:
		return ast.NewObject()
	}
}
