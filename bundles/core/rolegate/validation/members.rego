# METADATA
# title: Whether member records are sound
# description: A problem of a record has its node and principal as its subject.
package rolegate.validation.members

import data.rolegate.roles
import data.rolegate.validation

problems contains validation.problem("member_unknown_tenant", node, ["members", node], message) if {
	is_object(data.rbac.members)
	some node, _ in data.rbac.members
	not node in validation.registered
	message := "the node is not a tenant"
}

problems contains validation.problem("bad_shape", node, ["members", node], "records are not an object") if {
	is_object(data.rbac.members)
	some node, records in data.rbac.members
	not is_object(records)
}

problems contains validation.problem("bad_shape", subject, ["members", node, id], "the record is not an object") if {
	some node, records in validation.entries(data.rbac.members)
	some id, record in records
	not is_object(record)
	subject := concat(":", [node, id])
}

problems contains validation.problem("bad_shape", subject, ["members", node, id, field], message) if {
	some [node, id, record] in records
	some field in ["email", "attrs", "sso", "grants"]
	value := record[field]
	not fitting(field, value)
	subject := concat(":", [node, id])
	message := "an email is a text; attrs, sso and its connections, and grants are objects"
}

fitting("email", value) if is_string(value)

fitting("sso", value) if {
	is_object(value)
	every _, connection in value {
		is_object(connection)
		validation.texts(object.get(connection, "groups", []))
		validation.texts(object.get(connection, "roles", []))
	}
}

fitting(field, value) if {
	field in {"attrs", "grants"}
	is_object(value)
}

problems contains validation.problem("bad_kind", concat(":", [node, id]), ["members", node, id, "kind"], message) if {
	some [node, id, record] in records
	not record.kind in {"user", "m2m", "api_key", "external"}
	message := "the kind is user, m2m, api_key or external"
}

problems contains validation.problem("grant_unknown_role", subject, ["members", node, id, "grants", name], message) if {
	some [node, id, name, _] in grants
	not data.rbac.roles[name]
	subject := concat(":", [node, id])
	message := "there is no such role"
}

problems contains validation.problem("grant_not_visible", subject, ["members", node, id, "grants", name], message) if {
	some [node, id, name, _] in grants
	role := validation.roles[name]
	not roles.shown(role, node, node)
	subject := concat(":", [node, id])
	message := "the role is not visible here"
}

problems contains validation.problem("bad_window", subject, ["members", node, id, "grants", name], message) if {
	some [node, id, name, windows] in grants
	not validation.windows(windows)
	subject := concat(":", [node, id])
	message := "a window is two instants in order"
}

records := [[node, id, record] |
	some node, records in validation.entries(data.rbac.members)
	some id, record in records
	is_object(record)
]

grants := [[node, id, name, windows] |
	some [node, id, record] in records
	is_object(record.grants)
	some name, windows in record.grants
]
