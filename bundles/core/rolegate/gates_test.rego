package rolegate_test

# Every gate, alone and before the next.

test_n4_an_error_of_the_route_comes_first if {
	route := {"error": "no_route", "public": true}
	ask(world, {"error": "bad_credential"}, route).reason == "no_route"
	ask(world, {}, {"error": "route_incomplete"}).reason == "route_incomplete"
}

test_n4_an_unreadable_error_of_the_route_still_denies if {
	every error in [7, "", {}, false] {
		answer := ask(world, ann, object.union(read, {"error": error}))
		answer.reason == "malformed_request"
		not answer.allow
	}
}

test_n4_then_public if {
	answer := ask(world, {"error": "bad_credential"}, {"public": true})
	answer.allow
	answer.reason == "public"
	answer.roles == set()
	answer.permissions == set()
	not "tenant" in object.keys(answer)
}

test_n4_what_is_public_is_not_looked_at if {
	ask(world, ann, object.union(read, {"public": true})).reason == "public"
	ask(world, ann, object.union(write, {"public": true})).reason == "public"
}

test_n4_only_true_is_public if {
	every public in ["true", 1, false, null, {}] {
		ask(world, {}, {"public": public}).reason == "unauthenticated"
	}
}

test_n4_then_a_bad_credential if {
	answer := ask(world, {"id": "ann", "error": "bad_credential"}, read)
	answer.reason == "bad_credential"
	not answer.allow
}

test_n4_then_no_principal if {
	every subject in [{}, {"id": null}, {"id": ""}, {"id": 7}, {"id": ["ann"]}, null, 7] {
		ask(world, subject, read).reason == "unauthenticated"
	}
	every id in [null, "", 7, ["ann"]] {
		ask(world, {"id": id, "claims": {"tenant": "acme"}}, read).reason == "unauthenticated"
	}
	ask(world, {"claims": {"tenant": "acme"}}, read).reason == "unauthenticated"
}

test_n4_no_input_at_all_is_unauthenticated if {
	data.rolegate.decision.reason == "unauthenticated" with input as {}
	data.rolegate.decision.reason == "unauthenticated" with input as []
	data.rolegate.decision.reason == "unauthenticated" with input as {"subject": [], "route": []}
}

test_n5_an_unknown_issuer if {
	every iss in ["evil", "", 7, false, [], {}] {
		ask(world, claiming({"iss": iss}), read).reason == "untrusted_issuer"
	}
}

test_n5_a_number_is_no_issuer if {
	answer := data.rolegate.decision with data.rbac as adding({"issuers": {"5": {}}})
		with input as {"subject": claiming({"iss": 5}), "route": read}
	answer.reason == "untrusted_issuer"
}

test_n5_no_issuer_is_the_bundles_authority if {
	ask(world, claiming({"iss": null, "roles": ["writer"]}), read).reason == "allowed"
	ask(world, ann, read).reason == "allowed"
	ask(world, claiming(null), read).reason == "allowed"
}

test_n5_an_issuer_without_authority_is_the_bundles if {
	ask(world, claiming({"iss": "live"}), read).roles == {"reader"}
}

test_n5_an_issuer_with_another_authority_is_not_trusted if {
	ask(world, claiming({"iss": "odd"}), read).reason == "untrusted_issuer"
	ask(adding({"issuers": {"x": 7}}), claiming({"iss": "x"}), read).reason == "untrusted_issuer"
}

test_n5_claims_that_cannot_be_read_are_not_trusted if {
	every claims in [7, "claims", [], [{"iss": "live"}], true] {
		ask(world, claiming(claims), read).reason == "untrusted_issuer"
	}
}

test_n6_an_expired_token if {
	every exp in [999, 1000, 0, -5] {
		answer := ask(world, claiming({"exp": exp}), read)
		answer.reason == "token_expired"
		answer.valid_until == null
	}
	ask(world, claiming({"exp": 1001}), read).reason == "allowed"
}

test_n6_times_that_are_no_integers if {
	every exp in ["2000", 2000.5, true, [], {}, 1e300, 9223372036854775808, 1000000000000000000000000] {
		ask(world, claiming({"exp": exp}), read).reason == "token_expired"
	}
	every nbf in ["1", 0.5, false, [], -1000000000000000000000000] {
		ask(world, claiming({"nbf": nbf}), read).reason == "token_expired"
	}
}

