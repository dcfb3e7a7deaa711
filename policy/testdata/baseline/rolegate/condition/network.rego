package rolegate.condition

# A condition as a network: `and` puts its parts in series, `or` in parallel, `not` swaps the two
# below itself and turns comparisons over. The condition is true iff current flows from the entry of
# the whole to its exit. Every part is named by its path in the tree and has an entry and an exit.

# METADATA
# title: The truth of a tree of any depth up to the limit
network(condition, attrs) := [[], "out"] in graph.reachable(wires, {[[], "in"]}) if {
	objects := {path: part | walk(condition, [path, part]); is_object(part)}
	below := {path: children(path, part) | some path, part in objects}
	parts := graph.reachable(below, {[]})
	[] in parts
	every path in parts {
		sound(path, objects, below)
	}
	wires := object.union(
		{[path, "in"]: entries(path, objects, below, attrs) | some path in parts},
		{[path, "out"]: exits(path, objects, below) | some path in parts},
	)
}

# METADATA
# title: Whether any part of a condition lies deeper than is evaluated
too_deep(condition) if {
	objects := {path: part | walk(condition, [path, part]); is_object(part)}
	below := {path: children(path, part) | some path, part in objects}
	some path in graph.reachable(below, {[]})
	depth(path) > deepest
}

# METADATA
# title: Whether every part of a condition is well formed, whatever its depth
well_formed(condition) if {
	objects := {path: part | walk(condition, [path, part]); is_object(part)}
	below := {path: children(path, part) | some path, part in objects}
	parts := graph.reachable(below, {[]})
	[] in parts
	every path in parts {
		formed(path, objects, below)
	}
}

children(path, part) := [array.concat(path, ["of", i]) | some i, _ in part.of] if {
	part.op in {"and", "or"}
	is_array(part.of)
} else := [array.concat(path, ["of"])] if {
	part.op == "not"
} else := []

sound(path, objects, below) if {
	formed(path, objects, below)
	depth(path) <= deepest
}

formed(path, objects, below) if {
	objects[path].op in {"and", "or", "not"}
	is_array(objects[path].of)
	objects[path].op != "not"
	every child in below[path] {
		objects[child]
	}
} else if {
	objects[path].op == "not"
	objects[array.concat(path, ["of"])]
} else if {
	_ = leaf(objects[path], {})
}

depth(path) := count([step | some step in path; step == "of"]) + 1

# Whether an odd number of nots lies above a part.
turned(path, objects) if {
	nots := [i | some i, step in path; step == "of"; objects[array.slice(path, 0, i)].op == "not"]
	count(nots) % 2 == 1
}

in_series(path, objects) if {
	objects[path].op == "and"
	not turned(path, objects)
} else if {
	objects[path].op == "or"
	turned(path, objects)
}

# Where current goes from the entry of a part.
entries(path, objects, below, attrs) := [[path, "out"]] if {
	below[path] == []
	conducts(path, objects, attrs)
} else := [] if {
	below[path] == []
} else := [[below[path][0], "in"]] if {
	in_series(path, objects)
} else := [[child, "in"] | some child in below[path]]

# Where current goes from the exit of a part.
exits(path, objects, below) := [[next, "in"]] if {
	above := parent(path)
	in_series(above, objects)
	siblings := below[above]
	next := siblings[path[count(path) - 1] + 1]
} else := [[parent(path), "out"]] if {
	path != []
} else := []

# The entry "of", and the index in it for and and or, lead from a part to what is below it.
parent(path) := array.slice(path, 0, count(path) - 1) if {
	path[count(path) - 1] == "of"
} else := array.slice(path, 0, count(path) - 2) if {
	count(path) > 0
}

conducts(path, objects, _) if in_series(path, objects)

conducts(path, objects, attrs) if {
	truth := leaf(objects[path], attrs)
	truth != turned_value(path, objects)
}

turned_value(path, objects) if {
	turned(path, objects)
} else := false
