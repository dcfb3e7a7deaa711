# METADATA
# title: What a bundle's own rules add
# description: >-
#   data.authz.deny, allow, candidates and valid_until, read defensively: a deny that is not a set of
#   texts still denies, an allow that is not one does not allow, a bound that is not an instant ends
#   the answer with this millisecond.
package rolegate.extension

import data.rolegate.place

# METADATA
# title: The smallest reason to deny; undefined when nothing denies
denial := refusal(denials) if denials := data.authz.deny

refusal(denials) := reason if {
	list_like(denials)
	reason := min(denials)
	is_string(reason)
} else := "policy_error" if {
	not denials in [set(), [], {}, false]
}

# METADATA
# title: Whether anything allows
allows if {
	reasons := data.authz.allow
	list_like(reasons)
	some reason in reasons
	is_string(reason)
}

# METADATA
# title: Candidates at the tenant or above whose role exists, in the form of known ones
# description: Apart from the other sources, because these rules may read the clock.
candidates := [[id, role, node, node, windows, object.get(role, "windows", [])] |
	some candidate in given
	is_object(candidate)
	id := candidate.role
	is_string(id)
	node := candidate.node
	node in place.nodes
	windows := object.get(candidate, "windows", [])
	role := data.rbac.roles[id]
	is_object(role)
] if {
	given := data.authz.candidates
}

# METADATA
# title: Instants that bound every answer; undefined without any
bounds := instants if {
	instants := data.authz.valid_until
	list_like(instants)
	[instant | some instant in instants; not is_number(instant)] == []
} else := [data.rolegate.now + 1] if {
	_ = data.authz.valid_until
}

list_like(value) if is_set(value)

list_like(value) if is_array(value)
