package rolegate_test

# Where roles come from.

test_n11_the_deepest_record_says_kind_email_and_attributes if {
	nested := object.union(
		with_record({"kind": "m2m", "email": "ann@acme.com", "attrs": {"x": 1}, "grants": {}}),
		{
			"members": {"acme.eu": {"ann": {}}},
			"tenants": {"acme.eu": {
				"base_roles": ["reader"],
				"implicit": {"email:acme.com": [{"role": "writer"}]},
				"conditional_roles": {"all": {"op": "pr", "p": "/x"}},
			}},
		},
	)
	ask(nested, ann, within("acme.eu")).roles == {"reader"}
}

test_n11_a_record_without_a_kind_is_a_user if {
	rules := {"acme": {"conditional_roles": {"writer": {"op": "true"}}}}
	conditioned := adding({"tenants": rules, "members": {"acme": {"bob": {}}}})
	ask(conditioned, {"id": "bob", "type": "m2m"}, write).reason == "allowed"
}

test_n11_the_record_says_the_kind_and_not_the_request if {
	based := object.union(with_record({"kind": "m2m", "grants": {}}), {"tenants": {"acme": {"base_roles": ["writer"]}}})
	ask(based, {"id": "ann", "type": "user"}, write).reason == "no_roles"
}

test_n11_the_request_says_the_kind_of_who_has_no_record if {
	based := adding({"tenants": {"acme": {"base_roles": ["reader"]}}})
	ask(based, {"id": "sam", "type": "user", "claims": {"tenant": "acme"}}, read).reason == "allowed"
	ask(based, {"id": "sam", "type": "m2m", "claims": {"tenant": "acme"}}, read).reason == "no_roles"
	ask(based, {"id": "sam", "claims": {"tenant": "acme"}}, read).reason == "allowed"
	ask(based, {"id": "sam", "type": null, "claims": {"tenant": "acme"}}, read).reason == "allowed"
	ask(based, {"id": "sam", "type": ["user"], "claims": {"tenant": "acme"}}, read).reason == "no_roles"
}

test_n11_the_binding_is_the_deepest_of_claim_and_records if {
	based := adding({"tenants": {"acme.eu": {"base_roles": ["writer"]}}})
	route := object.union(write, {"tenant": "acme.eu"})
	ask(based, ann, route).reason == "no_permission"
	ask(based, claiming({"tenant": "acme.eu"}), route).reason == "allowed"
	ask(object.union(based, {"members": {"acme.eu": {"ann": {}}}}), ann, route).reason == "allowed"
}

test_n12_all_is_visible_everywhere if {
	ask(granting({"reader": []}), ann, read).roles == {"reader"}
	shown := adding({"roles": {"reader": {"visibility": "ALL"}}})
	ask(shown, ann, read).roles == {"reader"}
}

test_n12_none_is_visible_at_its_owner_only if {
	ask(granting({"hidden": []}), ann, read).reason == "no_roles"
	at_root := adding({"members": {"@root": {"bob": {"kind": "m2m", "grants": {"hidden": []}}}}})
	ask(at_root, {"id": "bob"}, read).roles == {"hidden"}
}

test_n12_include_lists_exactly if {
	ask(granting({"listed": []}), ann, read).roles == {"listed"}
	below := adding({"members": {"acme.eu": {"bob": {"grants": {"listed": []}}}}})
	ask(below, {"id": "bob"}, within("acme.eu")).reason == "no_roles"
	false_entry := object.union(granting({"listed": []}), {"roles": {"listed": {"include": {"acme": false}}}})
	ask(false_entry, ann, read).reason == "no_roles"
}

test_n12_a_list_counts_with_include_only if {
	other := object.union(granting({"listed": []}), {"roles": {"listed": {"visibility": "NONE"}}})
	ask(other, ann, read).reason == "no_roles"
	absent := object.union(granting({"hidden": []}), {"roles": {"hidden": {"visibility": null}}})
	ask(absent, ann, read).reason == "no_roles"
}

