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
# title: What counts, in three lists
# description: >-
#   allow has the roles whose allows count and deny those whose denials bind, as [id, role] (N22, N23). A
#   revoked grant takes its role out of allow and leaves it in deny (N34). turns has the instants at which
#   either may change (N33).
sides := {"allow": held, "deny": held, "turns": []} if {
	caller.authority == "bundle"
	not revoked
	not data.authz.candidates
	held := roles.settled
} else := {
	"allow": [pair | some pair in believed; not pair[0] in struck],
	"deny": array.concat(bundled, carried),
	"turns": turns,
} if {
	struck := [id | some [id, until] in revoked; token.in_force(until)]
}

believed := bundled if {
	caller.authority == "bundle"
} else := carried

# Roles of the bundle, extensions included (N13 to N20).
bundled := current(known)

known := array.concat(roles.known, [candidate | some candidate in extension.candidates])

# Roles of the token.
carried := current(tokens)

tokens := roles.named if {
	caller.authority != "bundle"
} else := []

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

turns := array.concat(
	[until | some [_, until] in revoked],
	[instant |
		some candidate in array.concat(known, tokens)
		some windows in array.slice(candidate, 4, 6)
		some window in windows
		some instant in window
	],
)
