# METADATA
# title: What the roles say
# description: Behind the gates. A deny wins, and says which kind of deny it was.
package rolegate.verdict

import data.rolegate.caller
import data.rolegate.extension
import data.rolegate.question
import data.rolegate.standing

# METADATA
# title: The reason of the answer (N26, N27, N31, N35)
reason := "explicit_deny" if {
	denied
} else := denial if {
	denial := extension.denial
} else := "no_roles" if {
	standing.allowers == []
	not snapshot
	not extension.allows
} else := "missing_role" if {
	_ = question.wanted
	satisfying == set()
} else := "no_permission" if {
	_ = question.permission
	matching == set()
	not listed
	not extension.allows
} else := "allowed"

# METADATA
# title: The roles to thank for an allow (N32, N35)
granting := matching if {
	_ = question.permission
	reason == "allowed"
} else := satisfying if {
	reason == "allowed"
} else := set()

# Whether a deny statement of any role speaks of the question (N26).
denied if {
	deniers := standing.deniers
	targets := question.targets
	[resource, action] := question.permission
	some [_, role] in deniers
	some name in [resource, "*"]
	verbs := role.deny[name]
	some verb in [action, "*"]
	places := verbs[verb]
	some target in targets
	places[target] == true
	speaks(role)
}

# Roles with an allow statement that speaks of the question, and those that always allow.
matching := named | givers if {
	caller.authority != "token_permissions"
	allowers := standing.allowers
	targets := question.targets
	[resource, action] := question.permission
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
		question.declaration.class == "always"
		some [id, role] in allowers
		gives(role)
	}
} else := set()

# N28: statements of predefined roles speak of managed permissions only.
speaks(role) if not role.type == "predefined"

speaks(_) if question.declaration.managed == true

# N29: what is never a tenant's to give.
withheld(role) if {
	role.owner != "@root"
	question.declaration.class == "never"
}

# METADATA
# title: Whether a role is a tenant's own custom role (N30)
gives(role) if {
	role.owner != "@root"
	object.get(role, "type", "custom") == "custom"
}

# The roles that satisfy the route's wish, by id or key (N31).
satisfying := {id |
	some [id, role] in standing.allowers
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
	[resource, action] := question.permission
	not contains(resource, ":")
	concat(":", [resource, action]) in input.subject.claims.permissions
}

listed if {
	snapshot
	["-", action] = question.permission
	not contains(action, ":")
	action in input.subject.claims.permissions
}
