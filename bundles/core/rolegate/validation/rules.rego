package rolegate.validation

import data.rolegate.condition
import data.rolegate.roles as role_model

# Where rules name roles, as [node, role, path].
namings contains [node, id, ["tenants", node, "base_roles", i]] if {
	some node, tenant in tenants
	is_array(tenant.base_roles)
	some i, id in tenant.base_roles
	is_string(id)
}

namings contains [node, id, ["tenants", node, "policy", list, i]] if {
	some node, tenant in tenants
	some list in {"signup_roles", "first_user_roles", "idp_default_roles"}
	is_array(tenant.policy[list])
	some i, id in tenant.policy[list]
	is_string(id)
}

namings contains [node, rule.role, ["tenants", node, "implicit", fact, i, "role"]] if {
	some node, tenant in tenants
	is_object(tenant.implicit)
	some fact, rules in tenant.implicit
	is_array(rules)
	some i, rule in rules
	is_string(rule.role)
}

namings contains [node, id, ["tenants", node, "conditional_roles", id]] if {
	some node, tenant in tenants
	is_object(tenant.conditional_roles)
	some id, _ in tenant.conditional_roles
}

problems contains problem("rule_unknown_role", concat(":", [node, id]), path, "there is no such role") if {
	some [node, id, path] in namings
	not data.rbac.roles[id]
}

problems contains problem("rule_foreign_role", concat(":", [node, id]), path, message) if {
	some [node, id, path] in namings
	role := roles[id]
	not role.owner in {"@root", node}
	message := "the role is neither the root's nor the node's"
}

problems contains problem("rule_role_not_visible", concat(":", [node, id]), path, message) if {
	some [node, id, path] in namings
	role := roles[id]
	role.owner == "@root"
	not role_model.shown(role, node, node)
	message := "the role is not visible here"
}

problems contains problem("bad_condition", concat(":", [node, id]), path, "the condition is malformed") if {
	some node, tenant in tenants
	is_object(tenant.conditional_roles)
	some id, tree in tenant.conditional_roles
	not condition.well_formed(tree)
	path := ["tenants", node, "conditional_roles", id]
}

problems contains problem("condition_too_deep", concat(":", [node, id]), path, message) if {
	some node, tenant in tenants
	is_object(tenant.conditional_roles)
	some id, tree in tenant.conditional_roles
	condition.too_deep(tree)
	path := ["tenants", node, "conditional_roles", id]
	message := sprintf("a condition is at most %d deep", [condition.deepest])
}
