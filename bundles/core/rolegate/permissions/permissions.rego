# METADATA
# title: What the caller may do here
# description: >-
#   The permissions of a report (N32). They cost time that grows with the catalog, or with the statements
#   of the roles that count, and are no part of an answer to a request.
package rolegate.permissions

import data.rolegate.caller
import data.rolegate.question
import data.rolegate.standing
import data.rolegate.verdict

# METADATA
# title: Permissions allowed and not denied at this path, as text
reported := {text(resource, action) | some [resource, action] in (allowed - denied)} if {
	is_object(data.rbac.catalog)
} else := {text(resource, action) |
	some [resource, action] in literal
	not struck(resource, action)
}

text("-", action) := action

text(resource, action) := concat(":", [resource, action]) if resource != "-"

# Declared permissions that statements allow, that are everyone's who has a tenant's own role, or that the
# token lists.
allowed := {[resource, action] |
	some [tier, resource, action, declaration] in meant(allowing)
	speaks(tier, declaration)
	not withheld(tier, declaration)
} | (given | {pair | some pair in listed; is_object(data.rbac.catalog[pair[0]][pair[1]])})

denied := {[resource, action] |
	some [tier, resource, action, declaration] in meant(denying)
	speaks(tier, declaration)
}

# The declared permissions that statements speak of, as [tier, resource, action, declaration].
meant(statements) := [[tier, resource, action, declaration] |
	some [tier, name, verb] in statements
	some resource in names(name, catalog)
	declarations := catalog[resource]
	some action in names(verb, declarations)
	declaration := declarations[action]
	is_object(declaration)
] if {
	catalog := data.rbac.catalog
}

names("*", declared) := object.keys(declared) if is_object(declared)

names(name, _) := [name] if name != "*"

# N28 and N29, as for a question.
speaks([_, type], _) if type != "predefined"

speaks(_, declaration) if declaration.managed == true

withheld([owner, _], declaration) if {
	declaration.class == "never"
	owner != "@root"
}

# N30, as for a question.
given := {[resource, action] |
	caller.authority != "token_permissions"
	[role | some [_, role] in standing.sides.allow; verdict.gives(role)][0]
	some resource, declarations in data.rbac.catalog
	some action, declaration in declarations
	declaration.class == "always"
}

struck(resource, action) if {
	some [[_, type], name, verb] in denying
	type != "predefined"
	name in [resource, "*"]
	verb in [action, "*"]
}

# What stands for the allows where no catalog declares anything.
literal := listed if {
	caller.authority == "token_permissions"
} else := {[resource, action] |
	some [[_, type], resource, action] in allowing
	type != "predefined"
}

# Statements whose target matches here, as [tier, resource, action]; roles of a tier are alike to N28 and N29.
allowing := {[tier(role), resource, action] |
	caller.authority != "token_permissions"
	some [_, role] in standing.sides.allow
	some resource, actions in role.allow
	some action, targets in actions
	some target in question.targets
	targets[target] == true
}

denying := {[tier(role), resource, action] |
	some [_, role] in standing.sides.deny
	some resource, actions in role.deny
	some action, targets in actions
	some target in question.targets
	targets[target] == true
}

tier(role) := [role.owner, object.get(role, "type", "custom")]

# The token's permissions as [resource, action], split at the first colon (N23).
listed := {pair |
	verdict.snapshot
	some text in input.subject.claims.permissions
	is_string(text)
	pair := split_once(text)
}

split_once(text) := [parts[0], concat(":", array.slice(parts, 1, count(parts)))] if {
	contains(text, ":")
	parts := split(text, ":")
} else := ["-", text]
