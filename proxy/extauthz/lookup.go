package extauthz

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

func within(v ast.Value, path ast.Ref) (ast.Value, bool, error) {
	found, err := v.Find(path)
	return found, err == nil, nil
}

// find goes down a message by JSON names, and makes only the value at the end.
func (w *walk) find(m protoreflect.Message, path ast.Ref) (ast.Value, bool) {
	if len(path) == 0 {
		return w.message(m, 0), true
	}
	name, _ := text(path[0]) // no field is called ""
	if raw := rawOnly(m); len(raw) > 0 && name == "headers" {
		v, found, _ := within(joined(raw), path[1:])
		return v, found
	}
	f := m.Descriptor().Fields().ByJSONName(name)
	if f == nil || !m.Has(f) {
		return nil, false
	}
	v, path := m.Get(f), path[1:]
	if len(path) == 0 {
		return w.field(f, v, 0), true
	}
	switch {
	case f.IsMap():
		key, ok := text(path[0])
		if !ok || !v.Map().Has(protoreflect.ValueOfString(key).MapKey()) {
			return nil, false
		}
		return w.findIn(f.MapValue(), v.Map().Get(protoreflect.ValueOfString(key).MapKey()), path[1:])
	case f.IsList():
		i, ok := index(path[0], v.List().Len())
		if !ok {
			return nil, false
		}
		return w.findIn(f, v.List().Get(i), path[1:])
	default:
		return w.findIn(f, v, path)
	}
}

// findIn goes down a single value.
func (w *walk) findIn(f protoreflect.FieldDescriptor, v protoreflect.Value, path ast.Ref) (ast.Value, bool) {
	if len(path) == 0 {
		return w.single(f, v, 0), true
	}
	if f.Message() == nil {
		return nil, false
	}
	if s, ok := v.Message().Interface().(*structpb.Struct); ok {
		return w.findMember(s, path)
	}
	return w.find(v.Message(), path)
}

func (w *walk) findMember(s *structpb.Struct, path ast.Ref) (ast.Value, bool) {
	key, ok := text(path[0])
	if !ok {
		return nil, false
	}
	v, ok := s.GetFields()[key]
	if !ok {
		return nil, false
	}
	return w.findValue(v, path[1:])
}

func (w *walk) findValue(v *structpb.Value, path ast.Ref) (ast.Value, bool) {
	if len(path) == 0 {
		return w.value(v, 0), true
	}
	switch kind := v.GetKind().(type) {
	case *structpb.Value_StructValue:
		return w.findMember(kind.StructValue, path)
	case *structpb.Value_ListValue:
		i, ok := index(path[0], len(kind.ListValue.GetValues()))
		if !ok {
			return nil, false
		}
		return w.findValue(kind.ListValue.GetValues()[i], path[1:])
	default:
		return nil, false
	}
}

func text(t *ast.Term) (string, bool) {
	s, ok := t.Value.(ast.String)
	return string(s), ok
}

func index(t *ast.Term, length int) (int, bool) {
	n, ok := t.Value.(ast.Number)
	if !ok {
		return 0, false
	}
	i, ok := n.Int()
	return i, ok && i >= 0 && i < length
}
