package rolegate_test

# What else the caller may do here (N32).

test_n32_a_decision_has_no_permissions if {
	decision := data.rolegate.decision with data.rbac as world
		with input as {"subject": ann, "route": read}
		with time.now_ns as 1000000000
	object.keys(decision) == {"allow", "reason", "tenant", "roles", "granting_roles", "valid_until"}
	object.union(decision, {"permissions": {"doc:read"}}) == ask(world, ann, read)
}

test_n32_declared_permissions_allowed_here if {
	ask(granting({"all": []}), ann, read).permissions == {"doc:read", "doc:write", "doc:shred", "doc:view", "user:read"}
	ask(world, ann, write).permissions == {"doc:read"}
}

test_n32_minus_those_denied_here if {
	ask(granting({"all": [], "frozen": []}), ann, read).permissions == {"doc:read", "doc:shred", "doc:view", "user:read"}
	ask(denying({"doc": {"*": {"acme.shelf": true}}}), ann, at("acme.shelf")).permissions == {"user:read"}
	count(ask(denying({"doc": {"*": {"acme.shelf": true}}}), ann, read).permissions) == 5
}

test_n32_obeys_n28_n29_and_n30 if {
	ask(predefined, ann, read).permissions == {"user:read"}
	own := tenants_own({"*": {"*": {".": true}}})
	ask(own, ann, read).permissions == {"doc:read", "doc:write", "doc:view", "user:read"}
	ask(granting({"acme.own": []}), ann, read).permissions == {"doc:write", "doc:view"}
}

test_n32_flat_permissions_are_written_by_their_action if {
	flat := object.union(allowing({"-": {"*": {".": true}}}), {"catalog": {"-": {"read": {}}}})
	ask(flat, ann, {"tenant": "acme", "action": "read"}).permissions == {"read"}
}

uncataloged(rbac) := json.patch(rbac, [{"op": "remove", "path": "/catalog"}])

test_n32_without_a_catalog_literal_statements if {
	ask(uncataloged(granting({"all": [], "reader": []})), ann, read).permissions == {"*:*", "doc:read"}
	ask(uncataloged(allowing({"-": {"*": {".": true}, "read": {"acme.x": true}}})), ann, read).permissions == {"*"}
}

test_n32_without_a_catalog_minus_those_denied_literally if {
	both := uncataloged(denying({"doc": {"read": {".": true}}}))
	ask(both, ann, read).permissions == {"*:*"}
	literal := object.union(both, {"roles": {"all": {"allow": {"doc": {"read": {".": true}, "write": {".": true}}}}}})
	ask(literal, ann, read).permissions == {"*:*", "doc:write"}
	wide := object.union(literal, {"roles": {"r": {"deny": {"*": {"write": {".": true}}}}}})
	ask(wide, ann, read).permissions == {"*:*"}
	elsewhere := object.union(literal, {"roles": {"r": {"deny": {"doc": {"read": {".": false}}}}}})
	ask(elsewhere, ann, read).permissions == {"*:*", "doc:read", "doc:write"}
}

test_n32_without_a_catalog_predefined_roles_say_nothing if {
	ask(uncataloged(predefined), ann, read).permissions == set()
}

test_n32_a_snapshot if {
	ask(world, listing(["doc:read", "doc:gone", "doc:*", "read"]), read).permissions == {"doc:read"}
	ask(granting({"frozen": []}), listing(["doc:read", "doc:write"]), read).permissions == {"doc:read"}
	ask(uncataloged(world), listing(["doc:*", "read"]), read).permissions == {"doc:*", "read"}
	ask(uncataloged(granting({"frozen": []})), listing(["doc:write"]), read).permissions == set()
	ask(world, listing(["doc:read"]), read).granting_roles == set()
}

test_n32_nothing_at_a_gate if {
	every answer in [ask(world, {}, read), ask(world, {"id": "sam"}, read), ask(world, ann, {"tenant": "acme"})] {
		answer.permissions == set()
		answer.granting_roles == set()
		answer.roles == set()
	}
}

test_n23_of_a_list_only_texts_are_reported if {
	listed := claiming({"iss": "list", "permissions": [7, null, ["doc:write"], "doc:read"]})
	ask(world, listed, read).permissions == {"doc:read"}
	ask(uncataloged(world), listed, read).permissions == {"doc:read"}
}
