package rolegate.admin_requests_test

import data.rolegate.admin

world := {
	"catalog": {"doc": {"read": {}}},
	"roles": {
		"owner": {"owner": "@root", "key": "owner", "level": 0},
		"admin": {"owner": "@root", "key": "admin", "level": 1},
		"editor": {"owner": "@root", "key": "editor", "level": 2},
		"viewer": {"owner": "@root", "key": "viewer", "level": 3},
		"nameless": {"owner": "@root", "key": "nameless"},
		"hidden": {"owner": "@root", "key": "hidden", "visibility": "NONE", "level": 3},
		"listed": {"owner": "@root", "key": "listed", "visibility": "INCLUDE", "include": {"acme": true}, "level": 3},
		"acme.own": {"owner": "acme", "key": "own", "level": 3},
		"globex.own": {"owner": "globex", "key": "own", "level": 3},
	},
	"aliases": {"5f0c": "acme", "twice": "5f0c"},
	"tenants": {
		"@root": {"policy": {"signup_roles": ["viewer", "hidden", "gone"], "first_user_roles": ["owner", "acme.own"]}},
		"acme": {"implicit": {"email:acme.com": [{"role": "viewer"}]}},
		"globex": {"policy": {"override": true, "signup_roles": ["globex.own", "editor", "listed"]}},
		"globex.eu": {},
	},
	"members": {
		"@root": {"root": {"grants": {"owner": []}}},
		"acme": {
			"ann": {"grants": {"admin": []}},
			"bob": {"grants": {"editor": [], "gone": []}},
			"cat": {"grants": {"viewer": []}},
			"dan": {"grants": {}},
			"eve": {"email": "eve@acme.com", "grants": {}},
			"fay": {"grants": {"nameless": []}},
		},
	},
	"issuers": {"roles": {"authority": "token_roles"}},
}

says(request) := answer if {
	answer := admin.assignment with data.rbac as world with input as request with time.now_ns as 1000000000
}

management(op, role, target) := {
	"op": op,
	"plane": "management",
	"actor": {"principal": "dan"},
	"target": target,
	"role": role,
	"node": "acme",
}

self_service(actor, op, role, target) := {
	"op": op,
	"plane": "self_service",
	"actor": {"principal": actor},
	"target": target,
	"role": role,
	"node": "acme",
}

test_a0_an_unknown_tenant_comes_first if {
	says(object.union(management("assign", "gone", "cat"), {"node": "nowhere"})) == "unknown_tenant"
	says(object.union(management("unassign", "gone", "cat"), {"node": null})) == "unknown_tenant"
	says(object.union(management("assign", "viewer", "cat"), {"node": "5f0c"})) == "ok"
	says(object.union(management("assign", "viewer", "cat"), {"node": "twice"})) == "unknown_tenant"
}

test_a1_assigning_an_unknown_role if {
	says(management("assign", "gone", "cat")) == "unknown_role"
	says(management("assign", 7, "cat")) == "unknown_role"
}

test_a1_what_is_no_role_is_unknown if {
	odd := object.union(world, {"roles": {"odd": 7, "7": {"owner": "@root", "key": "7"}}})
	every role in ["odd", 7] {
		request := management("assign", role, "cat")
		admin.assignment == "unknown_role" with data.rbac as odd with input as request with time.now_ns as 1000000000
	}
}

test_a1_unassigning_an_unknown_role_is_not_refused if {
	says(management("unassign", "gone", "bob")) == "ok"
	says(self_service("ann", "unassign", "gone", "bob")) == "ok"
}

test_a2_assigning_a_role_that_is_not_visible if {
	every role in ["hidden", "globex.own"] {
		says(management("assign", role, "cat")) == "role_not_visible"
		says(self_service("root", "assign", role, "cat")) == "role_not_visible"
	}
	every role in ["listed", "acme.own", "viewer"] {
		says(management("assign", role, "cat")) == "ok"
	}
}

test_a3_only_a_recorded_grant_can_be_removed if {
	says(management("unassign", "viewer", "cat")) == "ok"
	says(management("unassign", "viewer", "eve")) == "not_explicit"
	says(management("unassign", "viewer", "nobody")) == "not_explicit"
	says(management("unassign", "owner", "root")) == "not_explicit"
	says(self_service("ann", "unassign", "viewer", "eve")) == "not_explicit"
}

