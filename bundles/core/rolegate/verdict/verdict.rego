# METADATA
# title: What the roles say
# description: Behind the gates. A deny wins, and says which kind of deny it was.
package rolegate.verdict

import data.rolegate.caller
import data.rolegate.extension
import data.rolegate.question
import data.rolegate.standing

# METADATA
# title: Whether it is allowed, why, and the roles to thank, as [allow, reason, ids] (N26, N27, N31, N32, N35)
# description: Whether stands apart from why, because a bundle's own deny may say any word, `allowed` too.
outcome := [false, "explicit_deny", set()] if {
	targets := question.targets
	[resource, action, _] := question.permission
	some [_, role] in standing.sides.deny
	some name in [resource, "*"]
	verbs := role.deny[name]
	some verb in [action, "*"]
	places := verbs[verb]
	some target in targets
	places[target] == true
	speaks(role)
} else := [false, denial, set()] if {
	denial := extension.denial
} else := [false, "no_roles", set()] if {
	standing.sides.allow == []
	not snapshot
	not extension.allows
} else := [false, "missing_role", set()] if {
	_ = question.wanted
	satisfying == set()
} else := [true, "allowed", matching] if {
	matching != set()
} else := [true, "allowed", set()] if {
	listed
} else := [true, "allowed", set()] if {
	_ = question.permission
	extension.allows
} else := [false, "no_permission", set()] if {
	_ = question.permission
} else := [true, "allowed", satisfying]

# Roles with an allow statement that speaks of the question, and those that always allow; undefined for a
# question without an action.
matching := named | givers if {
	caller.authority != "token_permissions"
	allowers := standing.sides.allow
	targets := question.targets
	[resource, action, declaration] := question.permission
	names := [resource, "*"]
	actions := [action, "*"]
	named := {id |
		some [id, role] in allowers
		some name in names
		verbs := role.allow[name]
		some verb in actions
		places := verbs[verb]
		some target in targets
		places[target] == true
		speaks(role)
		not withheld(role)
	}
	givers := {id |
		declaration.class == "always"
		some [id, role] in allowers
		gives(role)
	}
}

# N28: statements of predefined roles speak of managed permissions only.
speaks(role) if not role.type == "predefined"

speaks(_) if question.permission[2].managed == true

# N29: what is never a tenant's to give.
withheld(role) if {
	role.owner != "@root"
	question.permission[2].class == "never"
}

# METADATA
# title: Whether a role is a tenant's own custom role (N30)
gives(role) if {
	role.owner != "@root"
	object.get(role, "type", "custom") == "custom"
}

# The roles that satisfy the route's wish, by id or key (N31).
satisfying := {id |
	some [id, role] in standing.sides.allow
	some name in [id, role.key]
	name in question.wanted
}

# METADATA
# title: Whether the token's permissions are all that allows (N23)
snapshot if {
	caller.authority == "token_permissions"
	is_array(input.subject.claims.permissions)
	some text in input.subject.claims.permissions
	is_string(text)
}

listed if {
	snapshot
	[resource, action, _] := question.permission
	not contains(resource, ":")
	concat(":", [resource, action]) in input.subject.claims.permissions
}

listed if {
	snapshot
	["-", action, _] = question.permission
	not contains(action, ":")
	action in input.subject.claims.permissions
}
