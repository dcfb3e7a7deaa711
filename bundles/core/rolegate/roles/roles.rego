# METADATA
# title: Where roles come from
# description: >-
#   Every source of a role yields candidates [id, owner, seat, windows]: the role, the node that a role
#   not owned by the root must be owned by, the node that a root role is held at, and the windows of the
#   grant. Reads neither the clock nor the question: windows are carried along as data.
package rolegate.roles

import data.rolegate.caller
import data.rolegate.condition
import data.rolegate.place

# METADATA
# title: Roles recorded as grants at the tenant and above, each held at its record's node (N13)
granted := [[id, node, node, windows] |
	some [depth, record] in caller.records
	node := place.nodes[depth]
	some id, windows in record.grants
]

# METADATA
# title: Roles that rules give to sessions of which certain facts hold (N14)
implied := [[id, node, nodes[min([depth, caller.binding])], []] |
	some depth, node in nodes
	rules := tenants[node].implicit
	some fact in caller.facts
	some rule in rules[fact]
	id := rule.role
	not rule.enabled == false
	others := object.get(rule, "all", [])
	is_array(others)
	[other | some other in others; not other in caller.facts] == []
] if {
	caller.kind in {"user", "external"}
	nodes := place.nodes
	tenants := data.rbac.tenants
} else := []

# METADATA
# title: Roles that everyone has at the node it is bound to and above (N15)
base := [[id, node, nodes[depth], []] |
	some node in array.slice(nodes, depth, count(nodes))
	some id in tenants[node].base_roles
] if {
	caller.kind in {"user", "external"}
	nodes := place.nodes
	tenants := data.rbac.tenants
	depth := caller.binding
} else := []

# METADATA
# title: Roles that conditions give to users by what is recorded of them (N16)
conditional := [[id, node, nodes[min([depth, caller.binding])], []] |
	some depth, node in nodes
	some id, tree in tenants[node].conditional_roles
	condition.truth(tree, attrs)
] if {
	caller.kind == "user"
	record := caller.records[0][1]
	attrs := [value | some value in [object.get(record, "attrs", {}), {}]; is_object(value)][0]
	nodes := place.nodes
	tenants := data.rbac.tenants
} else := []

# METADATA
# title: Roles of users that come from an identity provider and that nothing else gave a role (N17)
default_roles := [[id, node, nodes[depth], []] | some id in tenants[node].policy.idp_default_roles] if {
	granted == []
	caller.connections[0]
	caller.kind in {"user", "external"}
	implied == []
	conditional == []
	nodes := place.nodes
	tenants := data.rbac.tenants
	depth := caller.binding
	node := policy_node(tenants, array.slice(nodes, depth, count(nodes)))
} else := []

# METADATA
# title: The node whose policy is in force at the first of some nodes, the deepest first (N18)
policy_node(tenants, nodes) := overriding[0] if {
	overriding := [node | some node in nodes; tenants[node].policy.override == true]
} else := "@root"

# METADATA
# title: The roles held, as [id, role], where nothing about them needs looking into
# description: >-
#   Most roles are the root's, shown everywhere and without windows. Defined when every candidate is such
#   a one; what known and visible would say of them is then the same.
settled := held if {
	candidates := array.flatten([granted, implied, base, conditional, default_roles])
	roles := data.rbac.roles
	held := [[id, role] |
		some [id, _, _, []] in candidates
		role := roles[id]
		role.owner == "@root"
		role.visibility == "ALL"
		object.get(role, "windows", []) == []
	]
	count(held) == count(candidates)
}

# METADATA
# title: Candidates whose role exists, as [id, role, owner, seat, windows of the grant, windows of the role]
known := [[id, role, owner, seat, windows, object.get(role, "windows", [])] |
	some [id, owner, seat, windows] in array.flatten([granted, implied, base, conditional, default_roles])
	role := roles[id]
	is_object(role)
] if {
	roles := data.rbac.roles
} else := []

# METADATA
# title: The candidates that may be held, as [id, role]
# description: >-
#   A root role at the root, and where its visibility says; a tenant's role at its owner only (N12, N19).
visible(candidates) := [[id, role] |
	some [id, role, owner, seat, _, _] in candidates
	shown(role, owner, seat)
]

shown(role, owner, seat) if {
	role.owner == owner
	owner != "@root"
} else if {
	role.owner == "@root"
	reaches(role, object.get(role, "visibility", "ALL"), seat)
}

reaches(_, "ALL", _)

reaches(_, visibility, "@root") if visibility != "ALL"

reaches(role, "INCLUDE", seat) if role.include[seat] == true

# METADATA
# title: Roles that the token's keys name, whether or not they may be held, in the form of known ones (N22)
named := [[id, role, role.owner, rungs[0], [], object.get(role, "windows", [])] |
	some key in keys
	is_string(key)
	[id, role] := resolved(roles, rungs, key)[0]
] if {
	keys := input.subject.claims.roles
	is_array(keys)
	roles := data.rbac.roles
	nodes := place.nodes
	rungs := array.slice(nodes, caller.binding, count(nodes))
} else := []

# A key is a role's own key from the binding upwards, else a whole id; the first hit decides (N22).
resolved(roles, rungs, key) := array.concat(
	[[id, role] |
		some node in rungs
		id := own_id(node, key)
		role := roles[id]
		role.owner == node
	],
	[[key, role] |
		role := roles[key]
		role.owner in rungs
	],
)

# METADATA
# title: The id of a node's role (N3)
own_id(node, key) := key if {
	node == "@root"
} else := concat(".", [node, key])