test_n12_a_tenants_role_is_visible_at_its_owner_only if {
	ask(granting({"acme.own": []}), ann, write).roles == {"acme.own"}
	ask(granting({"acme.eu.own": []}), ann, read).reason == "no_roles"
	above := adding({"members": {"@root": {"bob": {"grants": {"acme.own": []}}}}})
	ask(above, {"id": "bob"}, write).reason == "no_roles"
	shown := object.union(granting({"acme.eu.own": []}), {"roles": {"acme.eu.own": {"visibility": "ALL"}}})
	ask(shown, ann, read).reason == "no_roles"
}

test_n13_grants_of_every_ancestor_count if {
	nested := adding({"members": {
		"@root": {"ann": {"grants": {"all": []}}},
		"acme.eu": {"ann": {"grants": {"acme.eu.own": []}}},
		"globex": {"ann": {"grants": {"writer": []}}},
	}})
	ask(nested, ann, within("acme.eu")).roles == {"all", "reader", "acme.eu.own"}
}

test_n13_a_grant_of_no_role_has_no_effect if {
	answer := ask(granting({"gone": [], "reader": []}), ann, read)
	answer.roles == {"reader"}
	answer.allow
}

test_n13_what_is_no_role_is_none if {
	every role in [7, null, "reader", ["reader"]] {
		answer := ask(object.union(granting({"odd": [], "reader": []}), {"roles": {"odd": role}}), ann, read)
		answer.reason == "allowed"
		answer.roles == {"reader"}
	}
}

test_n13_without_roles_nobody_has_one if {
	none := json.patch(world, [{"op": "remove", "path": "/roles"}])
	ask(none, ann, read).reason == "no_roles"
	ask(none, carrying(["reader"]), read).reason == "no_roles"
}

test_n13_a_role_that_is_not_visible_does_not_deny if {
	denials := {"roles": {"hidden": {"deny": {"*": {"*": {".": true}}}}}}
	ask(object.union(granting({"writer": [], "hidden": []}), denials), ann, write).reason == "allowed"
}

test_n13_grants_of_another_shape_are_none if {
	every grants in [7, null, ["reader"], "reader"] {
		ask(granting(grants), ann, read).reason == "no_roles"
	}
	every windows in [7, null, {}, "", [7], [[1]], [["0", "9"]], [[null, 2000]], [[0, "x"]], [[0, 2000, 1]]] {
		ask(granting({"reader": windows}), ann, read).reason == "no_roles"
	}
}

implying(rules) := adding({"tenants": {"acme": {"implicit": rules}}})

test_n14_a_domain if {
	rules := implying({"email:acme.com": [{"role": "writer"}]})
	ask(rules, ann, write).reason == "allowed"
	ask(rules, claiming({"email": "x@ACME.com"}), write).reason == "allowed"
	ask(rules, claiming({"email": "x@other.com"}), write).reason == "no_permission"
	ask(rules, claiming({"email": null}), write).reason == "allowed"
	ask(rules, claiming({"email": "x@acme.com@other.com"}), write).reason == "no_permission"
	ask(rules, claiming({"email": "x@other.com@acme.com"}), write).reason == "allowed"
	ask(rules, claiming({"email": "x@eu.acme.com"}), write).reason == "no_permission"
	ask(rules, claiming({"email": "acme.com"}), write).reason == "no_permission"
	ask(rules, claiming({"email": ["x@acme.com"]}), write).reason == "no_permission"
}

test_n14_an_empty_domain_is_no_fact if {
	ask(implying({"email:": [{"role": "writer"}]}), claiming({"email": "ann@"}), write).reason == "no_permission"
}

test_n14_an_unverified_address if {
	rules := implying({"email:acme.com": [{"role": "writer"}]})
	every verified in [false, "true", 1, []] {
		ask(rules, claiming({"email_verified": verified}), write).reason == "no_permission"
	}
	every verified in [true, null] {
		ask(rules, claiming({"email_verified": verified}), write).reason == "allowed"
	}
}

test_n14_a_connection if {
	rules := implying({"conn:okta": [{"role": "writer"}]})
	ask(rules, claiming({"sso": {"okta": {}}}), write).reason == "allowed"
	ask(rules, claiming({"sso": {"kc": {}}}), write).reason == "no_permission"
	every session in [null, 7, "okta", [{}], {"okta": null}, {"okta": true}, {"okta": []}] {
		ask(rules, claiming({"sso": session}), write).reason == "no_permission"
	}
}

