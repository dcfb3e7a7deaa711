package rolegate

import data.rolegate.extension
import data.rolegate.gate
import data.rolegate.place
import data.rolegate.standing
import data.rolegate.token
import data.rolegate.verdict

default decision := {
	"allow": false,
	"reason": "policy_error",
	"roles": set(),
	"granting_roles": set(),
	"valid_until": null,
}

# METADATA
# title: The answer to a request
# entrypoint: true
decision := {
	"allow": verdict.reason == "allowed",
	"reason": verdict.reason,
	"tenant": place.tenant,
	"roles": standing.ids,
	"granting_roles": verdict.granting,
	"valid_until": valid_until,
} if {
	not gate.before
	not gate.within
} else := {
	"allow": false,
	"reason": gate.within,
	"tenant": place.tenant,
	"roles": set(),
	"granting_roles": set(),
	"valid_until": valid_until,
} if {
	not gate.before
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
	"reason": outside,
	"roles": set(),
	"granting_roles": set(),
	"valid_until": valid_until,
}

# The reason where there is no place: a deny of the bundle's own closes a public route.
outside := extension.denial if {
	gate.before == "public"
} else := gate.before

default valid_until := null

# METADATA
# title: The earliest instant to come at which the answer may change; null without one (N33)
valid_until := min([instant | some instant in array.concat(turns, extension.bounds); is_number(instant); instant > now])

# What the answer turns on grows from gate to gate.
turns := array.concat(expiry, standing.turns) if {
	not gate.before
	not gate.within
} else := array.concat(expiry, token.revocations) if {
	gate.within == "revoked"
} else := expiry if {
	not gate.before
} else := array.concat(expiry, [input.subject.claims.nbf]) if {
	gate.before == "token_not_yet_valid"
} else := expiry if {
	gate.before in {"unknown_tenant", "path_outside_tenant"}
} else := []

expiry := [instant | instant := token.expiry]
