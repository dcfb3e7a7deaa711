# METADATA
# title: The roles that count now
# description: Candidates at the instant of the question, and the instants at which that changes.
package rolegate.standing

import data.rolegate.caller
import data.rolegate.extension
import data.rolegate.place
import data.rolegate.roles
import data.rolegate.token

# METADATA
# title: Roles whose denials bind, as [id, role] (N22, N23)
deniers := bundled if {
	caller.authority == "bundle"
} else := array.concat(bundled, carried)

# METADATA
# title: Roles whose allows count, as [id, role]
# description: A revoked grant takes its role out of these, and leaves it among the deniers (N34).
allowers := bundled if {
	caller.authority == "bundle"
	not revoked
} else := [pair | some pair in believed; not pair[0] in struck] if {
	struck := [id | some [id, until] in revoked; token.in_force(until)]
}

believed := bundled if {
	caller.authority == "bundle"
} else := carried

# Roles of the bundle, extensions included (N13 to N20).
bundled := roles.settled if {
	not data.authz.candidates
} else := current(known)

known := array.concat(roles.known, extension.candidates)

# Roles of the token.
carried := current(roles.named)

current(candidates) := roles.visible([candidate |
	some candidate in candidates
	open(candidate[4])
	open(candidate[5])
])

# METADATA
# title: Whether a list of windows holds now (N20); a window includes its start and excludes its end (N21)
open([])

open(windows) if {
	some [start, end] in windows
	is_number(start)
	is_number(end)
	start <= data.rolegate.now
	data.rolegate.now < end
}

# METADATA
# title: Revoked grants of the principal at the tenant and above, as [id, until]; undefined without one (N34)
revoked := entries if {
	grants := data.rbac.revoked.grants
	entries := [[id, until] |
		some node in place.nodes
		some id, until in grants[node][input.subject.id]
	]
	entries != []
}

# METADATA
# title: Instants at which the roles that count may change (N33)
turns := [] if {
	not data.authz.candidates
	_ = roles.settled
	caller.authority == "bundle"
	not revoked
} else := array.concat(
	[until | some [_, until] in revoked],
	[instant |
		some candidate in array.concat(known, [named | caller.authority != "bundle"; some named in roles.named])
		some windows in array.slice(candidate, 4, 6)
		some window in windows
		some instant in window
	],
)