test_n14_a_group_of_its_connection if {
	rules := implying({"group:okta|eng": [{"role": "writer"}]})
	ask(rules, claiming({"sso": {"okta": {"groups": ["all", "eng"]}}}), write).reason == "allowed"
	ask(rules, claiming({"sso": {"kc": {"groups": ["eng"]}}}), write).reason == "no_permission"
	every groups in ["eng", {"x": "eng"}, [["eng"]], [7], null] {
		ask(rules, claiming({"sso": {"okta": {"groups": groups}}}), write).reason == "no_permission"
	}
}

test_n14_an_external_role if {
	ask(implying({"extrole:adm": [{"role": "writer"}]}), claiming({"sso": {"okta": {"roles": ["adm"]}}}), write).allow
	ask(implying({"extrole:okta|adm": [{"role": "writer"}]}), claiming({"sso": {"okta": {"roles": ["adm"]}}}), write).allow
	other := implying({"extrole:kc|adm": [{"role": "writer"}]})
	not ask(other, claiming({"sso": {"okta": {"roles": ["adm"]}}}), write).allow
	every external in ["adm", {"x": "adm"}, [7], null] {
		rules := implying({"extrole:adm": [{"role": "writer"}]})
		not ask(rules, claiming({"sso": {"okta": {"roles": external}}}), write).allow
	}
}

test_n14_a_claim if {
	rules := implying({"claim:dep=hr": [{"role": "writer"}]})
	ask(rules, claiming({"attrs": {"dep": "hr"}}), write).allow
	ask(rules, claiming({"attrs": {"dep": ["it", "hr"]}}), write).allow
	every attrs in [null, 7, [], {"dep": {"hr": "hr"}}, {"dep": [["hr"]]}, {"dep": null}, {"other": "hr"}] {
		not ask(rules, claiming({"attrs": attrs}), write).allow
	}
}

test_n14_every_further_fact_must_hold if {
	rules := implying({"conn:okta": [{"role": "writer", "all": ["email:acme.com", "extrole:adm"]}]})
	ask(rules, claiming({"sso": {"okta": {"roles": ["adm"]}}}), write).allow
	not ask(rules, claiming({"sso": {"okta": {}}}), write).allow
	every all in ["conn:okta", 7, null, {"x": "conn:okta"}, ["gone"]] {
		odd := implying({"conn:okta": [{"role": "writer", "all": all}]})
		not ask(odd, claiming({"sso": {"okta": {}}}), write).allow
	}
}

test_n14_a_rule_can_be_disabled if {
	not ask(implying({"email:acme.com": [{"role": "writer", "enabled": false}]}), ann, write).allow
	ask(implying({"email:acme.com": [{"role": "writer", "enabled": true}]}), ann, write).allow
}

test_n14_is_for_users_and_externals if {
	rules := implying({"conn:okta": [{"role": "reader"}]})
	ask(rules, stranger({"sso": {"okta": {}}}), read).allow
	not ask(rules, object.union(stranger({"sso": {"okta": {}}}), {"type": "m2m"}), read).allow
	not ask(rules, object.union(stranger({"sso": {"okta": {}}}), {"type": "api_key"}), read).allow
}

test_n14_what_is_registered_is_not_this_session if {
	rules := object.union(
		implying({"conn:okta": [{"role": "writer"}]}),
		{"members": {"acme": {"ann": {"sso": {"okta": {}}}}}},
	)
	not ask(rules, ann, write).allow
}

test_n14_rules_of_ancestors_count if {
	rules := adding({"tenants": {"@root": {"implicit": {"email:acme.com": [{"role": "writer"}]}}}})
	ask(rules, ann, write).allow
}

test_n15_base_roles_of_the_binding_and_above if {
	based := adding({"tenants": {
		"@root": {"base_roles": ["writer"]},
		"acme": {"base_roles": ["acme.own"]},
		"acme.eu": {"base_roles": ["all"]},
	}})
	ask(based, ann, within("acme.eu")).roles == {"reader", "writer", "acme.own"}
}

test_n15_is_for_users_and_externals if {
	based := adding({"tenants": {"acme": {"base_roles": ["reader"]}}})
	ask(based, stranger({}), read).allow
	not ask(based, object.union(stranger({}), {"type": "m2m"}), read).allow
}