test_n6_null_times_are_absent if {
	ask(world, claiming({"exp": null, "nbf": null}), read).reason == "allowed"
}

test_n6_a_token_of_the_future if {
	answer := ask(world, claiming({"exp": 3000, "nbf": 1001}), read)
	answer.reason == "token_not_yet_valid"
	answer.valid_until == 1001
	ask(world, claiming({"nbf": 1000}), read).reason == "allowed"
}

test_n7_an_unregistered_tenant if {
	every tenant in ["nowhere", null, 7, "", [], false] {
		answer := ask(world, ann, within(tenant))
		answer.reason == "unknown_tenant"
		not "tenant" in object.keys(answer)
	}
	ask(world, ann, {"resource": "doc", "action": "read"}).reason == "unknown_tenant"
}

test_n2_a_number_is_no_alias if {
	ask(adding({"aliases": {"7": "acme"}}), ann, within(7)).reason == "unknown_tenant"
	ask(adding({"aliases": {"7": "acme"}}), ann, within("7")).allow
}

test_n8_a_path_outside_the_tenant if {
	answer := ask(world, ann, at("globex"))
	answer.reason == "path_outside_tenant"
	not "tenant" in object.keys(answer)
	ask(world, ann, at("@root")).reason == "path_outside_tenant"
}

test_n8_the_deepest_tenant_is_the_place if {
	ask(world, ann, at("acme.eu.shelf.7")).tenant == "acme.eu"
	ask(world, ann, at("acme.us.shelf")).tenant == "acme"
	ask(world, ann, at(null)).tenant == "acme"
}

test_n9_a_token_of_another_tenant if {
	every tenant in ["globex", "acme.eu", "nowhere", "", 7, [], false] {
		ask(world, claiming({"tenant": tenant}), read).reason == "tenant_mismatch"
	}
}

test_n9_a_token_of_a_tenant_above if {
	ask(world, claiming({"tenant": "@root"}), read).reason == "allowed"
	ask(world, claiming({"tenant": "acme"}), within("acme.eu")).reason == "allowed"
}

test_n9_an_issuer_speaks_for_its_tenant if {
	ask(world, stranger({"iss": "acme-only", "tenant": null}), read).reason == "no_roles"
	ask(world, stranger({"iss": "acme-only", "tenant": null}), within("globex")).reason == "tenant_mismatch"
}

test_n9_a_token_names_no_tenant_above_its_issuers if {
	ask(world, stranger({"iss": "acme-only", "tenant": "@root"}), read).reason == "tenant_mismatch"
	ask(world, stranger({"iss": "acme-only", "tenant": "globex"}), within("globex")).reason == "tenant_mismatch"
	ask(world, stranger({"iss": "acme-only", "tenant": "acme.eu"}), within("acme.eu")).reason == "no_roles"
}

test_n7_without_role_data_nothing_is_registered if {
	every rbac in [{}, [], 7, null, {"tenants": 7}, {"tenants": null}, {"tenants": ["acme"]}] {
		ask(rbac, ann, read).reason == "unknown_tenant"
	}
}

test_n10_a_stranger if {
	answer := ask(world, {"id": "sam"}, read)
	answer.reason == "not_member"
	answer.tenant == "acme"
	ask(world, ann, within("globex")).reason == "not_member"
	ask(world, ann, within("acme.eu")).reason == "allowed"
}

test_n10_a_record_that_is_no_object_is_none if {
	every record in [7, null, [], "ann"] {
		ask(with_record(record), ann, read).reason == "not_member"
	}
}

test_n25_an_undeclared_permission if {
	answer := ask(granting({"all": []}), ann, object.union(read, {"action": "burn"}))
	answer.reason == "unknown_permission"
	answer.roles == set()
	answer.permissions == set()
	ask(granting({"all": []}), ann, object.union(read, {"resource": "barn"})).reason == "unknown_permission"
}

test_n25_is_after_n10 if {
	ask(world, {"id": "sam"}, object.union(read, {"action": "burn"})).reason == "not_member"
}

test_n25_an_empty_catalog_exists if {
	empty := json.patch(world, [{"op": "replace", "path": "/catalog", "value": {}}])
	ask(empty, ann, read).reason == "unknown_permission"
	none := json.patch(world, [{"op": "remove", "path": "/catalog"}])
	ask(none, ann, read).reason == "allowed"
}

