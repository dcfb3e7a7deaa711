# METADATA
# title: Where roles come from
# description: >-
#   Every source of a role yields candidates [id, owner, seat, windows]: the role, the node a role owned
#   below the root must be owned by, the node a root role is held at, and the windows of the grant.
#   Reads neither the clock nor the question: windows are carried along as data.
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
implied := [[id, node, seats[depth], []] |
	caller.kind in {"user", "external"}
	some depth, node in place.nodes
	rules := data.rbac.tenants[node].implicit
	some fact in caller.facts
	some rule in rules[fact]
	id := rule.role
	not rule.enabled == false
	all_hold(object.get(rule, "all", []))
]

all_hold(facts) if {
	is_array(facts)
	every fact in facts {
		fact in caller.facts
	}
}

# METADATA
# title: Roles that every user has at the node it is bound to and above (N15)
base := [[id, node, bound, []] |
	caller.kind in {"user", "external"}
	bound := place.nodes[caller.binding]
	some node in array.slice(place.nodes, 0, caller.binding + 1)
	some id in data.rbac.tenants[node].base_roles
]

# METADATA
# title: Roles that conditions give to users by what is recorded of them (N16)
conditional := [[id, node, seats[depth], []] |
	caller.kind == "user"
	caller.record
	some depth, node in place.nodes
	some id, tree in data.rbac.tenants[node].conditional_roles
	condition.truth(tree, attrs)
]

attrs := caller.record.attrs if {
	is_object(caller.record.attrs)
} else := {}

# METADATA
# title: Roles of users that come from an identity provider and that nothing else gave a role (N17)
default_roles := [[id, node, bound, []] |
	caller.kind in {"user", "external"}
	granted == []
	implied == []
	conditional == []
	caller.connections != []
	bound := place.nodes[caller.binding]
	node := place.nodes[policy_depth]
	some id in data.rbac.tenants[node].policy.idp_default_roles
]

# The node whose policy is in force where the caller is bound (N18).
policy_depth := max([depth |
	some depth, node in array.slice(place.nodes, 0, caller.binding + 1)
	overrides(node, depth)
])

overrides(_, 0)

overrides(node, _) if data.rbac.tenants[node].policy.override == true

# The node at which a root role is held that a rule at some depth gives (N19).
seats := [place.nodes[max([depth, caller.binding])] | some depth, _ in place.nodes]

# METADATA
# title: Candidates whose role exists, as [id, role, visible, windows of the grant, windows of the role]
entries := [[id, role, visible(role, owner, seat), windows, object.get(role, "windows", [])] |
	some source in [granted, implied, base, conditional, default_roles]
	some [id, owner, seat, windows] in source
	role := data.rbac.roles[id]
	is_object(role)
]

# METADATA
# title: Candidates that are held whatever the time, as [id, role]
always := [[id, role] | some [id, role, true, [], []] in entries]

# METADATA
# title: Entries whose grant or role has windows, visible or not
timed := [entry | some entry in entries; array.slice(entry, 3, 5) != [[], []]]

# METADATA
# title: Roles that the token's keys name, in the form of entries (N22)
token_entries := [[id, role, visible(role, role.owner, bound), [], object.get(role, "windows", [])] |
	caller.authority != "bundle"
	bound := place.nodes[caller.binding]
	is_array(input.subject.claims.roles)
	some key in input.subject.claims.roles
	is_string(key)
	[id, role] := resolved(key)[0]
]

# A key is a role's own key from the binding upwards, else a whole id; the first hit decides (N22).
resolved(key) := array.concat(
	[[id, role] |
		some node in rungs
		id := own_id(node, key)
		role := data.rbac.roles[id]
		role.owner == node
	],
	[[key, role] |
		role := data.rbac.roles[key]
		role.owner in rungs
	],
)

# METADATA
# title: The id of a node's role (N3)
own_id(node, key) := key if {
	node == "@root"
} else := concat(".", [node, key])

rungs := array.reverse(array.slice(place.nodes, 0, caller.binding + 1))

# METADATA
# title: Whether a role may be held
# description: >-
#   A tenant's role at its owner only; a root role at the root, and where its visibility says (N12, N19).
visible(role, owner, seat) if {
	role.owner == "@root"
	shown(role, object.get(role, "visibility", "ALL"), seat)
} else if {
	role.owner == owner
	owner != "@root"
} else := false

shown(_, "ALL", _)

shown(_, _, "@root")

shown(role, "INCLUDE", seat) if role.include[seat] == true
