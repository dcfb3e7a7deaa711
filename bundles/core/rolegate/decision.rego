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
	"allow": reason == "allowed",
	"reason": reason,
	"tenant": place.nodes[0],
	"roles": {id | some [id, _] in standing.allowers},
	"granting_roles": verdict.granting,
	"valid_until": valid_until,
} if {
	gate.open
	reason := verdict.reason
} else := {
	"allow": true,
	"reason": "public",
	"roles": set(),
	"granting_roles": set(),
	"valid_until": valid_until,
} if {
	gate.before == "public"
	not extension.denial
} else := {
	"allow": false,
	"reason": extension.denial,
	"roles": set(),
	"granting_roles": set(),
	"valid_until": valid_until,
} if {
	gate.before == "public"
} else := {
	"allow": false,
	"reason": gate.before,
	"roles": set(),
	"granting_roles": set(),
	"valid_until": valid_until,
} if {
	gate.before
} else := {
	"allow": false,
	"reason": gate.within,
	"tenant": place.nodes[0],
	"roles": set(),
	"granting_roles": set(),
	"valid_until": valid_until,
}

default decision := {
	"allow": false,
	"reason": "policy_error",
	"roles": set(),
	"granting_roles": set(),
	"valid_until": null,
}

# METADATA
# title: The earliest instant to come at which the answer may change; null without one (N33)
valid_until := min([instant |
	some instant in array.concat(turns, [bound | some bound in extension.bounds])
	is_number(instant)
	instant > now
])

default valid_until := null

# What the answer turns on grows from gate to gate.
turns := array.concat(expiry, standing.turns) if {
	gate.open
} else := array.concat(expiry, [input.subject.claims.nbf]) if {
	gate.before == "token_not_yet_valid"
} else := expiry if {
	gate.before in {"unknown_tenant", "path_outside_tenant"}
} else := [] if {
	gate.before
} else := array.concat(expiry, token.revocations) if {
	gate.within == "revoked"
} else := expiry

expiry := [exp | exp := input.subject.claims.exp; exp != null]
