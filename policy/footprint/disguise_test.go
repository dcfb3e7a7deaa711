package footprint

import (
	"math/rand/v2"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/internal/lab/policies"
)

// disguise makes inputs that a plan should take for the one whose values it read: what
// is read in full stands, all else is something different. It is the hardest test of
// what a plan claims not to need.
type disguise struct {
	r     *rand.Rand
	words policies.Vocabulary
}

// step answers what stands at a step; nil for nothing. It does not always succeed: junk
// may have a member that is read. The key tells.
func (d disguise) step(s *step, values []Value) ast.Value {
	if s.level == Full {
		return values[s.slot].value
	}
	var members [][2]*ast.Term
	var elements []*ast.Term
	for _, kid := range s.kids {
		v := d.step(kid, values)
		switch {
		case v == nil:
		case kid.index >= 0:
			for len(elements) <= kid.index {
				elements = append(elements, ast.NewTerm(d.junk()))
			}
			elements[kid.index] = ast.NewTerm(v)
		default:
			members = append(members, [2]*ast.Term{kid.key, ast.NewTerm(v)})
		}
	}
	var at Value
	if s.slot >= 0 {
		at = values[s.slot]
	}
	switch {
	case members != nil:
		return d.object(members)
	case elements != nil:
		for range d.r.IntN(3) {
			elements = append(elements, ast.NewTerm(d.junk()))
		}
		return ast.NewArray(elements...)
	case at.kind != "":
		return d.of(at.kind)
	case at.defined || s.slot < 0 && d.r.IntN(2) == 0:
		return d.junk()
	default:
		return nil
	}
}

// object has members and some that nobody reads.
func (d disguise) object(members [][2]*ast.Term) ast.Value {
	o := ast.NewObject(members...)
	for range d.r.IntN(3) {
		k := ast.StringTerm(d.words.Keys[d.r.IntN(len(d.words.Keys))])
		if o.Get(k) == nil {
			o.Insert(k, ast.NewTerm(d.junk()))
		}
	}
	return o
}

func (d disguise) junk() ast.Value {
	v, err := ast.InterfaceToValue(d.words.Value(d.r, 2))
	if err != nil {
		return ast.NullValue
	}
	return v
}

// of makes a value of a type.
func (d disguise) of(kind string) ast.Value {
	for range 8 {
		if v := d.junk(); ast.ValueName(v) == kind {
			return v
		}
	}
	switch kind {
	case "object":
		return d.object([][2]*ast.Term{{ast.StringTerm("z"), ast.NewTerm(d.junk())}})
	case "array":
		return ast.NewArray(ast.NewTerm(d.junk()))
	default:
		return zero(kind)
	}
}