conditional(condition, record) := object.union(
	with_record(record),
	{"tenants": {"acme": {"conditional_roles": {"writer": condition}}}},
)

test_n16_a_condition_on_the_record if {
	condition := {"op": "eq", "p": "/dep", "v": "HR"}
	ask(conditional(condition, {"attrs": {"dep": "hr"}}), ann, write).allow
	not ask(conditional(condition, {"attrs": {"dep": "it"}}), ann, write).allow
	not ask(conditional(condition, {}), ann, write).allow
	not ask(conditional(condition, {"attrs": ["dep"]}), ann, write).allow
}

test_n16_never_on_the_claims_of_a_token if {
	condition := {"op": "eq", "p": "/dep", "v": "hr"}
	not ask(conditional(condition, {}), claiming({"attrs": {"dep": "hr"}}), write).allow
}

test_n16_is_for_users_with_a_record if {
	condition := {"op": "true"}
	ask(conditional(condition, {"kind": "user"}), ann, write).allow
	not ask(conditional(condition, {"kind": "external"}), ann, write).allow
	not ask(conditional(condition, {"kind": "m2m"}), ann, write).allow
	without := adding({"tenants": {"acme": {"conditional_roles": {"reader": condition}}}})
	not ask(without, object.union(stranger({}), {"type": "user"}), read).allow
}

test_n16_conditions_of_ancestors_and_below_the_binding_count if {
	above := adding({"tenants": {"@root": {"conditional_roles": {"writer": {"op": "true"}}}}})
	ask(above, ann, write).allow
	below := adding({"tenants": {"acme.eu": {"conditional_roles": {"writer": {"op": "true"}}}}})
	ask(below, ann, object.union(write, {"tenant": "acme.eu"})).allow
}

defaulting := object.union(
	with_record({"grants": {}}),
	{"tenants": {"@root": {"policy": {"idp_default_roles": ["reader"]}}}},
)

session := claiming({"sso": {"okta": {}}})

test_n17_defaults_of_an_identity_provider if {
	ask(defaulting, session, read).roles == {"reader"}
}

test_n17_need_a_connection if {
	ask(defaulting, ann, read).reason == "no_roles"
	ask(defaulting, claiming({"sso": {}}), read).reason == "no_roles"
	ask(defaulting, claiming({"sso": {"okta": null}}), read).reason == "no_roles"
}

test_n17_are_for_users_and_externals if {
	machine := json.patch(defaulting, [{"op": "add", "path": "/members/acme/ann/kind", "value": "m2m"}])
	ask(machine, session, read).reason == "no_roles"
	ask(defaulting, stranger({"sso": {"okta": {}}}), read).allow
}

test_n17_any_grant_suppresses_them if {
	every grants in [{"gone": []}, {"hidden": []}, {"writer": [[0, 500]]}] {
		granted := json.patch(defaulting, [{"op": "replace", "path": "/members/acme/ann/grants", "value": grants}])
		ask(granted, session, read).reason == "no_roles"
	}
}

test_n17_implied_and_conditional_roles_suppress_them if {
	implied := object.union(defaulting, {"tenants": {"acme": {"implicit": {"conn:okta": [{"role": "gone"}]}}}})
	ask(implied, session, read).reason == "no_roles"
	conditional_role := object.union(defaulting, {"tenants": {"acme": {"conditional_roles": {"hidden": {"op": "true"}}}}})
	ask(conditional_role, session, read).reason == "no_roles"
}

test_n17_base_roles_do_not if {
	based := object.union(defaulting, {"tenants": {"acme": {"base_roles": ["writer"]}}})
	ask(based, session, read).roles == {"reader", "writer"}
}

test_n17_the_policy_is_the_bindings if {
	policy := {"override": true, "idp_default_roles": ["writer"]}
	below := object.union(defaulting, {"tenants": {"acme.eu": {"policy": policy}}})
	ask(below, session, within("acme.eu")).roles == {"reader"}
}

test_n18_the_nearest_override_is_taken_whole if {
	override := object.union(defaulting, {"tenants": {"acme": {"policy": {"override": true}}}})
	ask(override, session, read).reason == "no_roles"
	own := object.union(defaulting, {"tenants": {"acme": {"policy": {"override": true, "idp_default_roles": ["writer"]}}}})
	ask(own, session, read).roles == {"writer"}
}

