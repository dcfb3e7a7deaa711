package rolegate.admin

import data.rolegate.place
import data.rolegate.roles

# METADATA
# title: The members of a tenant that have a role stored, and from where (S1)
# description: >-
#   An object from the principal to the sources, of grant, implicit, conditional and base. The input is
#   {"tenant", "role"}. Stored registrations stand for the session; windows and revocations are not consulted.
# entrypoint: true
search := {id: sources |
	some id, record in data.rbac.members[tenant]
	is_object(record)
	sources := stored with input as {
		"subject": {"id": id, "claims": {"sso": object.get(record, "sso", null)}},
		"route": {"tenant": input.tenant},
		"role": input.role,
	}
	sources != set()
} if {
	tenant := place.asked with input as {"route": {"tenant": input.tenant}}
} else := {}

stored := {source |
	some source, candidates in {
		"grant": roles.granted,
		"implicit": roles.implied,
		"conditional": roles.conditional,
		"base": roles.base,
	}
	some [id, owner, seat, _] in candidates
	id == input.role
	held := data.rbac.roles[id]
	is_object(held)
	roles.shown(held, owner, seat)
}
