package rolegate_test

# What a bundle's own rules add.

extended(authz, subject, route) := answer if {
	answer := data.rolegate.report with data.rbac as world
		with data.authz as authz
		with input as {"subject": subject, "route": route}
		with time.now_ns as 1000000000
}

test_extension_deny_denies_with_its_reason if {
	answer := extended({"deny": {"closed", "after_hours"}}, ann, read)
	not answer.allow
	answer.reason == "after_hours"
	answer.roles == {"reader"}
	answer.granting_roles == set()
}

test_extension_deny_acts_after_the_gates if {
	extended({"deny": {"closed"}}, {"id": "sam"}, read).reason == "not_member"
	extended({"deny": {"closed"}}, {}, read).reason == "unauthenticated"
	extended({"deny": {"closed"}}, ann, {"tenant": "acme", "roles_any": ["reader"]}).reason == "closed"
}

test_extension_deny_closes_what_is_public if {
	answer := extended({"deny": {"closed"}}, {}, {"public": true})
	not answer.allow
	answer.reason == "closed"
}

test_extension_deny_of_another_shape_still_denies if {
	every deny in [true, {7}, {{"msg": "no"}}, "closed", {"x": "closed"}, 7, null, {null, "closed"}] {
		answer := extended({"deny": deny}, ann, read)
		not answer.allow
		answer.reason == "policy_error"
		extended({"deny": deny}, {}, {"public": true}).reason == "policy_error"
	}
	extended({"deny": ["closed"]}, ann, read).reason == "closed"
}

test_extension_deny_of_nothing_does_not if {
	every deny in [set(), [], {}, false] {
		extended({"deny": deny}, ann, read).allow
	}
}

test_extension_allow_stands_for_a_matching_role if {
	answer := extended({"allow": {"break_glass"}}, ann, write)
	answer.allow
	answer.reason == "allowed"
	answer.granting_roles == set()
	extended({"allow": {"break_glass"}}, stranger({}), write).allow
}

test_extension_allow_loses_to_any_deny if {
	extended({"allow": {"break_glass"}, "deny": {"closed"}}, ann, write).reason == "closed"
	frozen := data.rolegate.decision with data.rbac as granting({"frozen": []})
		with data.authz as {"allow": {"break_glass"}}
		with input as {"subject": ann, "route": write}
	frozen.reason == "explicit_deny"
}

test_extension_allow_does_not_stand_for_a_wanted_role if {
	extended({"allow": {"break_glass"}}, ann, object.union(write, {"roles_any": ["boss"]})).reason == "missing_role"
	extended({"allow": {"break_glass"}}, stranger({}), {"tenant": "acme", "roles_any": ["boss"]}).reason == "missing_role"
}

test_extension_allow_acts_after_the_gates if {
	extended({"allow": {"break_glass"}}, {"id": "sam"}, read).reason == "not_member"
	extended({"allow": {"break_glass"}}, ann, object.union(read, {"action": "burn"})).reason == "unknown_permission"
}

test_extension_allow_of_another_shape_does_not_allow if {
	every allow in [true, {7}, "yes", {"x": "yes"}, 7, null, set(), []] {
		not extended({"allow": allow}, ann, write).allow
	}
}

candidate(more) := {"candidates": {object.union({"role": "writer", "node": "acme", "windows": []}, more)}}

test_extension_candidates_are_a_further_source if {
	answer := extended(candidate({}), ann, write)
	answer.allow
	answer.roles == {"reader", "writer"}
	answer.granting_roles == {"writer"}
	extended({"candidates": {{"role": "writer", "node": "@root"}}}, ann, write).allow
}

test_extension_candidates_are_bound_by_visibility_and_windows if {
	not extended(candidate({"role": "hidden"}), ann, write).roles.hidden
	extended(candidate({"role": "listed"}), ann, read).roles.listed
	not extended(candidate({"role": "listed", "node": "@root"}), ann, read).roles.acme
	not extended(candidate({"windows": [[0, 500]]}), ann, write).allow
	extended(candidate({"windows": [[0, 1500]]}), ann, write).valid_until == 1500
	extended(candidate({"role": "acme.own"}), ann, write).allow
}

test_extension_candidates_are_bound_by_the_windows_of_the_role if {
	every ends in [[500, "no_permission"], [1500, "allowed"]] {
		windowed := {"roles": {"writer": {"windows": [[0, ends[0]]]}}}
		answer := data.rolegate.report with data.rbac as adding(windowed)
			with data.authz as candidate({})
			with input as {"subject": ann, "route": write}
			with time.now_ns as 1000000000
		answer.reason == ends[1]
	}
}

test_extension_candidates_deny_too if {
	extended(candidate({"role": "frozen"}), ann, write).reason == "explicit_deny"
}

test_extension_candidates_held_elsewhere_do_not_count if {
	every node in ["globex", "acme.eu", 7, null] {
		not extended(candidate({"node": node}), ann, write).allow
	}
}

test_extension_candidates_of_another_shape_are_none if {
	odd_candidates := array.concat(
		[7, null, "writer", {"writer"}, {{"role", "node"}}],
		[{"x": 7}, [{"role": "writer"}], {["writer", "acme"]}],
	)
	every odd in odd_candidates {
		not extended({"candidates": odd}, ann, write).allow
		extended({"candidates": odd}, ann, read).allow
	}
	words := {"roles": {"role": object.get(world.roles, "writer", {})}, "tenants": {"node": {}}}
	not data.rolegate.report.allow with data.rbac as object.union(adding(words), {"members": {"node": {"ann": {}}}})
		with data.authz as {"candidates": {{"role", "node"}}}
		with input as {"subject": ann, "route": object.union(write, {"tenant": "node"})}
		with time.now_ns as 1000000000
	digital := {"roles": {"7": object.get(world.roles, "writer", {}), "x": 7}}
	digits := data.rolegate.report with data.rbac as adding(digital)
		with data.authz as {"candidates": {{"role": 7, "node": "acme"}, {"role": "x", "node": "acme"}}}
		with input as {"subject": ann, "route": write}
		with time.now_ns as 1000000000
	digits.reason == "no_permission"
	not extended(candidate({"windows": null}), ann, write).allow
	not extended(candidate({"role": 7}), ann, write).allow
}

test_extension_valid_until_bounds_every_result if {
	bounded := {"valid_until": {1700, 1600}}
	extended(bounded, ann, read).valid_until == 1600
	extended(bounded, claiming({"exp": 1400}), read).valid_until == 1400
	extended(bounded, {}, {"public": true}).valid_until == 1600
	extended(bounded, {}, {"error": "no_route"}).valid_until == 1600
	extended(bounded, {"id": "sam"}, read).valid_until == 1600
	extended(bounded, claiming({"exp": 1}), read).valid_until == 1600
}

test_extension_valid_until_that_is_reached_bounds_nothing if {
	extended({"valid_until": {1700, 1000, 900}}, ann, read).valid_until == 1700
	extended({"valid_until": {1000}}, ann, read).valid_until == null
}

test_extension_deny_may_say_any_word if {
	every word in ["allowed", "public", ""] {
		answer := extended({"deny": {word}}, ann, read)
		answer.allow == false
		answer.reason == word
	}
}

test_extension_valid_until_of_another_shape_ends_with_this_millisecond if {
	every odd in [{"soon"}, 1500, "soon", {"x": 1500}, [null], true] {
		extended({"valid_until": odd}, ann, read).valid_until == 1001
	}
}