test_n18_only_true_overrides if {
	every override in [false, "true", 1, null] {
		toggled := object.union(
			defaulting,
			{"tenants": {"acme": {"policy": {"override": override, "idp_default_roles": ["writer"]}}}},
		)
		ask(toggled, session, read).roles == {"reader"}
	}
}

test_n19_a_rule_names_roles_of_its_node_or_of_the_root if {
	based := adding({"tenants": {"acme": {"base_roles": ["acme.own"]}, "@root": {"base_roles": ["acme.own"]}}})
	ask(based, ann, read).roles == {"reader", "acme.own"}
	foreign := adding({"tenants": {"@root": {"base_roles": ["acme.own"]}}})
	ask(foreign, ann, read).roles == {"reader"}
	below := adding({"members": {"acme.eu": {"ann": {}}}, "tenants": {"acme": {"base_roles": ["acme.eu.own"]}}})
	ask(below, ann, within("acme.eu")).roles == {"reader"}
}

test_n19_a_root_role_is_held_at_the_deeper_of_rule_and_binding if {
	hidden := adding({"tenants": {"@root": {"base_roles": ["hidden"]}}})
	ask(hidden, ann, read).roles == {"reader"}
	listed := adding({"tenants": {"@root": {"base_roles": ["listed"]}}})
	ask(listed, ann, read).roles == {"reader", "listed"}
	bound_below := adding({
		"tenants": {"acme": {"implicit": {"email:acme.com": [{"role": "listed"}]}}},
		"members": {"acme.eu": {"ann": {"email": "ann@acme.com"}}},
	})
	ask(bound_below, ann, within("acme.eu")).roles == {"reader"}
	below := adding({"tenants": {"acme.eu": {"implicit": {"email:acme.com": [{"role": "listed"}]}}}})
	ask(below, ann, within("acme.eu")).roles == {"reader"}
	above := adding({"tenants": {"acme": {"implicit": {"email:acme.com": [{"role": "listed"}]}}}})
	ask(above, ann, within("acme.eu")).roles == {"reader", "listed"}
}

test_n19_at_the_root_a_role_of_the_root_is_held if {
	based := adding({"members": {"@root": {"bob": {}}}, "tenants": {"@root": {"base_roles": ["hidden"]}}})
	ask(based, {"id": "bob"}, read).roles == {"hidden"}
}

test_n20_a_window_of_the_grant_and_one_of_the_role if {
	inside := [[900, 1100]]
	outside := [[0, 500]]
	windowed := object.union(granting({"reader": inside}), {"roles": {"reader": {"windows": inside}}})
	ask(windowed, ann, read).allow
	not ask(object.union(windowed, {"roles": {"reader": {"windows": outside}}}), ann, read).allow
	not ask(granting({"reader": outside}), ann, read).allow
	ask(granting({"reader": array.concat(outside, inside)}), ann, read).allow
	every odd in [7, null, {}, "always", false] {
		not ask(adding({"roles": {"reader": {"windows": odd}}}), ann, read).allow
	}
}

test_n20_one_source_suffices if {
	both := object.union(granting({"writer": [[0, 500]]}), {"tenants": {"acme": {"base_roles": ["writer"]}}})
	ask(both, ann, write).roles == {"writer"}
}

test_n21_a_window_includes_its_start_and_excludes_its_end if {
	ask(granting({"reader": [[1000, 1001]]}), ann, read).allow
	not ask(granting({"reader": [[999, 1000]]}), ann, read).allow
	not ask(granting({"reader": [[1001, 1002]]}), ann, read).allow
}

carrying(roles) := claiming({"iss": "roles", "roles": roles})

test_n22_the_token_says_which_roles_allow if {
	ask(world, carrying(["writer"]), write).roles == {"writer"}
	ask(world, carrying(["writer"]), read).reason == "no_permission"
	ask(world, carrying([]), read).reason == "no_roles"
	every roles in [null, "reader", 7, {"x": "reader"}, [["reader"]], [7]] {
		ask(world, carrying(roles), read).reason == "no_roles"
	}
}

