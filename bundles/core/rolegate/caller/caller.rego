# METADATA
# title: Who asks
# description: >-
#   The principal, its records and its session, seen from the place of the question. Reads neither
#   the clock nor the question, so that what is found here holds for every question in a place.
#   Depth counts from the place upwards: 0 is the place itself.
package rolegate.caller

import data.rolegate.place

# METADATA
# title: Who is believed about roles; undefined for an issuer that is not trusted (N5)
authority := word if {
	iss := input.subject.claims.iss
	is_string(iss)
	issuer := data.rbac.issuers[iss]
	is_object(issuer)
	word := object.get(issuer, "authority", "bundle")
	word in {"bundle", "token_roles", "token_permissions"}
} else := "bundle" if not issued

# Whether the claims name an issuer, or cannot be read.
issued if input.subject.claims.iss != null

issued if {
	claims := input.subject.claims
	claims != null
	not is_object(claims)
}

# METADATA
# title: The principal's records at the tenant and its ancestors, as [depth, record], deepest first
records := [[depth, record] |
	some depth, node in nodes
	record := data.rbac.members[node][input.subject.id]
	is_object(record)
] if {
	nodes := place.nodes
}

# METADATA
# title: The kind of principal (N11)
kind := word if {
	word := object.get(records[0][1], "kind", "user")
} else := type if {
	type := input.subject.type
	type != null
} else := "external"

# METADATA
# title: The depths of the token's tenant and its issuer's, of those there are (N9)
# description: >-
#   The first is the tenant that the token speaks for. Undefined when one of them does not cover the
#   place, or the token's is not at or below its issuer's.
claimed := depths if {
	tenants := array.concat(
		[place.aliased(tenant) | tenant := input.subject.claims.tenant; tenant != null],
		[issuer.tenant | issuer := data.rbac.issuers[input.subject.claims.iss]],
	)
	depths := [depth | some tenant in tenants; some depth, node in place.nodes; node == tenant]
	count(depths) == count(tenants)
	sort(depths) == depths
}

# METADATA
# title: The depth of the node that the caller is bound to; undefined for a stranger (N10, N11)
binding := min(array.concat(claimed, [depth | some [depth, _] in records]))

# METADATA
# title: The session's SSO connections, as [name, connection]
connections := [[name, connection] | some name, connection in sessions; is_object(connection)] if {
	sessions := input.subject.claims.sso
	is_object(sessions)
}

# METADATA
# title: What is true of this session, in the words of implicit rules (N14)
facts := array.flatten([
	[concat(":", ["email", lower(domain)]) |
		[word | word := input.subject.claims.email_verified; word != null; word != true] == []
		address := array.concat(
			[email | email := input.subject.claims.email; email != null],
			[email | email := records[0][1].email],
		)[0]
		is_string(address)
		parts := split(address, "@")
		count(parts) > 1
		domain := parts[count(parts) - 1]
		domain != ""
	],
	[concat(":", ["conn", name]) | some [name, _] in connections],
	[concat("", ["group:", name, "|", group]) |
		some [name, connection] in connections
		groups := connection.groups
		is_array(groups)
		some group in groups
		is_string(group)
	],
	[fact |
		some [name, connection] in connections
		roles := connection.roles
		is_array(roles)
		some role in roles
		is_string(role)
		some fact in [concat(":", ["extrole", role]), concat("", ["extrole:", name, "|", role])]
	],
	[concat("", ["claim:", name, "=", text]) |
		attributes := input.subject.claims.attrs
		is_object(attributes)
		some name, value in attributes
		some text in array.flatten([value])
		is_string(text)
	],
])
