package rolegate_test

import data.rolegate.place
import data.rolegate.roles

test_n1_whole_segments_cover if {
	place.chain("a.b.c") == ["a.b.c", "a.b", "a", "@root"]
	place.chain("a.bc") == ["a.bc", "a", "@root"]
	place.chain("@root") == ["@root"]
}

test_n1_a_prefix_that_is_no_segment_does_not_cover if {
	ask(world, ann, at("acme2")).reason == "path_outside_tenant"
}

test_n1_malformed_paths_are_outside if {
	empty_segments := ["", ".acme", "acme.", "acme..x"]
	odd_characters := ["acme.@x", "acme.$x", "acme.*", "acme.a b", "acme.a\u0007", "acme.a\u2028"]
	every path in array.flatten([empty_segments, odd_characters, 7, {}]) {
		ask(world, ann, at(path)).reason == "path_outside_tenant"
	}
}

test_n1_other_writing_is_well_formed if {
	every path in ["acme.é", "acme.a%2Eb", "acme.a/b", "acme.a-b_c~d"] {
		ask(world, ann, at(path)).reason == "allowed"
	}
}

test_n1_a_tenant_with_a_malformed_key_has_no_place if {
	ask(adding({"tenants": {"acme..x": {}}}), ann, within("acme..x")).reason == "path_outside_tenant"
}

test_n2_an_alias_of_the_request_is_applied if {
	aliased := adding({"aliases": {"5f0c": "acme"}})
	ask(aliased, ann, within("5f0c")).tenant == "acme"
}

test_n2_an_alias_of_the_token_is_applied if {
	aliased := adding({"aliases": {"5f0c": "acme"}})
	ask(aliased, claiming({"tenant": "5f0c"}), read).reason == "allowed"
}

test_n2_aliases_are_one_step if {
	aliased := adding({"aliases": {"one": "two", "two": "acme"}})
	ask(aliased, ann, within("one")).reason == "unknown_tenant"
}

test_n2_an_alias_is_applied_even_to_a_tenant if {
	aliased := adding({"aliases": {"acme": "globex"}})
	ask(aliased, ann, read).tenant == "globex"
}

test_n2_aliases_are_not_for_paths_nor_for_an_issuers_tenant if {
	aliased := adding({"aliases": {"5f0c": "acme"}, "issuers": {"i": {"tenant": "5f0c"}}})
	ask(aliased, ann, at("5f0c")).reason == "path_outside_tenant"
	ask(aliased, claiming({"iss": "i"}), read).reason == "tenant_mismatch"
}

test_n3_ids if {
	roles.own_id("@root", "auditor") == "auditor"
	roles.own_id("acme.eu", "auditor") == "acme.eu.auditor"
}
