# METADATA
# title: What the tests of the library share
# description: >-
#   A small world, and the question put to it at the instant 1000. object.union makes another world of it.
package rolegate_test

world := {
	"catalog": {
		"doc": {"read": {}, "write": {}, "shred": {"class": "never"}, "view": {"class": "always"}},
		"user": {"read": {"managed": true}},
	},
	"roles": {
		"reader": {"owner": "@root", "key": "reader", "allow": {"doc": {"read": {".": true}}}},
		"writer": {"owner": "@root", "key": "writer", "allow": {"doc": {"write": {".": true}}}},
		"frozen": {"owner": "@root", "key": "frozen", "deny": {"doc": {"write": {".": true}}}},
		"all": {"owner": "@root", "key": "all", "allow": {"*": {"*": {".": true}}}},
		"hidden": {"owner": "@root", "key": "hidden", "visibility": "NONE", "allow": {"doc": {"read": {".": true}}}},
		"listed": {
			"owner": "@root",
			"key": "listed",
			"visibility": "INCLUDE",
			"include": {"acme": true},
			"allow": {"doc": {"read": {".": true}}},
		},
		"acme.own": {"owner": "acme", "key": "own", "allow": {"doc": {"write": {".": true}}}},
		"acme.eu.own": {"owner": "acme.eu", "key": "own", "allow": {"doc": {"read": {".": true}}}},
	},
	"tenants": {"@root": {}, "acme": {}, "acme.eu": {}, "globex": {}},
	"members": {"acme": {"ann": {"kind": "user", "email": "ann@acme.com", "grants": {"reader": []}}}},
	"issuers": {
		"live": {},
		"roles": {"authority": "token_roles"},
		"list": {"authority": "token_permissions"},
		"acme-only": {"tenant": "acme"},
		"odd": {"authority": "else"},
	},
}

# The world with other grants for ann.
granting(grants) := with_record({"kind": "user", "email": "ann@acme.com", "grants": grants})

# The world with another record of ann's.
with_record(record) := json.patch(world, [{"op": "replace", "path": "/members/acme/ann", "value": record}])

# The world with something put in, deeply.
adding(more) := object.union(world, more)

ask(rbac, subject, route) := answer if {
	answer := data.rolegate.report with data.rbac as rbac
		with input as {"subject": subject, "route": route}
		with time.now_ns as 1000000000
}

ann := {"id": "ann"}

claiming(claims) := {"id": "ann", "claims": claims}

# Someone without a record, by a session in acme.
stranger(claims) := {"id": "sam", "type": "external", "claims": object.union({"tenant": "acme"}, claims)}

read := {"tenant": "acme", "resource": "doc", "action": "read"}

write := {"tenant": "acme", "resource": "doc", "action": "write"}

at(path) := object.union(read, {"path": path})

within(tenant) := object.union(read, {"tenant": tenant})
