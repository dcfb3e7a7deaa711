package rolegate

import data.rolegate.extension
import data.rolegate.gate
import data.rolegate.place
import data.rolegate.standing
import data.rolegate.token
import data.rolegate.verdict

# METADATA
# title: The answer to a request
# entrypoint: true
decision := {
	"allow": allow,
	"reason": reason,
	"tenant": place.nodes[0],
	"roles": {id | some [id, _] in standing.sides.allow},
	"granting_roles": granting,
	"valid_until": earliest(array.concat(expiry, standing.sides.turns)),
} if {
	gate.open
	[allow, reason, granting] := verdict.outcome
} else := {
	"allow": true,
	"reason": "public",
	"roles": set(),
	"granting_roles": set(),
	"valid_until": earliest([]),
} if {
	gate.before == "public"
	not extension.denial
} else := {
	"allow": false,
	"reason": extension.denial,
	"roles": set(),
	"granting_roles": set(),
	"valid_until": earliest([]),
} if {
	gate.before == "public"
} else := {
	"allow": false,
	"reason": gate.before,
	"roles": set(),
	"granting_roles": set(),
	"valid_until": earliest(turns_outside),
} if {
	gate.before
} else := {
	"allow": false,
	"reason": gate.within,
	"tenant": place.nodes[0],
	"roles": set(),
	"granting_roles": set(),
	"valid_until": earliest(array.concat(expiry, turns_within)),
}

default decision := {
	"allow": false,
	"reason": "policy_error",
	"roles": set(),
	"granting_roles": set(),
	"valid_until": null,
}

# What an answer turns on grows from gate to gate (N33).
turns_outside := array.concat(expiry, [input.subject.claims.nbf]) if {
	gate.before == "token_not_yet_valid"
} else := expiry if {
	gate.before in {"unknown_tenant", "path_outside_tenant"}
} else := []

turns_within := token.revocations if {
	gate.within == "revoked"
} else := []

expiry := [exp | exp := input.subject.claims.exp; exp != null]

# The earliest instant to come, of some and of those that bound every answer; null without one.
earliest(instants) := min(ahead) if {
	ahead := [instant |
		some instant in array.concat(instants, [bound | some bound in extension.bounds])
		is_number(instant)
		instant > now
	]
	ahead != []
} else := null
