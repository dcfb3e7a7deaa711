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
	question.action
	not granted
} else := "allowed"

# METADATA
# title: The roles to thank for an allow (N32, N35)
granting := set() if {
	reason != "allowed"
} else := matching if {
	question.action
} else := satisfying

# Whether a deny statement of any role speaks of the question (N26).
denied if {
	some [_, role] in standing.deniers
	some resource in question.resources
	some action in question.actions
	some target in question.targets
	role.deny[resource][action][target] == true
	spoken(role)
}

granted if matching != set()

granted if listed

granted if extension.allows

# Roles with an allow statement that speaks of the question, and those that always allow.
matching := set() if {
	caller.authority == "token_permissions"
} else := {id |
	some [id, role] in standing.allowers
	some resource in question.resources
	some action in question.actions
	some target in question.targets
	role.allow[resource][action][target] == true
	spoken(role)
	not withheld(role)
} | everlasting

# N28: statements of predefined roles speak of managed permissions only.
spoken(role) if not role.type == "predefined"

spoken(_) if question.managed

# N29: what is never a tenant's to give.
withheld(role) if {
	question.class == "never"
	role.owner != "@root"
}

# N30: what every custom role of a tenant gives.
everlasting := {id |
	question.class == "always"
	some [id, role] in standing.allowers
	gives(role)
}

# METADATA
# title: Whether a role is a tenant's own custom role
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
# title: The permissions of a token that is believed about them (N23)
listed_permissions := {text | some text in input.subject.claims.permissions; is_string(text)}

# METADATA
# title: Whether the token's permissions are all that allows
snapshot if {
	caller.authority == "token_permissions"
	is_array(input.subject.claims.permissions)
	listed_permissions != set()
}

listed if {
	snapshot
	not contains(question.resource, ":")
	concat(":", [question.resource, question.action]) in listed_permissions
}

listed if {
	snapshot
	question.resource == "-"
	not contains(question.action, ":")
	question.action in listed_permissions
}
