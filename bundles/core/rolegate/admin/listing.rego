package rolegate.admin

import data.rolegate.place
import data.rolegate.roles
import data.rolegate.verdict

# METADATA
# title: Roles that meet every wish of the request, by id, with their defaults filled in
# description: >-
#   The input is {"text", "level", "type", "visibility", "tenant", "permission": {"resource", "action"}}, each of
#   which may be left out. The text is looked for in id, key and name. With a tenant: roles that may be
#   held there (N12). With a permission: roles with an allow that speaks of it, anywhere (N24, N28 to N30).
# entrypoint: true
listing := {id: profile |
	some id, role in data.rbac.roles
	is_object(role)
	profile := object.union(defaults(role), role)
	described(id, profile)
	holdable(role)
	permits(role)
}

defaults(role) := {"type": "custom", "level": 0, "visibility": visibility(role)}

visibility(role) := "ALL" if {
	role.owner == "@root"
} else := "OWNER"

described(id, profile) if {
	every wish in ["level", "type", "visibility"] {
		object.get(input, wish, profile[wish]) == profile[wish]
	}
	some text in [id, profile.key, object.get(profile, "name", "")]
	contains(lower(text), lower(object.get(input, "text", "")))
}

holdable(role) if {
	_ = input.tenant
	tenant := place.asked with input as {"route": {"tenant": input.tenant}}
	roles.shown(role, tenant, tenant)
}

holdable(_) if not input.tenant

permits(_) if not input.permission

permits(role) if {
	wish := input.permission
	some name in [wish.resource, "*"]
	some verb in [wish.action, "*"]
	some _ in role.allow[name][verb]
	heard(role)
}

permits(role) if {
	wished.class == "always"
	verdict.gives(role)
}

# Whether the role's allows speak of the permission wished for (N28, N29).
heard(role) if {
	not deaf(role)
}

deaf(role) if {
	role.type == "predefined"
	not wished.managed
}

deaf(role) if {
	wished.class == "never"
	role.owner != "@root"
}

wished := catalog[input.permission.resource][input.permission.action] if catalog := data.rbac.catalog
