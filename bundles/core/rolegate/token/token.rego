# METADATA
# title: What the token itself bounds
# description: The token's times (N6) and its revocation (N34). Times are integer milliseconds.
package rolegate.token

import data.rolegate.place

# METADATA
# title: Why the token's times refuse it; undefined when they do not (N6)
untimely := "token_expired" if {
	exp := input.subject.claims.exp
	exp != null
	not instant(exp)
} else := "token_expired" if {
	nbf := input.subject.claims.nbf
	nbf != null
	not instant(nbf)
} else := "token_expired" if {
	exp := input.subject.claims.exp
	exp != null
	exp <= data.rolegate.now
} else := "token_not_yet_valid" if {
	nbf := input.subject.claims.nbf
	nbf != null
	nbf > data.rolegate.now
}

# METADATA
# title: Whether a value is a whole number that fits an instant
# description: >-
#   A plain numeral is told by its text, which is cheapest. For any other the range is asked first, because
#   rounding a number of a million digits takes its time.
instant(value) if {
	is_number(value)
	value < 1000000000000000000
	trim(json.marshal(value), "0123456789") == ""
} else if {
	is_number(value)
	value >= -9223372036854775808
	value <= 9223372036854775807
	floor(value) == value
}

# METADATA
# title: The entries in force that revoke the token, or the principal at the tenant or above (N34)
# description: Undefined without one.
revocations := entries if {
	revoked := data.rbac.revoked
	entries := [until |
		some until in array.concat(
			[until | until := revoked.tokens[input.subject.claims.jti]],
			[until | some node in place.nodes; until := revoked.principals[node][input.subject.id]],
		)
		in_force(until)
	]
	entries != []
}

# METADATA
# title: Whether an entry is in force
in_force(0)

in_force(until) if until > data.rolegate.now

# An entry that cannot be read is in force.
in_force(until) if not is_number(until)
