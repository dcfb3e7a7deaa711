package rolegate.admin

import data.rolegate.place
import data.rolegate.roles

# METADATA
# title: The roles to record for someone who signs up (N18)
# description: >-
#   The ids of the existing, visible roles. The input is {"tenant", "first": whether it is the first user}.
# entrypoint: true
signup := {id |
	some list in ({"signup_roles"} | {"first_user_roles" | input.first == true})
	some id in policy[list]
	held := existing[id]
	held.owner in {"@root", policy_node}
	roles.shown(held, tenant, tenant)
} if {
	tenant := place.asked with input as {"route": {"tenant": input.tenant}}
	existing := data.rbac.roles
	policy_node := roles.policy_node(data.rbac.tenants, place.chain(tenant))
	policy := data.rbac.tenants[policy_node].policy
} else := set()
