package rolegate.condition_test

import data.rolegate.condition

# Conditions on a member's attributes (N16).

attrs := {
	"s": "Sales",
	"n": 7,
	"yes": true,
	"no": false,
	"null": null,
	"list": ["a", "Sales", 7, null],
	"empty": [],
	"o": {"x": "deep", "0": "zero"},
	"a/b": "slash",
	"m~n": "tilde",
	"": "nameless",
	"m~0n": "raw",
	"s~2": "raw",
	"o/x": "flat",
	"ales": "cut",
}

holds(tree) := condition.truth(tree, attrs)

is(op, p, v) := {"op": op, "p": p, "v": v}

not_(tree) := {"op": "not", "of": tree}

# What lies under not is false, and not malformed.
refused(tree) if {
	holds(tree) == false
	holds(not_(tree)) == true
}

test_n16_strings_compare_case_insensitively if {
	holds(is("eq", "/s", "sALES"))
	holds(is("co", "/s", "ALE"))
	holds(is("sw", "/s", "sa"))
	holds(is("lt", "/s", "SALET"))
	holds(is("le", "/s", "SALES"))
	holds(is("gt", "/s", "SALE"))
	holds(is("ge", "/s", "sales"))
	refused(is("eq", "/s", "sale"))
	refused(is("co", "/s", "x"))
	refused(is("sw", "/s", "les"))
	refused(is("lt", "/s", "sales"))
	refused(is("gt", "/s", "sales"))
}

test_n16_numbers if {
	holds(is("eq", "/n", 7))
	holds(is("eq", "/n", 7.0))
	holds(is("lt", "/n", 8))
	holds(is("le", "/n", 7))
	holds(is("gt", "/n", 6))
	holds(is("ge", "/n", 7))
	refused(is("eq", "/n", 8))
	refused(is("lt", "/n", 7))
	refused(is("ge", "/n", 8))
}

test_n16_false_orders_before_true if {
	holds(is("lt", "/no", true))
	holds(is("gt", "/yes", false))
	holds(is("ge", "/no", false))
	refused(is("lt", "/yes", true))
	refused(is("gt", "/no", true))
}

test_n16_co_and_sw_on_numbers_and_booleans_are_eq if {
	every op in ["co", "sw"] {
		holds(is(op, "/n", 7))
		holds(is(op, "/yes", true))
		refused(is(op, "/n", 77))
		refused(is(op, "/yes", false))
	}
}

test_n16_types_must_agree if {
	every op in ["eq", "co", "sw", "lt", "le", "gt", "ge"] {
		refused(is(op, "/n", "7"))
		refused(is(op, "/s", 7))
		refused(is(op, "/yes", 1))
		refused(is(op, "/yes", "true"))
		refused(is(op, "/o", "deep"))
	}
}

test_n16_a_list_matches_if_any_element_does if {
	holds(is("eq", "/list", "sales"))
	holds(is("eq", "/list", 7))
	holds(is("gt", "/list", 6))
	refused(is("eq", "/list", 8))
	refused(is("eq", "/empty", "x"))
}

test_n16_not_negates_any_element if {
	holds(not_(is("eq", "/list", "a"))) == false
	holds(not_(is("eq", "/list", "z"))) == true
}

test_n16_null_is_absent_and_missing_is_false if {
	refused(is("eq", "/null", "x"))
	refused(is("eq", "/gone", "x"))
	refused(is("le", "/gone", 1))
	refused({"op": "pr", "p": "/null"})
	refused({"op": "pr", "p": "/gone"})
}

test_n16_pr_is_found_and_not_null if {
	every p in ["/s", "/n", "/no", "/list", "/empty", "/o"] {
		holds({"op": "pr", "p": p})
	}
}

test_n16_pointers if {
	holds(is("eq", "/o/x", "deep"))
	holds(is("eq", "/o/0", "zero"))
	holds(is("co", "/o/x", "DEE"))
	holds({"op": "pr", "p": "/o/x"})
	refused(is("co", "/o/x", "flat"))
	refused({"op": "pr", "p": "/o/y"})
	holds(is("eq", "/a~1b", "slash"))
	holds(is("eq", "/m~0n", "tilde"))
	holds(is("eq", "/", "nameless"))
	refused(is("eq", "/m~0n", "raw"))
	refused(is("eq", "/o/x", "flat"))
	refused(is("eq", "/sales", "cut"))
	refused(is("eq", "/list/0", "a"))
	refused(is("eq", "/s/x", "Sales"))
	refused({"op": "pr", "p": "/list/0"})
}