test_n22_a_key_is_an_own_key_from_the_binding_upwards if {
	below := adding({"members": {"acme.eu": {"ann": {}}}})
	ask(below, carrying(["own"]), within("acme.eu")).roles == {"acme.eu.own"}
	ask(world, carrying(["own"]), within("acme.eu")).roles == {"acme.own"}
	ask(world, carrying(["reader"]), read).roles == {"reader"}
}

test_n22_then_a_whole_id_of_an_owner_that_covers_the_binding if {
	ask(world, carrying(["acme.own"]), read).roles == {"acme.own"}
	ask(world, carrying(["acme.eu.own"]), within("acme.eu")).reason == "no_roles"
	globex := adding({"roles": {"globex.own": {"owner": "globex", "key": "own"}}})
	ask(globex, carrying(["globex.own"]), read).reason == "no_roles"
}

test_n22_a_key_with_dots_is_its_owners if {
	dotted := adding({"members": {"acme.eu": {"ann": {}}}})
	ask(dotted, carrying(["eu.own"]), within("acme.eu")).reason == "no_roles"
}

test_n22_the_first_hit_decides if {
	shadowed := adding({"roles": {"acme.reader": {"owner": "acme", "key": "reader", "windows": [[0, 500]]}}})
	ask(shadowed, carrying(["reader"]), read).reason == "no_roles"
}

test_n22_visible_and_within_the_roles_windows if {
	ask(world, carrying(["hidden"]), read).reason == "no_roles"
	ask(world, carrying(["listed"]), read).allow
	windowed := adding({"roles": {"reader": {"windows": [[0, 500]]}}})
	ask(windowed, carrying(["reader"]), read).reason == "no_roles"
}

test_n22_roles_of_the_bundle_still_deny if {
	denying := granting({"frozen": []})
	ask(denying, carrying(["writer"]), write).reason == "explicit_deny"
	ask(denying, carrying(["writer"]), write).roles == {"writer"}
}

test_n22_roles_of_the_token_deny_too if {
	ask(granting({}), carrying(["writer", "frozen"]), write).reason == "explicit_deny"
}

listing(permissions) := claiming({"iss": "list", "roles": ["writer"], "permissions": permissions})

test_n23_the_list_is_all_that_allows if {
	answer := ask(world, listing(["doc:read"]), read)
	answer.allow
	answer.roles == {"writer"}
	answer.granting_roles == set()
	ask(world, listing(["doc:read"]), write).reason == "no_permission"
}

test_n23_permissions_are_literal_and_split_at_the_first_colon if {
	every permissions in [["doc:*"], ["*:*"], ["*"], ["read"], ["-:read"], ["doc"], [["doc:read"]]] {
		ask(world, listing(permissions), read).reason == "no_permission"
	}
	flat := adding({"catalog": {"-": {"read": {}, "a:b": {}}, "a": {"b": {}}, "a:b": {"c": {}}}})
	ask(flat, listing(["read"]), {"tenant": "acme", "action": "read"}).allow
	ask(flat, listing(["-:read"]), {"tenant": "acme", "action": "read"}).allow
	ask(flat, listing(["-:a:b"]), {"tenant": "acme", "action": "a:b"}).allow
	not ask(flat, listing(["a:b"]), {"tenant": "acme", "action": "a:b"}).allow
	not ask(flat, listing(["a:b:c"]), {"tenant": "acme", "resource": "a:b", "action": "c"}).allow
}

test_n23_an_empty_list_is_no_snapshot if {
	bare := claiming({"iss": "list", "permissions": []})
	ask(world, bare, read).reason == "no_roles"
	every permissions in [null, "doc:read", 7, {"x": "doc:read"}, [7]] {
		ask(world, claiming({"iss": "list", "permissions": permissions}), read).reason == "no_roles"
	}
	ask(world, claiming({"iss": "list", "permissions": ["doc:write"]}), read).reason == "no_permission"
}

test_n23_denials_of_token_and_bundle_roles_bind if {
	ask(granting({"frozen": []}), listing(["doc:write"]), write).reason == "explicit_deny"
	token := claiming({"iss": "list", "roles": ["frozen"], "permissions": ["doc:write"]})
	ask(granting({}), token, write).reason == "explicit_deny"
}
