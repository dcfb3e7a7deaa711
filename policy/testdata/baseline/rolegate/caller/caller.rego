# METADATA
# title: Who asks
# description: >-
#   The principal, its records and its session, seen from the place of the question. Reads neither
#   the clock nor the question, so that what is found here holds for every question in a place.
package rolegate.caller

import data.rolegate.place

# METADATA
# title: The principal; undefined for a request without one (N4)
id := principal if {
	principal := input.subject.id
	is_string(principal)
	principal != ""
}

# METADATA
# title: The principal's records at the tenant and its ancestors, as [depth, record], outermost first
records := [[depth, record] |
	some depth, node in place.nodes
	record := data.rbac.members[node][id]
	is_object(record)
]

# METADATA
# title: The deepest record; undefined without one (N11)
record := records[count(records) - 1][1]

# METADATA
# title: The kind of principal (N11)
kind := word if {
	word := object.get(record, "kind", "user")
} else := type if {
	type := input.subject.type
	type != null
} else := "external"

# METADATA
# title: The issuer of the token as the data knows it
issuer := data.rbac.issuers[input.subject.claims.iss]

# METADATA
# title: Whether the claims are there and cannot be read
illegible if {
	claims := input.subject.claims
	claims != null
	not is_object(claims)
}

issued if input.subject.claims.iss != null

# METADATA
# title: Who is believed about roles; undefined for an issuer that is not trusted (N5)
authority := word if {
	is_object(issuer)
	word := object.get(issuer, "authority", "bundle")
	word in {"bundle", "token_roles", "token_permissions"}
} else := "bundle" if not issued

# METADATA
# title: The tenant that the token, or else its issuer, speaks for (N9); undefined when neither does
claimed := tenant if {
	tenant := data.rbac.aliases[input.subject.claims.tenant]
} else := tenant if {
	tenant := input.subject.claims.tenant
	tenant != null
} else := issuer.tenant

# METADATA
# title: The depth of the token's tenant; undefined unless it covers the place and is its issuer's to name (N9)
claimed_depth := depth if {
	some depth, node in place.nodes
	node == claimed
	issuer_depth <= depth
}

issuer_depth := depth if {
	some depth, node in place.nodes
	node == issuer.tenant
} else := 0 if not confined

confined if _ = issuer.tenant

# METADATA
# title: The depth of the node that the caller is bound to; undefined for a stranger (N10, N11)
binding := max(array.concat([depth | depth := claimed_depth], [entry[0] | some entry in records]))

# METADATA
# title: The session's SSO connections
connections := [[name, connection] |
	is_object(input.subject.claims.sso)
	some name, connection in input.subject.claims.sso
	is_object(connection)
]

# METADATA
# title: The email address of the session, else of the record
email := address if {
	address := input.subject.claims.email
	address != null
} else := record.email

unverified if {
	verified := input.subject.claims.email_verified
	not verified in {true, null}
}

# METADATA
# title: What is true of this session, in the words of implicit rules (N14)
facts := ((domains | connected) | (groups | external_roles)) | attributes

domains := {concat(":", ["email", lower(domain)]) |
	not unverified
	is_string(email)
	parts := split(email, "@")
	count(parts) > 1
	domain := parts[count(parts) - 1]
	domain != ""
}

connected := {concat(":", ["conn", name]) | some [name, _] in connections}

groups := {concat("", ["group:", name, "|", group]) |
	some [name, connection] in connections
	is_array(connection.groups)
	some group in connection.groups
	is_string(group)
}

external_roles := {fact |
	some [name, connection] in connections
	is_array(connection.roles)
	some role in connection.roles
	is_string(role)
	some fact in [concat(":", ["extrole", role]), concat("", ["extrole:", name, "|", role])]
}

attributes := {concat("", ["claim:", name, "=", text]) |
	is_object(input.subject.claims.attrs)
	some name, value in input.subject.claims.attrs
	some text in texts(value)
	is_string(text)
}

texts(value) := [value] if is_string(value)

texts(value) := value if is_array(value)
