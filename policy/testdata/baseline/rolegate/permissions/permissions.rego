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
reported := {text(resource, action) |
	some resource, actions in data.rbac.catalog
	some action, declaration in actions
	allowed(resource, action, declaration)
	not denied(resource, action, declaration)
} if {
	data.rbac.catalog
} else := {text(resource, action) |
	some [resource, action] in literal
	not denied(resource, action, {})
}

text("-", action) := action

text(resource, action) := concat(":", [resource, action]) if resource != "-"

allowed(resource, action, declaration) if {
	some [owner, type] in allowing_tiers
	speaks(type, declaration)
	not withheld(owner, declaration)
	worded(allowing, [owner, type], resource, action)
}

allowed(_, _, declaration) if {
	declaration.class == "always"
	caller.authority != "token_permissions"
	some [_, role] in standing.allowers
	verdict.gives(role)
}

allowed(resource, action, _) if [resource, action] in listed

denied(resource, action, declaration) if {
	some [owner, type] in denying_tiers
	speaks(type, declaration)
	worded(denying, [owner, type], resource, action)
}

# N28 and N29, as for a question.
speaks(type, _) if type != "predefined"

speaks(_, declaration) if declaration.managed == true

withheld(owner, declaration) if {
	declaration.class == "never"
	owner != "@root"
}

worded(statements, tier, resource, action) if {
	some name in [resource, "*"]
	some verb in [action, "*"]
	[tier, name, verb] in statements
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
	some [_, role] in standing.allowers
	some resource, actions in role.allow
	some action, targets in actions
	some target in question.targets
	targets[target] == true
}

denying := {[tier(role), resource, action] |
	some [_, role] in standing.deniers
	some resource, actions in role.deny
	some action, targets in actions
	some target in question.targets
	targets[target] == true
}

allowing_tiers := {tier | some [tier, _, _] in allowing}

denying_tiers := {tier | some [tier, _, _] in denying}

tier(role) := [role.owner, object.get(role, "type", "custom")]

# The token's permissions as [resource, action], split at the first colon (N23).
listed := {pair |
	verdict.snapshot
	some text in verdict.listed_permissions
	pair := split_once(text)
}

split_once(text) := [parts[0], concat(":", array.slice(parts, 1, count(parts)))] if {
	contains(text, ":")
	parts := split(text, ":")
} else := ["-", text]
