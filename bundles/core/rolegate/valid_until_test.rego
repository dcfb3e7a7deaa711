package rolegate_test

# How long an answer holds (N33).

test_n33_nothing_bounds_it if {
	ask(world, ann, read).valid_until == null
}

test_n33_before_n6_null if {
	expiring := {"exp": 2000}
	ask(world, claiming(expiring), {"error": "no_route"}).valid_until == null
	ask(world, claiming(expiring), {"public": true}).valid_until == null
	ask(world, {"claims": expiring}, read).valid_until == null
	ask(world, claiming({"exp": 2000, "iss": "evil"}), read).valid_until == null
}

test_n33_a_token_not_yet_valid_turns_at_nbf_and_exp if {
	ask(world, claiming({"exp": 2000, "nbf": 1500}), read).valid_until == 1500
	ask(world, claiming({"exp": 1200, "nbf": 1500}), read).valid_until == 1200
	ask(world, claiming({"nbf": 1500}), read).valid_until == 1500
}

test_n33_every_later_result_turns_at_exp if {
	expiring := claiming({"exp": 2000})
	routes := [read, write, within("nowhere"), at("globex"), {"tenant": "acme"}, object.union(read, {"action": "burn"})]
	every route in routes {
		ask(world, expiring, route).valid_until == 2000
	}
	ask(world, {"id": "sam", "claims": {"exp": 2000}}, read).valid_until == 2000
	ask(world, claiming({"exp": 2000, "tenant": "globex"}), read).valid_until == 2000
}

test_n33_windows_of_grants_and_roles if {
	ask(granting({"reader": [[0, 1500]]}), ann, read).valid_until == 1500
	ask(adding({"roles": {"reader": {"windows": [[0, 1500]]}}}), ann, read).valid_until == 1500
	ask(granting({"reader": [], "writer": [[1200, 1300]]}), ann, read).valid_until == 1200
}

test_n33_equal_instants_are_reached if {
	ask(granting({"reader": [], "writer": [[900, 1000]]}), ann, read).valid_until == null
	ask(granting({"reader": [], "writer": [[1000, 1400]]}), ann, read).valid_until == 1400
}

test_n33_candidates_that_are_not_visible_count_too if {
	ask(granting({"reader": [], "hidden": [[1200, 1300]]}), ann, read).valid_until == 1200
	ask(granting({"reader": [], "gone": [[1200, 1300]]}), ann, read).valid_until == null
}

test_n33_roles_of_the_token_count if {
	windowed := adding({"roles": {"writer": {"windows": [[1200, 1300]]}, "hidden": {"windows": [[1100, 1300]]}}})
	ask(windowed, carrying(["writer", "reader"]), read).valid_until == 1200
	ask(windowed, carrying(["hidden", "reader"]), read).valid_until == 1100
	ask(windowed, claiming({"roles": ["writer"]}), read).valid_until == null
}

test_n33_gates_do_not_turn_at_windows if {
	windowed := granting({"reader": [[0, 1500]]})
	ask(windowed, ann, {"tenant": "acme"}).valid_until == null
	ask(windowed, ann, object.union(read, {"action": "burn"})).valid_until == null
}

test_n33_denials_turn_too if {
	ask(granting({"all": [], "frozen": [[0, 1500]]}), ann, write).valid_until == 1500
	ask(granting({"reader": [[1100, 1500]]}), ann, read).valid_until == 1100
}

test_n34_until_times_bound_the_result if {
	ask(adding({"revoked": {"tokens": {"j": 1700}}}), claiming({"jti": "j"}), read).valid_until == 1700
	ask(adding({"revoked": {"tokens": {"j": 0}}}), claiming({"jti": "j"}), read).valid_until == null
	several := adding({"revoked": {"tokens": {"j": 0}, "principals": {"acme": {"ann": 1700}, "@root": {"ann": 1600}}}})
	ask(several, claiming({"jti": "j", "exp": 3000}), read).valid_until == 1600
	ask(several, claiming({"jti": "j", "exp": 1400}), read).valid_until == 1400
	ended := adding({"revoked": {"tokens": {"j": 0}, "principals": {"acme": {"ann": 900}}}})
	ask(ended, claiming({"jti": "j"}), read).valid_until == null
}

test_n34_revoked_grants_bound_it_held_or_not if {
	ask(adding({"revoked": {"grants": {"acme": {"ann": {"reader": 1800}}}}}), ann, read).valid_until == 1800
	ask(adding({"revoked": {"grants": {"@root": {"ann": {"gone": 1800}}}}}), ann, read).valid_until == 1800
	ask(adding({"revoked": {"grants": {"globex": {"ann": {"reader": 1800}}}}}), ann, read).valid_until == null
}

test_n33_what_is_no_instant_bounds_nothing if {
	ask(adding({"revoked": {"grants": {"acme": {"ann": {"writer": "soon"}}}}}), ann, read).valid_until == null
	ask(granting({"reader": [], "writer": [["later", null]]}), ann, read).valid_until == null
}
