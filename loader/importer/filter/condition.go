package filter

import (
	"errors"
	"fmt"
	"strings"
)

// Deepest is the deepest tree that the role library evaluates; a comparison alone
// is 1 deep.
const Deepest = 64

// Errors of [Filter.Condition].
var (
	// ErrTooDeep is a filter deeper than [Deepest]: the library would let nobody pass.
	ErrTooDeep = errors.New("deeper than conditions are evaluated")
	// ErrIndex is a pointer to an element of a list, which conditions do not have.
	ErrIndex = errors.New("conditions do not index lists")
)

// Condition is f as the role model writes it: {op, p, v, of} as decoded JSON. An
// error is [ErrTooDeep] or [ErrIndex], said of which part, or that f is the zero
// value.
func (f Filter) Condition() (map[string]any, error) { return f.condition(1) }

func (f Filter) condition(depth int) (map[string]any, error) {
	if depth > Deepest {
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooDeep, Deepest)
	}
	if name := index(f.Pointer); name != "" {
		// Left to be missing, it would be false, and true below a not.
		return nil, fmt.Errorf("%s: %w, and %s can be an index only", f.Pointer, ErrIndex, name)
	}
	switch f.Op {
	case True, False:
		return map[string]any{"op": string(f.Op)}, nil
	case Present:
		return map[string]any{"op": string(f.Op), "p": f.Pointer}, nil
	case Equal, Contains, StartsWith, Less, LessEqual, Greater, GreaterEqual:
		return map[string]any{"op": string(f.Op), "p": f.Pointer, "v": f.Value}, nil
	case And, Or:
		of := make([]any, 0, len(f.Of))
		for _, part := range f.Of {
			c, err := part.condition(depth + 1)
			if err != nil {
				return nil, err
			}
			of = append(of, c)
		}
		return map[string]any{"op": string(f.Op), "of": of}, nil
	case Not:
		if len(f.Of) == 1 {
			c, err := f.Of[0].condition(depth + 1)
			if err != nil {
				return nil, err
			}
			return map[string]any{"op": string(f.Op), "of": c}, nil
		}
	}
	return nil, fmt.Errorf("%q is no filter", f.Op)
}

// index is the first name of a pointer that stands for an element of a list, "" if
// none does.
func index(pointer string) string {
	for i, name := range strings.Split(pointer, "/") {
		if i > 0 && (name == "*" || name == "-" || name != "" && strings.Trim(name, "0123456789") == "") {
			return name
		}
	}
	return ""
}
