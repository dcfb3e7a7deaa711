package rolegate.admin_test

import data.rolegate.admin

world := {
	"catalog": {
		"documents": {"read": {}, "shred": {"class": "never"}},
		"profile": {"see": {"class": "always"}},
		"user": {"read": {"managed": true}},
	},
	"tenants": {"@root": {}, "acme": {}, "globex": {}},
	"roles": {
		"reader": {
			"owner": "@root",
			"key": "reader",
			"name": "Reads documents",
			"level": 2,
			"allow": {"documents": {"read": {".": true}}},
		},
		"hidden": {"owner": "@root", "key": "hidden", "visibility": "NONE", "allow": {"*": {"*": {".": true}}}},
		"support": {"owner": "@root", "key": "support", "type": "predefined", "allow": {"*": {"*": {".": true}}}},
		"acme.all": {"owner": "acme", "key": "all", "allow": {"*": {"*": {".": true}}}},
	},
}

ids(request) := object.keys(found) if {
	found := admin.listing with data.rbac as world with input as request
}

test_listing_without_a_wish_has_every_role if {
	ids({}) == {"reader", "hidden", "support", "acme.all"}
}

test_listing_fills_in_defaults if {
	roles := admin.listing with data.rbac as world with input as {}
	roles["acme.all"].visibility == "OWNER"
	roles["acme.all"].type == "custom"
	roles["acme.all"].level == 0
	roles.reader.visibility == "ALL"
	roles.reader.level == 2
}

test_listing_looks_for_text_in_id_key_and_name if {
	ids({"text": "DOCU"}) == {"reader"}
	ids({"text": "acme."}) == {"acme.all"}
	ids({"text": "nothing"}) == set()
}

test_listing_by_level_type_and_visibility if {
	ids({"level": 2}) == {"reader"}
	ids({"type": "predefined"}) == {"support"}
	ids({"visibility": "NONE"}) == {"hidden"}
	ids({"visibility": "OWNER", "level": 0}) == {"acme.all"}
}

test_listing_by_tenant_has_what_may_be_held_there if {
	ids({"tenant": "acme"}) == {"reader", "support", "acme.all"}
	ids({"tenant": "globex"}) == {"reader", "support"}
	ids({"tenant": "@root"}) == {"reader", "hidden", "support"}
}

test_listing_by_permission if {
	ids({"permission": {"resource": "documents", "action": "read"}}) == {"reader", "hidden", "acme.all"}
	ids({"permission": {"resource": "documents", "action": "shred"}}) == {"hidden"}
	ids({"permission": {"resource": "user", "action": "read"}}) == {"hidden", "support", "acme.all"}
	ids({"permission": {"resource": "profile", "action": "see"}}) == {"hidden", "acme.all"}
}
