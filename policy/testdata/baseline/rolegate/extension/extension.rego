# METADATA
# title: What a bundle's own rules add
# description: >-
#   data.authz.deny, allow, candidates and valid_until, read defensively: a deny that is not a set of
#   texts still denies, an allow that is not one does not allow, a bound that is not an instant ends
#   the answer at once.
package rolegate.extension

import data.rolegate.place
import data.rolegate.roles

# METADATA
# title: The smallest reason to deny; undefined when nothing denies
denial := reason if {
	list_like(data.authz.deny)
	reason := min(data.authz.deny)
	is_string(reason)
} else := "policy_error" if {
	deny := data.authz.deny
	not deny in [set(), [], {}, false]
}

# METADATA
# title: Whether anything allows
allows if {
	list_like(data.authz.allow)
	some reason in data.authz.allow
	is_string(reason)
}

# METADATA
# title: Candidates at the tenant or above, in the form of entries
# description: Apart from the other sources, because these rules may read the clock.
entries := [[id, role, roles.visible(role, node, node), windows, object.get(role, "windows", [])] |
	some candidate in data.authz.candidates
	is_object(candidate)
	id := candidate.role
	node := candidate.node
	node in place.nodes
	windows := object.get(candidate, "windows", [])
	role := data.rbac.roles[id]
	is_object(role)
]

# METADATA
# title: Instants that bound every answer
bounds := data.authz.valid_until if {
	list_like(data.authz.valid_until)
	every instant in data.authz.valid_until {
		is_number(instant)
	}
} else := [data.rolegate.now] if {
	_ = data.authz.valid_until
} else := []

list_like(value) if is_set(value)

list_like(value) if is_array(value)