test_n16_and_or_not if {
	yes := {"op": "true"}
	no := {"op": "false"}
	holds(yes)
	refused(no)
	holds({"op": "and", "of": [yes, yes]})
	refused({"op": "and", "of": [yes, no]})
	holds({"op": "or", "of": [no, yes]})
	refused({"op": "or", "of": [no, no]})
	holds(not_(no))
	refused(not_(yes))
}

test_n16_an_empty_and_is_true_and_an_empty_or_false if {
	holds({"op": "and", "of": []})
	refused({"op": "or", "of": []})
	holds(nested(8, {"op": "and", "of": []}))
	refused(nested(8, {"op": "or", "of": []}))
}

malformed := [
	7,
	null,
	"true",
	[],
	{},
	{"op": "xor", "of": []},
	{"op": "and"},
	{"op": "and", "of": {"op": "true"}},
	{"op": "and", "of": {"x": {"op": "true"}}},
	{"op": "or", "of": {"x": {"op": "true"}}},
	{"op": "and", "of": [{"op": "true"}, 7]},
	{"op": "or", "of": [{"op": "true"}, 7]},
	{"op": "or", "of": "true"},
	{"op": "not"},
	{"op": "not", "of": [{"op": "true"}]},
	{"op": "eq", "p": "/s"},
	{"op": "eq", "v": "x"},
	{"op": "eq", "p": "s", "v": "x"},
	{"op": "eq", "p": "", "v": "x"},
	{"op": "eq", "p": "/s~2", "v": "x"},
	{"op": "eq", "p": "/s~2", "v": "raw"},
	{"op": "eq", "p": "/s~", "v": "x"},
	{"op": "eq", "p": 7, "v": "x"},
	{"op": "eq", "p": "/s", "v": null},
	{"op": "eq", "p": "/s", "v": ["Sales"]},
	{"op": "pr"},
	{"op": "pr", "p": "s"},
	{"op": ["eq"], "p": "/s", "v": "Sales"},
]

test_n16_a_malformed_condition_is_neither_true_nor_false if {
	every tree in malformed {
		undecided(tree)
		undecided(not_(tree))
		undecided(not_(not_(not_(not_(not_(tree))))))
		undecided({"op": "or", "of": [{"op": "true"}, tree]})
		undecided({"op": "and", "of": [{"op": "false"}, tree]})
		not condition.well_formed(tree)
	}
}

undecided(tree) if [truth | truth := holds(tree)] == []

# A tree wrapped in some nots.
nested(nots, tree) := json.unmarshal(concat("", array.flatten([
	["{\"op\": \"not\", \"of\": " | some _ in numbers.range(1, nots)],
	json.marshal(tree),
	["}" | some _ in numbers.range(1, nots)],
])))

test_n16_a_deep_condition_is_as_true_as_a_shallow_one if {
	every tree in [
		is("eq", "/s", "sales"),
		is("eq", "/s", "z"),
		{"op": "and", "of": [is("eq", "/n", 7), not_(is("eq", "/s", "z"))]},
		{"op": "and", "of": [is("eq", "/n", 7), not_(is("eq", "/s", "sales"))]},
		{"op": "or", "of": [is("eq", "/n", 8), {"op": "and", "of": [{"op": "true"}, is("pr", "/n", 0)]}]},
		{"op": "or", "of": [not_({"op": "or", "of": [{"op": "true"}]}), {"op": "false"}]},
	] {
		holds(nested(8, tree)) == holds(tree)
		condition.network(tree, attrs) == holds(tree)
		holds(not_(nested(8, tree))) != holds(tree)
	}
}

test_n16_deeper_than_is_evaluated_is_neither_true_nor_false if {
	deepest := nested(63, {"op": "true"})
	holds(deepest) == false
	not condition.too_deep(deepest)
	undecided(not_(deepest))
	condition.too_deep(not_(deepest))
	condition.too_deep(nested(64, {"op": "true"}))
	undecided(nested(64, {"op": "true"}))
}
