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
allowers := believed if {
	struck == set()
} else := [pair | some pair in believed; not pair[0] in struck]

# METADATA
# title: The ids of the roles whose allows count
ids := {pair[0] | some pair in allowers}

believed := bundled if {
	caller.authority == "bundle"
} else := carried

# Roles of the bundle, extensions included: N13 to N20.
bundled := roles.always if {
	changing == []
} else := array.concat(roles.always, current(changing))

changing := array.concat(roles.timed, extension.entries)

# Roles of the token.
carried := current(roles.token_entries)

current(entries) := [[id, role] |
	some [id, role, true, granted, windows] in entries
	open(granted)
	open(windows)
]

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
# title: Ids of roles of which the principal's grant is revoked
struck := {id | some [id, until] in revoked_grants; token.in_force(until)}

revoked_grants := [[id, until] |
	some node in place.nodes
	some id, until in data.rbac.revoked.grants[node][caller.id]
]

# METADATA
# title: Instants at which the roles that count may change (N33)
turns := array.concat(
	[instant |
		some entries in [changing, roles.token_entries]
		some entry in entries
		some windows in array.slice(entry, 3, 5)
		some window in windows
		some instant in window
	],
	[until | some [_, until] in revoked_grants],
)