test_n25_what_is_no_declaration_declares_nothing if {
	every declaration in [false, null, 7, []] {
		odd := json.patch(world, [{"op": "replace", "path": "/catalog/doc/read", "value": declaration}])
		ask(odd, ann, read).reason == "unknown_permission"
		not "doc:read" in ask(odd, ann, write).permissions
		flat := object.union(odd, {"catalog": {"-": {"go": declaration}}})
		ask(flat, ann, {"tenant": "acme", "action": "go"}).reason == "unknown_permission"
	}
	every declarations in [false, null, 7, "read", ["read"]] {
		odd := json.patch(granting({"all": []}), [{"op": "replace", "path": "/catalog/doc", "value": declarations}])
		ask(odd, ann, {"tenant": "acme", "resource": "user", "action": "read"}).permissions == {"user:read"}
	}
}

test_n34_a_revoked_token if {
	revoked := adding({"revoked": {"tokens": {"j1": 0, "j2": 2000, "j3": 1000}}})
	ask(revoked, claiming({"jti": "j1"}), read).reason == "revoked"
	ask(revoked, claiming({"jti": "j2"}), read).reason == "revoked"
	ask(revoked, claiming({"jti": "j3"}), read).reason == "allowed"
	ask(revoked, claiming({"jti": "j4"}), read).reason == "allowed"
}

test_n34_a_revoked_principal if {
	ask(adding({"revoked": {"principals": {"acme": {"ann": 0}}}}), ann, read).reason == "revoked"
	ask(adding({"revoked": {"principals": {"@root": {"ann": 2000}}}}), ann, read).reason == "revoked"
	ask(adding({"revoked": {"principals": {"acme": {"ann": 1000}}}}), ann, read).reason == "allowed"
	ask(adding({"revoked": {"principals": {"globex": {"ann": 0}}}}), ann, read).reason == "allowed"
	ask(adding({"revoked": {"principals": {"acme": {"bob": 0}}}}), ann, read).reason == "allowed"
}

test_n34_is_read_after_n8_and_before_n9 if {
	revoked := adding({"revoked": {"principals": {"acme": {"ann": 0}}}})
	ask(revoked, ann, at("globex")).reason == "path_outside_tenant"
	ask(revoked, claiming({"tenant": "globex"}), read).reason == "revoked"
}

test_n34_an_entry_that_cannot_be_read_is_in_force if {
	every until in ["soon", null, false, []] {
		ask(adding({"revoked": {"tokens": {"j1": until}}}), claiming({"jti": "j1"}), read).reason == "revoked"
	}
}

test_n35_neither_action_nor_roles if {
	every route in [{"tenant": "acme"}, {"tenant": "acme", "resource": "doc"}, {"tenant": "acme", "roles_any": []}] {
		answer := ask(world, ann, route)
		answer.reason == "incomplete_question"
		answer.roles == set()
	}
}

test_n35_is_after_n10 if {
	ask(world, {"id": "sam"}, {"tenant": "acme"}).reason == "not_member"
}

test_n35_a_null_resource_is_an_absent_one if {
	flat := object.union(granting({"all": []}), {"catalog": {"-": {"go": {}}}})
	ask(flat, ann, {"tenant": "acme", "resource": null, "action": "go"}).allow
}

test_n35_a_number_asks_for_no_permission_of_its_digits if {
	digits := object.union(granting({"all": []}), {"catalog": {"7": {"read": {}, "7": {}}, "doc": {"7": {}}}})
	ask(digits, ann, object.union(read, {"action": "7"})).allow
	ask(digits, ann, object.union(read, {"action": 7})).reason == "incomplete_question"
	ask(digits, ann, object.union(read, {"resource": 7})).reason == "incomplete_question"
	ask(digits, ann, object.union(read, {"resource": 7, "action": 7})).reason == "incomplete_question"
}

test_n35_what_is_asked_is_text if {
	all := granting({"all": []})
	none := json.patch(all, [{"op": "remove", "path": "/catalog"}])
	every action in [7, false, [], {}] {
		ask(none, ann, object.union(read, {"action": action})).reason == "incomplete_question"
		ask(none, ann, {"tenant": "acme", "action": action, "roles_any": ["all"]}).reason == "incomplete_question"
	}
	every resource in [7, false, [], {}] {
		ask(none, ann, object.union(read, {"resource": resource})).reason == "incomplete_question"
	}
}
