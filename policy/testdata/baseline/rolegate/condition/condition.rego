# METADATA
# title: Conditions on a member's attributes (N16)
# description: >-
#   A condition is a tree of and, or, not over comparisons. Its truth is a boolean, or undefined when
#   any part of it is malformed or it is deeper than is evaluated.
package rolegate.condition

# METADATA
# title: The deepest tree that is evaluated; a comparison alone is 1 deep
deepest := 64

# METADATA
# title: The truth of a condition
# description: Shallow trees, which most are, have rules of their own; any other becomes a network.
truth(condition, attrs) := result if {
	result := two(condition, attrs)
} else := network(condition, attrs)

# One function a level: Rego has no recursion.
two(condition, attrs) := result if {
	result := leaf(condition, attrs)
} else := joined(condition.op, truths) if {
	is_array(condition.of)
	truths := [result | some part in condition.of; result := one(part, attrs)]
	count(truths) == count(condition.of)
} else := result == false if {
	condition.op == "not"
	result := one(condition.of, attrs)
}

one(condition, attrs) := result if {
	result := leaf(condition, attrs)
} else := joined(condition.op, truths) if {
	is_array(condition.of)
	truths := [result | some part in condition.of; result := leaf(part, attrs)]
	count(truths) == count(condition.of)
} else := result == false if {
	condition.op == "not"
	result := leaf(condition.of, attrs)
}

joined("and", truths) if not false in truths

joined("and", truths) := false if false in truths

joined("or", truths) := true in truths

# METADATA
# title: The truth of a comparison; undefined for a malformed one and for anything else
leaf(condition, attrs) := compared(condition.op, condition, attrs)

compared("true", _, _) := true

compared("false", _, _) := false

compared("pr", condition, attrs) := object.get(attrs, pointer(condition.p), null) != null

compared(op, condition, attrs) := result if {
	op in {"eq", "co", "sw", "lt", "le", "gt", "ge"}
	scalar(condition.v)
	result := any_matches(op, object.get(attrs, pointer(condition.p), null), condition.v)
}

scalar(value) if is_string(value)

scalar(value) if is_number(value)

scalar(value) if is_boolean(value)

# METADATA
# title: The member names that a JSON pointer walks through; undefined for anything else
pointer(text) := names if {
	is_string(text)
	startswith(text, "/")
	not contains(text, "~")
	names := split(substring(text, 1, -1), "/")
} else := names if {
	is_string(text)
	startswith(text, "/")
	not contains(replace(replace(text, "~0", ""), "~1", ""), "~")
	names := [replace(replace(name, "~1", "/"), "~0", "~") | some name in split(substring(text, 1, -1), "/")]
}

# METADATA
# title: Whether a value, or any element of it if it is a list, stands to the wanted one as the operator says
any_matches(op, value, wanted) if {
	is_array(value)
	some element in value
	matches(op, element, wanted)
} else if {
	not is_array(value)
	matches(op, value, wanted)
} else := false

matches(op, value, wanted) if {
	is_string(value)
	is_string(wanted)
	text_matches(op, lower(value), lower(wanted))
}

matches(op, value, wanted) if {
	not is_string(value)
	type_name(value) == type_name(wanted)
	value_matches(op, value, wanted)
}

text_matches("co", value, wanted) if contains(value, wanted)

text_matches("sw", value, wanted) if startswith(value, wanted)

text_matches(op, value, wanted) if {
	not op in {"co", "sw"}
	value_matches(op, value, wanted)
}

value_matches(op, value, wanted) if {
	op in {"eq", "co", "sw"}
	value == wanted
}

value_matches("lt", value, wanted) if value < wanted

value_matches("le", value, wanted) if value <= wanted

value_matches("gt", value, wanted) if value > wanted

value_matches("ge", value, wanted) if value >= wanted