test_a4_the_management_plane_stops_here if {
	says(management("assign", "owner", "ann")) == "ok"
	says(management("unassign", "admin", "ann")) == "ok"
}

test_a5_the_actor_needs_a_role if {
	says(self_service("dan", "assign", "viewer", "cat")) == "actor_has_no_role"
	says(self_service("nobody", "assign", "viewer", "cat")) == "actor_has_no_role"
	says(self_service("", "assign", "viewer", "cat")) == "actor_has_no_role"
	says(self_service("dan", "unassign", "viewer", "cat")) == "actor_has_no_role"
}

test_a5_the_role_is_not_stronger_than_the_actor if {
	says(self_service("bob", "assign", "admin", "cat")) == "role_stronger_than_actor"
	says(self_service("bob", "assign", "editor", "cat")) == "ok"
	says(self_service("bob", "assign", "viewer", "cat")) == "ok"
	says(self_service("bob", "unassign", "admin", "ann")) == "role_stronger_than_actor"
}

test_a5_a_role_without_a_level_is_the_strongest if {
	says(self_service("ann", "assign", "nameless", "cat")) == "role_stronger_than_actor"
	says(self_service("fay", "assign", "admin", "cat")) == "ok"
}

test_a5_the_actors_roles_are_those_of_its_claims if {
	carrying := {"principal": "cat", "claims": {"iss": "roles", "roles": ["admin"]}}
	says(object.union(self_service("cat", "assign", "admin", "dan"), {"actor": carrying})) == "ok"
	expired := {"principal": "ann", "claims": {"exp": 1}}
	says(object.union(self_service("ann", "assign", "viewer", "cat"), {"actor": expired})) == "actor_has_no_role"
	without_claims := {"principal": "ann", "claims": null}
	says(object.union(self_service("ann", "assign", "viewer", "cat"), {"actor": without_claims})) == "ok"
}

test_a6_the_target_is_not_stronger_than_the_actor if {
	says(self_service("bob", "assign", "viewer", "ann")) == "target_stronger_than_actor"
	says(self_service("ann", "assign", "viewer", "ann")) == "ok"
	says(self_service("ann", "assign", "viewer", "root")) == "target_stronger_than_actor"
	says(self_service("bob", "unassign", "viewer", "cat")) == "ok"
}

test_a6_a_target_without_roles_passes if {
	says(self_service("bob", "assign", "viewer", "dan")) == "ok"
	says(self_service("bob", "assign", "viewer", "nobody")) == "ok"
}

test_assignment_of_another_shape_is_refused if {
	every odd in [{"op": "grant"}, {"op": null}, {"plane": "root"}, {"plane": null}] {
		says(object.union(management("assign", "viewer", "cat"), odd)) == "malformed_request"
	}
	every odd in [{}, [], "assign", 7, null] {
		says(odd) == "malformed_request"
	}
	every odd in [null, 7, ["cat"], {}] {
		says(object.union(self_service("ann", "assign", "viewer", "cat"), {"target": odd})) == "malformed_request"
	}
	every odd in [null, 7, "ann", {"principal": null}, {"principal": ["ann"]}] {
		says(object.union(self_service("ann", "assign", "viewer", "cat"), {"actor": odd})) == "actor_has_no_role"
	}
	nobody := {"op": "assign", "plane": "self_service", "node": "acme", "role": "viewer", "target": "cat"}
	says(nobody) == "actor_has_no_role"
}

signs_up(tenant, first) := ids if {
	ids := admin.signup with data.rbac as world with input as {"tenant": tenant, "first": first}
}

test_n18_signup_roles_of_the_policy_in_force if {
	signs_up("acme", false) == {"viewer"}
	signs_up("5f0c", false) == {"viewer"}
	signs_up("globex", false) == {"editor", "globex.own"}
}

test_n18_the_first_user_gets_more if {
	signs_up("acme", true) == {"viewer", "owner"}
	signs_up("acme", "true") == {"viewer"}
	ids := admin.signup with data.rbac as world with input as {"tenant": "acme"}
	ids == {"viewer"}
}

test_n18_signup_roles_are_visible_at_the_event if {
	signs_up("globex.eu", false) == {"editor"}
	signs_up("@root", false) == {"viewer", "hidden"}
}

