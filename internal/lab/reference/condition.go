package reference

import (
	"cmp"
	"strings"
)

// N16: a condition holds on attrs; a malformed one anywhere in the tree yields no candidate, not even
// under not.
func n16Holds(condition any, attrs map[string]any) bool {
	return n16WellFormed(condition) && n16True(condition, attrs)
}

// N16, definitions: a condition has a known op and all its parts. Paths are JSON pointers: they begin with a
// slash, and know ~0 and ~1 and no other escape; what is compared with is a text, a number or a truth;
// not holds one condition.
func n16WellFormed(condition any) bool {
	op, _ := textField(condition, "op")
	of, _ := field(condition, "of")
	switch op {
	case "eq", "co", "sw", "lt", "le", "gt", "ge":
		value, _ := field(condition, "v")
		return n16Scalar(value) && n16Pointer(condition)
	case "pr":
		return n16Pointer(condition)
	case "and", "or":
		parts, ok := of.([]any)
		for _, part := range parts {
			ok = ok && n16WellFormed(part)
		}
		return ok
	case "not":
		return n16WellFormed(of)
	case "true", "false":
		return true
	default:
		return false
	}
}

func n16Pointer(condition any) bool {
	path, _ := textField(condition, "p")
	plain := strings.ReplaceAll(strings.ReplaceAll(path, "~0", ""), "~1", "")
	return strings.HasPrefix(path, "/") && !strings.Contains(plain, "~")
}

func n16Scalar(value any) bool {
	switch value.(type) {
	case string, bool:
		return true
	default:
		_, ok := number(value)
		return ok
	}
}

// N16: the truth of a well-formed condition. An empty and is true, an empty or false.
func n16True(condition any, attrs map[string]any) bool {
	op, _ := textField(condition, "op")
	of, _ := field(condition, "of")
	switch op {
	case "true":
		return true
	case "and":
		for _, part := range list(of) {
			if !n16True(part, attrs) {
				return false
			}
		}
		return true
	case "or":
		for _, part := range list(of) {
			if n16True(part, attrs) {
				return true
			}
		}
		return false
	case "not":
		return !n16True(of, attrs)
	case "eq", "co", "sw", "lt", "le", "gt", "ge", "pr":
		return n16Leaf(op, condition, attrs)
	default:
		return false
	}
}

// N16: a comparison. Missing and null are false; pr is "found and not null"; a list matches if any
// element does.
func n16Leaf(op string, condition any, attrs map[string]any) bool {
	path, _ := textField(condition, "p")
	found, ok := n16Find(path, attrs)
	if !ok || op == "pr" {
		return ok
	}
	want, _ := field(condition, "v")
	elements, isList := found.([]any)
	if !isList {
		return n16Compare(op, found, want)
	}
	for _, element := range elements {
		if n16Compare(op, element, want) {
			return true
		}
	}
	return false
}

// N16, definitions: a JSON pointer knows ~0 and ~1; each segment names a member of an object.
func n16Find(path string, attrs map[string]any) (any, bool) {
	var at any = attrs
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		name := strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
		next, ok := field(at, name)
		if !ok {
			return nil, false
		}
		at = next
	}
	return at, true
}

// N16: types must agree; strings compare without regard to case; co and sw on numbers and booleans
// are eq; false orders before true.
func n16Compare(op string, got, want any) bool {
	if text, ok := got.(string); ok {
		other, ok := want.(string)
		if !ok {
			return false
		}
		text, other = strings.ToLower(text), strings.ToLower(other)
		switch op {
		case "co":
			return strings.Contains(text, other)
		case "sw":
			return strings.HasPrefix(text, other)
		default:
			return n16Order(op, cmp.Compare(text, other))
		}
	}
	if truth, ok := got.(bool); ok {
		other, ok := want.(bool)
		return ok && n16Order(op, cmp.Compare(rank(truth), rank(other)))
	}
	if n, ok := number(got); ok {
		other, ok := number(want)
		return ok && n16Order(op, n.Cmp(other))
	}
	return false
}

func rank(truth bool) int {
	if truth {
		return 1
	}
	return 0
}

// N16: what an op says about an order of -1, 0 or 1.
func n16Order(op string, order int) bool {
	switch op {
	case "lt":
		return order < 0
	case "le":
		return order <= 0
	case "gt":
		return order > 0
	case "ge":
		return order >= 0
	default: // eq, and co and sw on what has no parts
		return order == 0
	}
}
