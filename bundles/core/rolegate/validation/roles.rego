package rolegate.validation

import data.rolegate.place
import data.rolegate.roles as role_model
import data.rolegate.token

problems contains problem("unknown_owner", id, ["roles", id, "owner"], message) if {
	some id, role in roles
	is_string(role.owner)
	not role.owner in registered
	message := sprintf("the owner %s is not a tenant", [role.owner])
}

problems contains problem("role_id_mismatch", id, ["roles", id], message) if {
	some id, role in roles
	is_string(role.owner)
	is_string(role.key)
	wanted := role_model.own_id(role.owner, role.key)
	wanted != id
	message := sprintf("the id of %s's role %s is %s", [role.owner, role.key, wanted])
}

problems contains problem("bad_visibility", id, ["roles", id, "visibility"], message) if {
	some id, role in roles
	is_string(role.owner)
	may := possible_visibilities(role.owner)
	not role.visibility in may
	message := sprintf("the visibility of a role of %s is one of %s", [role.owner, concat(", ", may)])
}

possible_visibilities(owner) := {"ALL", "NONE", "INCLUDE"} if {
	owner == "@root"
} else := {"OWNER"}

problems contains problem("include_without_list_visibility", id, ["roles", id, "include"], message) if {
	some id, role in roles
	is_object(role.include)
	role.include != {}
	not role.visibility == "INCLUDE"
	message := "tenants are listed, and the visibility is not INCLUDE"
}

problems contains problem("include_unknown_tenant", id, ["roles", id, "include", node], message) if {
	some id, role in roles
	is_object(role.include)
	some node, _ in role.include
	not node in registered
	message := sprintf("the listed %s is not a tenant", [node])
}

problems contains problem("shadowed_key", id, ["roles", id, "key"], message) if {
	some id, role in roles
	is_string(role.owner)
	role.owner != "@root"
	roles[role.key].owner == "@root"
	message := sprintf("the root has a role %s too", [role.key])
}

problems contains problem("bad_type", id, ["roles", id, "type"], "the type is custom or predefined") if {
	some id, role in roles
	not role.type in {"custom", "predefined"}
}

problems contains problem("predefined_not_root", id, ["roles", id, "type"], "only the root has predefined roles") if {
	some id, role in roles
	role.type == "predefined"
	is_string(role.owner)
	role.owner != "@root"
}

problems contains problem("bad_level", id, ["roles", id, "level"], "a level is a whole number from 0") if {
	some id, role in roles
	not level(role.level)
}

level(value) if {
	token.instant(value)
	value >= 0
}

problems contains problem("bad_window", id, ["roles", id, "windows"], "a window is two instants in order") if {
	some id, role in roles
	not windows(role.windows)
}

# Statements, as [id, side, resource, action, target]; what is not an object is a problem by itself.
statements := {[id, side, resource, action, target] |
	some id, role in roles
	some side in {"allow", "deny"}
	is_object(role[side])
	some resource, actions in role[side]
	is_object(actions)
	some action, targets in actions
	is_object(targets)
	some target, _ in targets
}

problems contains problem("bad_wildcard", id, ["roles", id, side, resource, action, target], message) if {
	some [id, side, resource, action, target] in statements
	wild([resource, action, target])
	message := "a * stands for a whole resource or action, not for a part of a name"
}

wild([resource, action, _]) if {
	some name in [resource, action]
	name != "*"
	contains(name, "*")
}

wild([_, _, target]) if contains(target, "*")

# Statements that the remaining checks are about.
plain := {statement | some statement in statements; not wild(array.slice(statement, 2, 5))}

problems contains problem("bad_shape", id, ["roles", id, side, resource, action, target], message) if {
	some [id, side, resource, action, target] in plain
	not target in {".", "$self"}
	not place.chain(target)
	message := "a target is `.`, `$self` or a path"
}

problems contains problem("permission_not_in_catalog", id, ["roles", id, side, resource, action], message) if {
	is_object(data.rbac.catalog)
	some [id, side, resource, action, _] in plain
	resource != "*"
	undeclared(resource, action)
	message := "the catalog does not declare this"
}

undeclared(resource, action) if {
	action == "*"
	not data.rbac.catalog[resource]
}

undeclared(resource, action) if {
	action != "*"
	not data.rbac.catalog[resource][action]
}

problems contains problem("never_in_custom", id, ["roles", id, "allow", resource, action], message) if {
	some [id, "allow", resource, action, _] in plain
	data.rbac.catalog[resource][action].class == "never"
	roles[id].owner != "@root"
	message := "a tenant's role cannot give this"
}

problems contains problem("predefined_unmanaged", id, ["roles", id, side, resource, action], message) if {
	some [id, side, resource, action, _] in plain
	roles[id].type == "predefined"
	declaration := data.rbac.catalog[resource][action]
	not declaration.managed == true
	message := "a predefined role speaks of managed permissions only"
}

problems contains problem("target_outside_owner", id, ["roles", id, side, resource, action, target], message) if {
	some [id, side, resource, action, target] in plain
	not target in {".", "$self"}
	owner := roles[id].owner
	owner != "@root"
	not covers(owner, target)
	message := sprintf("%s does not cover this", [owner])
}
