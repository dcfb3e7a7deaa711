# METADATA
# title: What the token itself bounds
# description: The token's times (N6) and its revocation (N34). Times are integer milliseconds.
package rolegate.token

import data.rolegate.caller
import data.rolegate.place

# METADATA
# title: When the token expires; undefined without exp
expiry := input.subject.claims.exp if instant(input.subject.claims.exp)

# METADATA
# title: Whether the token has expired, or its times cannot be read (N6)
expired if {
	exp := input.subject.claims.exp
	exp != null
	not ahead(exp)
}

expired if {
	nbf := input.subject.claims.nbf
	nbf != null
	not instant(nbf)
}

# METADATA
# title: Whether the token is not yet valid (N6)
early if {
	input.subject.claims.nbf != null
	input.subject.claims.nbf > data.rolegate.now
}

ahead(time) if {
	instant(time)
	time > data.rolegate.now
}

# METADATA
# title: Whether a value is a whole number that fits an instant
# description: The range is asked first, because rounding a number of a million digits takes its time.
instant(value) if {
	is_number(value)
	value >= -9223372036854775808
	value <= 9223372036854775807
	floor(value) == value
}

# METADATA
# title: The entries that revoke the token, or the principal at the tenant or above (N34)
revocations := array.concat(
	[until | until := data.rbac.revoked.tokens[input.subject.claims.jti]],
	[until | some node in place.nodes; until := data.rbac.revoked.principals[node][caller.id]],
)

# METADATA
# title: Whether an entry is in force
in_force(0)

in_force(until) if until > data.rolegate.now

# An entry that cannot be read is in force.
in_force(until) if not is_number(until)
