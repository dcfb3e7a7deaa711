# METADATA
# title: Administration
# description: >-
#   What a management plane asks before it changes role data. The input is the request itself.
package rolegate.admin

import data.rolegate.gate
import data.rolegate.place
import data.rolegate.roles
import data.rolegate.standing

# METADATA
# title: Whether a role may be assigned or unassigned
# description: >-
#   `ok`, or the first refusal of A1 to A6. The input is {"op": "assign" or "unassign", "plane": "management"
#   or "self_service", "actor": {"principal", "claims"}, "target", "role", "node"}.
# entrypoint: true
assignment := "malformed_request" if {
	not legible
} else := "unknown_tenant" if {
	not node
} else := "unknown_role" if {
	# A1
	input.op == "assign"
	not role
} else := "role_not_visible" if {
	# A2
	input.op == "assign"
	not roles.shown(role, node, node)
} else := "not_explicit" if {
	# A3
	input.op == "unassign"
	not recorded
} else := "ok" if {
	# A4
	input.plane == "management"
} else := "actor_has_no_role" if {
	# A5; a role that does not exist skips it
	role
	not strongest
} else := "role_stronger_than_actor" if {
	# A5
	level(role) < strongest
} else := "target_stronger_than_actor" if {
	# A6; who has no role is weaker than who has one
	target_strongest := min(levels({"id": input.target}))
	not weaker_or_equal(target_strongest)
} else := "ok"

legible if {
	input.op in {"assign", "unassign"}
	input.plane in {"management", "self_service"}
	is_string(input.target)
}

node := tenant if {
	tenant := place.asked with input as {"route": {"tenant": input.node}}
}

role := named if {
	is_string(input.role)
	named := data.rbac.roles[input.role]
	is_object(named)
}

recorded if {
	grants := data.rbac.members[node][input.target].grants
	_ = grants[input.role]
}

actor := object.union({"id": input.actor.principal}, {"claims": claims | claims := input.actor.claims})

# The actor's strongest level; undefined without a role.
strongest := min(levels(actor))

weaker_or_equal(level_of_target) if level_of_target >= strongest

# The levels of a subject's roles at the node; none for one who fails a gate.
levels(subject) := found if {
	found := strengths with input as {"subject": subject, "route": {"tenant": input.node}}
}

# A question that asks nothing passes every gate but the last.
strengths := [level(held) | some [_, held] in standing.sides.allow] if {
	not gate.before
	gate.within == "incomplete_question"
} else := []

# The lower, the stronger.
level(held) := object.get(held, "level", 0)
