package rolegate_test

# What the roles say.

allowing(statements) := object.union(
	granting({"r": []}),
	{"roles": {"r": {"owner": "@root", "key": "r", "allow": statements}}},
)

denying(statements) := object.union(
	granting({"all": [], "r": []}),
	{"roles": {"r": {"owner": "@root", "key": "r", "deny": statements}}},
)

test_n24_the_resource_or_any if {
	ask(allowing({"doc": {"read": {".": true}}}), ann, read).allow
	ask(allowing({"*": {"read": {".": true}}}), ann, read).allow
	not ask(allowing({"user": {"read": {".": true}}}), ann, read).allow
	not ask(allowing({"do*": {"read": {".": true}}}), ann, read).allow
}

test_n24_the_action_or_any if {
	ask(allowing({"doc": {"*": {".": true}}}), ann, read).allow
	not ask(allowing({"doc": {"write": {".": true}}}), ann, read).allow
}

test_n24_the_default_resource if {
	flat := object.union(allowing({"-": {"read": {".": true}}}), {"catalog": {"-": {"read": {}}}})
	ask(flat, ann, {"tenant": "acme", "action": "read"}).allow
	ask(flat, ann, {"tenant": "acme", "resource": null, "action": "read"}).allow
}

test_n24_a_target_that_covers_the_path if {
	ask(allowing({"doc": {"read": {"acme": true}}}), ann, read).allow
	ask(allowing({"doc": {"read": {"@root": true}}}), ann, read).allow
	ask(allowing({"doc": {"read": {"acme.shelf": true}}}), ann, at("acme.shelf.7")).allow
	not ask(allowing({"doc": {"read": {"acme.shelf": true}}}), ann, at("acme.shelf2")).allow
	not ask(allowing({"doc": {"read": {"acme.shelf": true}}}), ann, read).allow
}

test_n24_the_principals_own if {
	own := allowing({"doc": {"read": {"$self": true}}})
	ask(own, ann, object.union(read, {"owner": "ann"})).allow
	every owner in ["bob", null, "", ["ann"], {"id": "ann"}] {
		not ask(own, ann, object.union(read, {"owner": owner})).allow
	}
	not ask(own, ann, read).allow
}

test_n24_statements_of_another_shape_say_nothing if {
	every statements in [
		7,
		null,
		[],
		{"doc": 7},
		{"doc": ["read"]},
		{"doc": {"read": true}},
		{"doc": {"read": ["."]}},
		{"doc": {"read": {".": false}}},
		{"doc": {"read": {".": "true"}}},
	] {
		not ask(allowing(statements), ann, read).allow
	}
}

test_n26_a_deny_wins_over_any_allow if {
	answer := ask(denying({"doc": {"read": {".": true}}}), ann, read)
	answer.reason == "explicit_deny"
	not answer.allow
	answer.roles == {"all", "r"}
	answer.granting_roles == set()
}

test_n26_a_deny_matches_as_an_allow_does if {
	ask(denying({"*": {"*": {"acme": true}}}), ann, read).reason == "explicit_deny"
	ask(denying({"doc": {"*": {"acme.shelf": true}}}), ann, at("acme.shelf.7")).reason == "explicit_deny"
	ask(denying({"doc": {"read": {"$self": true}}}), ann, object.union(read, {"owner": "ann"})).reason == "explicit_deny"
	ask(denying({"doc": {"write": {".": true}}}), ann, read).reason == "allowed"
	ask(denying({"doc": {"read": {"acme.shelf": true}}}), ann, read).reason == "allowed"
	ask(denying({"doc": {"read": {"$self": true}}}), ann, read).reason == "allowed"
}

test_n26_comes_before_missing_role if {
	route := object.union(read, {"roles_any": ["boss"]})
	ask(denying({"doc": {"read": {".": true}}}), ann, route).reason == "explicit_deny"
}

test_n27_no_roles if {
	answer := ask(granting({}), ann, read)
	answer.reason == "no_roles"
	answer.roles == set()
}

test_n27_no_roles_comes_before_missing_role if {
	ask(granting({}), ann, object.union(read, {"roles_any": ["boss"]})).reason == "no_roles"
}

test_n27_no_match if {
	answer := ask(world, ann, write)
	answer.reason == "no_permission"
	answer.roles == {"reader"}
	answer.granting_roles == set()
}