test_n18_nobody_signs_up_nowhere if {
	every tenant in ["nowhere", "", null, 7, []] {
		signs_up(tenant, true) == set()
	}
}

finds(rbac, tenant, role) := found if {
	found := admin.search with data.rbac as rbac with input as {"tenant": tenant, "role": role}
}

test_s1_grants_and_implied_roles if {
	finds(world, "acme", "viewer") == {"cat": {"grant"}, "eve": {"implicit"}}
	finds(world, "5f0c", "viewer") == {"cat": {"grant"}, "eve": {"implicit"}}
}

test_s1_registrations_stand_for_the_session if {
	rules := object.union(world, {
		"tenants": {"acme": {"implicit": {"group:okta|eng": [{"role": "admin"}]}}},
		"members": {"acme": {"dan": {"sso": {"okta": {"groups": ["eng"]}}}}},
	})
	finds(rules, "acme", "admin") == {"ann": {"grant"}, "dan": {"implicit"}}
}

test_s1_conditional_and_base_roles if {
	rules := object.union(world, {"tenants": {"acme": {
		"base_roles": ["listed"],
		"conditional_roles": {"admin": {"op": "eq", "p": "/dep", "v": "hr"}},
	}}})
	staffed := object.union(rules, {"members": {"acme": {"cat": {"attrs": {"dep": "hr"}}}}})
	finds(staffed, "acme", "admin") == {"ann": {"grant"}, "cat": {"conditional"}}
	object.keys(finds(rules, "acme", "listed")) == {"ann", "bob", "cat", "dan", "eve", "fay"}
	finds(rules, "acme", "listed").ann == {"base"}
}

test_s1_every_source_is_said if {
	both := object.union(world, {"members": {"acme": {"eve": {"grants": {"viewer": []}}}}})
	finds(both, "acme", "viewer").eve == {"grant", "implicit"}
}

test_s1_records_of_ancestors_count_for_members_here if {
	above := object.union(world, {"members": {"@root": {"cat": {"grants": {"admin": []}}}}})
	finds(above, "acme", "admin") == {"ann": {"grant"}, "cat": {"grant"}}
	finds(world, "acme", "owner") == {}
}

test_s1_windows_and_revocations_are_not_consulted_and_visibility_is if {
	ended := object.union(world, {
		"members": {"acme": {"dan": {"grants": {"viewer": [[0, 1]], "hidden": []}}}},
		"revoked": {"grants": {"acme": {"cat": {"viewer": 0}}}, "principals": {"acme": {"cat": 0}}},
	})
	finds(ended, "acme", "viewer") == {"cat": {"grant"}, "dan": {"grant"}, "eve": {"implicit"}}
	finds(ended, "acme", "hidden") == {}
}

test_s1_defaults_of_identity_providers_do_not_count if {
	rules := object.union(world, {
		"tenants": {"@root": {"policy": {"idp_default_roles": ["admin"]}}},
		"members": {"acme": {"dan": {"sso": {"okta": {}}}}},
	})
	finds(rules, "acme", "admin") == {"ann": {"grant"}}
}

test_s1_nothing_to_find if {
	finds(world, "nowhere", "viewer") == {}
	finds(world, "acme", "gone") == {}
	finds(world, null, null) == {}
}

test_a5_is_skipped_for_a_role_that_does_not_exist if {
	data_without_role := {
		"tenants": {"@root": {}, "a": {}},
		"roles": {"boss": {"owner": "@root", "key": "boss"}},
		"members": {"a": {"ann": {"grants": {"ghost": []}}, "bea": {"grants": {"ghost": [], "boss": []}}}},
	}
	request := {"op": "unassign", "plane": "self_service", "actor": {"principal": "x"}, "role": "ghost", "node": "a"}
	admin.assignment == "ok" with data.rbac as data_without_role
		with input as object.union(request, {"target": "ann"})
	admin.assignment == "target_stronger_than_actor" with data.rbac as data_without_role
		with input as object.union(request, {"target": "bea"})
}

test_s1_what_is_no_record_has_no_role if {
	odd := object.union(world, {"members": {"acme": {"odd": 7, "list": [{"grants": {"viewer": []}}]}}})
	found := admin.search with data.rbac as odd with input as {"tenant": "acme", "role": "viewer"}
	object.keys(found) == {"cat", "eve"}
}