test_n27_allowed if {
	answer := ask(granting({"reader": [], "writer": []}), ann, read)
	answer.reason == "allowed"
	answer.allow
	answer.tenant == "acme"
	answer.roles == {"reader", "writer"}
	answer.granting_roles == {"reader"}
}

predefined := object.union(granting({"all": []}), {"roles": {"all": {"type": "predefined"}}})

test_n28_a_predefined_role_allows_what_is_managed if {
	ask(predefined, ann, {"tenant": "acme", "resource": "user", "action": "read"}).allow
	ask(predefined, ann, read).reason == "no_permission"
}

test_n28_without_a_catalog_nothing_is_managed if {
	none := json.patch(predefined, [{"op": "remove", "path": "/catalog"}])
	ask(none, ann, {"tenant": "acme", "resource": "user", "action": "read"}).reason == "no_permission"
}

test_n28_only_true_is_managed if {
	every managed in ["true", 1, null, false] {
		odd := object.union(predefined, {"catalog": {"doc": {"read": {"managed": managed}}}})
		ask(odd, ann, read).reason == "no_permission"
	}
}

test_n28_a_predefined_role_denies_what_is_managed if {
	rbac := object.union(denying({"*": {"*": {".": true}}}), {"roles": {"r": {"type": "predefined"}}})
	ask(rbac, ann, {"tenant": "acme", "resource": "user", "action": "read"}).reason == "explicit_deny"
	ask(rbac, ann, read).reason == "allowed"
}

shred := {"tenant": "acme", "resource": "doc", "action": "shred"}

tenants_own(statements) := object.union(granting({"acme.own": []}), {"roles": {"acme.own": {"allow": statements}}})

test_n29_a_tenants_role_does_not_allow_class_never if {
	ask(tenants_own({"doc": {"shred": {".": true}}}), ann, shred).reason == "no_permission"
	ask(tenants_own({"*": {"*": {".": true}}}), ann, shred).reason == "no_permission"
	ask(allowing({"doc": {"shred": {".": true}}}), ann, shred).granting_roles == {"r"}
}

test_n29_a_tenants_role_still_denies_class_never if {
	rbac := object.union(
		granting({"all": [], "acme.own": []}),
		{"roles": {"acme.own": {"deny": {"doc": {"shred": {".": true}}}}}},
	)
	ask(rbac, ann, shred).reason == "explicit_deny"
}

view := {"tenant": "acme", "resource": "doc", "action": "view"}

test_n30_a_tenants_custom_role_allows_class_always if {
	ask(granting({"acme.own": []}), ann, view).granting_roles == {"acme.own"}
	ask(granting({"reader": []}), ann, view).reason == "no_permission"
	odd := object.union(granting({"acme.own": []}), {"roles": {"acme.own": {"type": "predefined"}}})
	ask(odd, ann, view).reason == "no_permission"
}

test_n30_by_the_tokens_roles_but_not_by_its_list if {
	ask(granting({}), carrying(["own"]), view).granting_roles == {"acme.own"}
	list := claiming({"iss": "list", "roles": ["own"], "permissions": ["doc:read"]})
	ask(granting({}), list, view).reason == "no_permission"
}

test_n30_beside_roles_that_name_it if {
	named := object.union(granting({"acme.own": [], "all": []}), {})
	ask(named, ann, view).granting_roles == {"acme.own", "all"}
}

test_n30_a_deny_beats_it if {
	rbac := object.union(
		granting({"acme.own": [], "r": []}),
		{"roles": {"r": {"owner": "@root", "key": "r", "deny": {"doc": {"view": {".": true}}}}}},
	)
	ask(rbac, ann, view).reason == "explicit_deny"
}

test_n31_one_of_the_roles_by_id_or_key if {
	both := granting({"reader": [], "acme.own": []})
	ask(both, ann, object.union(read, {"roles_any": ["boss", "reader"]})).allow
	ask(both, ann, object.union(read, {"roles_any": ["acme.own"]})).allow
	ask(both, ann, object.union(read, {"roles_any": ["own"]})).allow
	ask(both, ann, object.union(read, {"roles_any": ["boss"]})).reason == "missing_role"
	ask(both, ann, object.union(read, {"roles_any": ["eu.own"]})).reason == "missing_role"
}

test_n31_granting_roles_are_still_those_that_match if {
	both := granting({"reader": [], "acme.own": []})
	ask(both, ann, object.union(read, {"roles_any": ["own"]})).granting_roles == {"reader"}
}

test_n31_an_empty_list_names_nothing if {
	ask(world, ann, object.union(read, {"roles_any": []})).allow
	ask(world, ann, object.union(read, {"roles_any": null})).allow
}

test_n31_what_is_no_list_is_never_satisfied if {
	every names in ["reader", {}, 7, false, [7], [["reader"]]] {
		ask(world, ann, object.union(read, {"roles_any": names})).reason == "missing_role"
	}
}

test_n31_roles_that_only_deny_do_not_count if {
	answer := ask(granting({"frozen": []}), carrying(["reader"]), object.union(read, {"roles_any": ["frozen"]}))
	answer.reason == "missing_role"
}

test_n34_a_revoked_grant_takes_its_role_out if {
	rbac := object.union(granting({"reader": [], "writer": []}), {"revoked": {"grants": {"acme": {"ann": {"reader": 0}}}}})
	answer := ask(rbac, ann, read)
	answer.reason == "no_permission"
	answer.roles == {"writer"}
}

test_n34_whatever_its_source if {
	revoked := {"revoked": {"grants": {"@root": {"ann": {"writer": 2000}}}}}
	ask(object.union(world, revoked), carrying(["writer"]), write).reason == "no_roles"
	based := object.union(adding({"tenants": {"acme": {"base_roles": ["writer"]}}}), revoked)
	ask(based, ann, write).roles == {"reader"}
}

test_n34_and_leaves_its_denials if {
	rbac := object.union(
		granting({"writer": [], "frozen": []}),
		{"revoked": {"grants": {"acme": {"ann": {"frozen": 0}}}}},
	)
	answer := ask(rbac, ann, write)
	answer.reason == "explicit_deny"
	answer.roles == {"writer"}
}

test_n34_a_grant_revoked_elsewhere_or_until_now_counts if {
	elsewhere := [{"globex": {"ann": {"reader": 0}}}, {"acme": {"bob": {"reader": 0}}}]
	every grants in array.concat(elsewhere, [{"acme": {"ann": {"reader": 1000}}}]) {
		ask(adding({"revoked": {"grants": grants}}), ann, read).allow
	}
}

test_n34_a_revocation_that_cannot_be_read_is_in_force if {
	every until in ["soon", null, false] {
		ask(adding({"revoked": {"grants": {"acme": {"ann": {"reader": until}}}}}), ann, read).reason == "no_roles"
	}
}

roles_alone(names) := {"tenant": "acme", "roles_any": names}

test_n35_roles_alone if {
	answer := ask(granting({"reader": [], "frozen": []}), ann, roles_alone(["reader", "boss"]))
	answer.allow
	answer.reason == "allowed"
	answer.granting_roles == {"reader"}
	answer.roles == {"reader", "frozen"}
}

test_n35_roles_alone_ask_for_no_permission if {
	empty := json.patch(world, [{"op": "replace", "path": "/catalog", "value": {}}])
	ask(empty, ann, roles_alone(["reader"])).allow
	ask(granting({"reader": [], "frozen": []}), ann, object.union(roles_alone(["reader"]), {"resource": "doc"})).allow
	ask(denying({"*": {"*": {".": true}}}), ann, roles_alone(["all"])).allow
}

test_n35_roles_alone_need_roles if {
	ask(granting({}), ann, roles_alone(["reader"])).reason == "no_roles"
	ask(world, ann, roles_alone(["boss"])).reason == "missing_role"
}

test_n23_a_list_counts_with_its_authority_only if {
	ask(world, claiming({"permissions": ["doc:write"]}), write).reason == "no_permission"
	of_roles := claiming({"iss": "roles", "roles": ["reader"], "permissions": ["doc:write"]})
	ask(world, of_roles, write).reason == "no_permission"
	flat := uncataloged(world)
	ask(flat, claiming({"permissions": ["go"]}), {"tenant": "acme", "action": "go"}).reason == "no_permission"
	ask(world, claiming({"iss": "list", "permissions": {"x": "doc:read"}}), read).reason == "no_roles"
}

test_n23_a_listed_text_is_split_at_its_first_colon if {
	ask(uncataloged(world), bearing("a:b"), {"tenant": "acme", "action": "a:b"}).reason == "no_permission"
	other := {"tenant": "acme", "resource": "a:b", "action": "c"}
	ask(uncataloged(world), bearing("a:b:c"), other).reason == "no_permission"
	ask(uncataloged(world), bearing("a:b:c"), {"tenant": "acme", "resource": "a", "action": "b:c"}).allow
}

bearing(text) := claiming({"iss": "list", "permissions": [text]})
