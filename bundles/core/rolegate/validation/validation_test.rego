package rolegate.validation_test

import data.rolegate.admin

world := {
	"catalog": {"doc": {"read": {}, "shred": {"class": "never"}}, "user": {"read": {"managed": true}}},
	"issuers": {"i": {"authority": "token_roles", "tenant": "acme"}},
	"aliases": {"5f0c": "acme"},
	"roles": {
		"reader": {
			"owner": "@root",
			"key": "reader",
			"name": "Reader",
			"description": "",
			"type": "custom",
			"level": 1,
			"visibility": "INCLUDE",
			"include": {"acme": true},
			"windows": [[0, 1000]],
			"allow": {"doc": {"read": {".": true}, "*": {"acme": true}}, "*": {"anything": {"$self": true}}},
			"deny": {"*": {"*": {"acme.vault": true}}},
		},
		"acme.own": {"owner": "acme", "key": "own", "allow": {"doc": {"read": {"acme.x": true}}}},
		"ops": {"owner": "@root", "key": "ops", "type": "predefined", "allow": {"user": {"read": {".": true}}}},
	},
	"tenants": {
		"@root": {
			"base_roles": ["reader"],
			"policy": {"signup_roles": ["reader"], "first_user_roles": [], "idp_default_roles": []},
		},
		"acme": {
			"base_roles": ["acme.own"],
			"policy": {"override": true, "idp_default_roles": ["reader"]},
			"implicit": {"group:okta|eng": [{"role": "reader", "all": ["email:acme.com"], "enabled": true}]},
			"conditional_roles": {"acme.own": {"op": "eq", "p": "/x", "v": "y"}},
		},
		"acme.eu": {},
	},
	"members": {"acme": {"ann": {
		"kind": "user",
		"email": "a@acme.com",
		"attrs": {"x": ["y"]},
		"sso": {"okta": {"groups": ["eng"], "roles": []}},
		"grants": {"acme.own": [], "reader": [[0, 1000]]},
	}}},
	"api_keys": {"00ff": {"id": "ci", "kind": "api_key", "tenant": "acme", "expires": 1000}},
	"revoked": {
		"tokens": {"j": 0},
		"principals": {"acme": {"ann": 1000}},
		"grants": {"acme": {"ann": {"reader": 0}}},
	},
}

# The world with some patches, as problems of it: code, or code and subject.

text(problem) := problem.code if {
	problem.subject == ""
} else := concat(":", [problem.code, problem.subject])

put(path, value) := {"op": "add", "path": path, "value": value}

cut(path) := {"op": "remove", "path": path}

problems(patches) := texts if {
	found := admin.validation with data.rbac as json.patch(world, patches)
	texts := {text(problem) | some problem in found}
}

member_problems(patches) := texts if {
	found := admin.member_validation with data.rbac as json.patch(world, patches)
	texts := {text(problem) | some problem in found}
}

test_sound_data_has_no_problem if {
	problems([]) == set()
	member_problems([]) == set()
}

test_no_data_lacks_the_root if {
	found := admin.validation with data.rbac as {}
	{text(problem) | some problem in found} == {"missing_root"}
}

test_a_problem_says_where_and_what if {
	found := admin.validation with data.rbac as json.patch(world, [put("/roles/reader/level", -1)])
	found == {{
		"code": "bad_level",
		"subject": "reader",
		"path": ["roles", "reader", "level"],
		"message": "a level is a whole number from 0",
	}}
}

test_missing_root if {
	"missing_root" in problems([cut("/tenants/@root")])
	"missing_root" in problems([cut("/tenants")])
}

test_bad_tenant if {
	problems([put("/tenants/acme..x", {})]) == {"bad_tenant:acme..x"}
	problems([put("/tenants/.acme", {})]) == {"bad_tenant:.acme"}
	problems([put("/tenants/", {})]) == {"bad_tenant"}
	problems([put("/tenants/@roots", {})]) == {"bad_tenant:@roots"}
	problems([put("/tenants/acme.@root", {})]) == {"bad_tenant:acme.@root"}
}

test_unregistered_ancestor if {
	problems([put("/tenants/a.b.c", {})]) == {"unregistered_ancestor:a.b.c"}
	problems([put("/tenants/a.b.c", {}), put("/tenants/a.b", {}), put("/tenants/a", {})]) == set()
}

test_unknown_owner if {
	problems([put("/roles/globex.own", {"owner": "globex", "key": "own"})]) == {"unknown_owner:globex.own"}
}

test_role_id_mismatch if {
	problems([put("/roles/acme.own/key", "other")]) == {"role_id_mismatch:acme.own"}
	problems([put("/roles/reader/key", "acme.reader")]) == {"role_id_mismatch:reader"}
}

test_bad_visibility if {
	every visibility in ["OWNER", "all", null, 7] {
		problems([put("/roles/ops/visibility", visibility)]) == {"bad_visibility:ops"}
	}
	every visibility in ["ALL", "NONE", "INCLUDE", null] {
		problems([put("/roles/acme.own/visibility", visibility)]) == {"bad_visibility:acme.own"}
	}
	problems([put("/roles/acme.own/visibility", "OWNER")]) == set()
	problems([put("/roles/ops/visibility", "NONE")]) == set()
}

test_include_without_list_visibility if {
	problems([put("/roles/ops/include", {"acme": true})]) == {"include_without_list_visibility:ops"}
	problems([put("/roles/ops/include", {})]) == set()
}

test_include_unknown_tenant if {
	problems([put("/roles/reader/include/globex", true)]) == {"include_unknown_tenant:reader"}
}

test_shadowed_key if {
	problems([put("/roles/acme.ops", {"owner": "acme", "key": "ops"})]) == {"shadowed_key:acme.ops"}
}

test_bad_type if {
	problems([put("/roles/ops/type", "other")]) == {"bad_type:ops"}
	problems([put("/roles/ops/type", null)]) == {"bad_type:ops"}
}

test_predefined_not_root if {
	"predefined_not_root:acme.own" in problems([put("/roles/acme.own/type", "predefined")])
}

test_predefined_unmanaged if {
	problems([put("/roles/ops/allow/doc", {"read": {".": true}})]) == {"predefined_unmanaged:ops"}
	problems([put("/roles/ops/deny", {"doc": {"read": {".": true}}})]) == {"predefined_unmanaged:ops"}
	problems([put("/roles/ops/allow/doc", {"burn": {".": true}})]) == {"permission_not_in_catalog:ops"}
	problems([put("/roles/ops/allow/doc", {"*": {".": true}})]) == set()
	problems([put("/roles/ops/allow/doc", {"read": {".": true}}), cut("/catalog")]) == set()
}

test_bad_level if {
	every level in [-1, 1.5, "1", null, true] {
		problems([put("/roles/ops/level", level)]) == {"bad_level:ops"}
	}
	problems([put("/roles/ops/level", 0)]) == set()
}

odd_windows := array.concat(
	[7, null, {}, [7], [[1]], [[1, 2, 3]], [[2, 1]], [[1, 1]]],
	[[["1", "2"]], [[1.5, 2]], [[1, null]], [[1, "2"]], [[1, 2.5]], [[null, 2]], [{"0": 1, "1": 2}]],
)

test_bad_window_of_a_role if {
	every windows in odd_windows {
		problems([put("/roles/ops/windows", windows)]) == {"bad_window:ops"}
	}
	problems([put("/roles/ops/windows", [])]) == set()
}

test_bad_wildcard if {
	every statement in [{"d*": {"read": {".": true}}}, {"doc": {"re*d": {".": true}}}, {"**": {"read": {".": true}}}] {
		problems([put("/roles/acme.own/allow", statement)]) == {"bad_wildcard:acme.own"}
		problems([put("/roles/acme.own/deny", statement)]) == {"bad_wildcard:acme.own"}
	}
	problems([put("/roles/acme.own/allow", {"doc": {"read": {"acme.*": true}}})]) == {"bad_wildcard:acme.own"}
}

test_a_target_that_is_no_path_is_of_no_shape if {
	every target in ["", "a..b", "$other", "a.@root"] {
		"bad_shape:ops" in problems([put("/roles/ops/allow/user/read", {target: true})])
	}
}

test_permission_not_in_catalog if {
	problems([put("/roles/acme.own/allow", {"doc": {"burn": {".": true}}})]) == {"permission_not_in_catalog:acme.own"}
	problems([put("/roles/acme.own/deny", {"barn": {"burn": {".": true}}})]) == {"permission_not_in_catalog:acme.own"}
	problems([put("/roles/acme.own/allow", {"barn": {"*": {".": true}}})]) == {"permission_not_in_catalog:acme.own"}
	problems([put("/roles/acme.own/allow", {"*": {"burn": {".": true}}})]) == set()
	problems([put("/roles/acme.own/allow", {"doc": {"burn": {".": true}}}), cut("/catalog")]) == set()
}

test_never_in_custom if {
	problems([put("/roles/acme.own/allow", {"doc": {"shred": {".": true}}})]) == {"never_in_custom:acme.own"}
	problems([put("/roles/acme.own/deny", {"doc": {"shred": {".": true}}})]) == set()
	problems([put("/roles/acme.own/allow", {"doc": {"*": {".": true}}})]) == set()
	problems([put("/roles/reader/allow", {"doc": {"shred": {".": true}}})]) == set()
}

test_target_outside_owner if {
	every target in ["@root", "globex", "acme2", "acm"] {
		problems([put("/roles/acme.own/allow", {"doc": {"read": {target: true}}})]) == {"target_outside_owner:acme.own"}
	}
	every target in [".", "$self", "acme", "acme.eu.x"] {
		problems([put("/roles/acme.own/allow", {"doc": {"read": {target: true}}})]) == set()
	}
}

# Every place where a rule may name a role.
named(role) := [
	put("/tenants/acme/base_roles", [role]),
	put("/tenants/acme/policy", {"signup_roles": [role]}),
	put("/tenants/acme/policy", {"first_user_roles": [role]}),
	put("/tenants/acme/policy", {"idp_default_roles": [role]}),
	put("/tenants/acme/implicit", {"conn:okta": [{"role": role}]}),
	put("/tenants/acme/conditional_roles", {role: {"op": "true"}}),
]

test_rule_unknown_role if {
	every patch in named("gone") {
		problems([patch]) == {"rule_unknown_role:acme:gone"}
	}
}

test_rule_foreign_role if {
	every patch in named("acme.eu.own") {
		role := put("/roles/acme.eu.own", {"owner": "acme.eu", "key": "own"})
		problems([role, patch]) == {"rule_foreign_role:acme:acme.eu.own"}
	}
	problems([put("/tenants/@root/base_roles", ["acme.own"])]) == {"rule_foreign_role:@root:acme.own"}
}

test_rule_role_not_visible if {
	every patch in named("ops") {
		problems([put("/roles/ops/visibility", "NONE"), patch]) == {"rule_role_not_visible:acme:ops"}
	}
	problems([put("/roles/ops/visibility", "NONE"), put("/tenants/@root/base_roles", ["ops"])]) == set()
}

test_bad_condition if {
	every tree in [7, null, [], {}, {"op": "x"}, {"op": "eq", "p": "x", "v": 1}, {"op": "and", "of": [{"op": "not"}]}] {
		problems([put("/tenants/acme/conditional_roles/acme.own", tree)]) == {"bad_condition:acme:acme.own"}
	}
}

test_condition_too_deep if {
	deep := json.unmarshal(concat("", array.flatten([
		["{\"op\": \"not\", \"of\": " | some _ in numbers.range(1, 64)],
		"{\"op\": \"true\"}",
		["}" | some _ in numbers.range(1, 64)],
	])))
	problems([put("/tenants/acme/conditional_roles/acme.own", deep)]) == {"condition_too_deep:acme:acme.own"}
	problems([put("/tenants/acme/conditional_roles/acme.own", deep.of)]) == set()
}

odd_shapes := {
	"catalog": ["/catalog"],
	"doc": ["/catalog/doc"],
	"doc:read": ["/catalog/doc/read", "/catalog/doc/read/class", "/catalog/doc/read/managed", "/catalog/doc/read/name"],
	"issuers": ["/issuers"],
	"i": ["/issuers/i", "/issuers/i/authority", "/issuers/i/tenant"],
	"aliases": ["/aliases"],
	"5f0c": ["/aliases/5f0c"],
	"roles": ["/roles"],
	"ops": [
		"/roles/ops",
		"/roles/ops/owner",
		"/roles/ops/key",
		"/roles/ops/name",
		"/roles/ops/description",
		"/roles/ops/include",
		"/roles/ops/allow",
		"/roles/ops/allow/user",
		"/roles/ops/allow/user/read",
		"/roles/ops/allow/user/read/.",
		"/roles/ops/deny",
	],
	"reader": ["/roles/reader/include/acme"],
	"tenants": ["/tenants"],
	"acme": [
		"/tenants/acme",
		"/tenants/acme/base_roles",
		"/tenants/acme/base_roles/0",
		"/tenants/acme/policy",
		"/tenants/acme/policy/override",
		"/tenants/acme/policy/signup_roles",
		"/tenants/acme/policy/idp_default_roles/0",
		"/tenants/acme/implicit",
		"/tenants/acme/implicit/conn:okta",
		"/tenants/acme/implicit/group:okta|eng/0",
		"/tenants/acme/implicit/group:okta|eng/0/role",
		"/tenants/acme/implicit/group:okta|eng/0/all",
		"/tenants/acme/implicit/group:okta|eng/0/enabled",
		"/tenants/acme/conditional_roles",
	],
	"members": ["/members"],
	"api_keys": ["/api_keys"],
	"00ff": [
		"/api_keys/00ff",
		"/api_keys/00ff/id",
		"/api_keys/00ff/kind",
		"/api_keys/00ff/tenant",
		"/api_keys/00ff/expires",
	],
	"revoked": [
		"/revoked",
		"/revoked/tokens",
		"/revoked/tokens/j",
		"/revoked/principals",
		"/revoked/principals/acme",
		"/revoked/principals/acme/ann",
		"/revoked/grants",
		"/revoked/grants/acme",
		"/revoked/grants/acme/ann",
		"/revoked/grants/acme/ann/reader",
	],
}

test_bad_shape if {
	missed := {path |
		some subject, paths in odd_shapes
		some path in paths
		not concat(":", ["bad_shape", subject]) in problems([put(path, 1.5)])
	}
	missed == set()
}

# What cannot be read is that, and nothing is concluded from it.
test_bad_shape_alone if {
	every odd in [7, null, [], {}] {
		problems([put("/roles/reader/owner", odd)]) & {"unknown_owner:reader", "bad_visibility:reader"} == set()
		problems([put("/roles/ops/owner", odd)]) == {"bad_shape:ops"}
		problems([put("/roles/ops/key", odd)]) == {"bad_shape:ops"}
		problems([put("/roles/shadow", {"owner": odd, "key": "reader"})]) == {"bad_shape:shadow"}
	}
	every odd in [7, ["acme"], ["x"], "acme"] {
		problems([put("/roles/ops/include", odd)]) == {"bad_shape:ops"}
	}
	problems([put("/roles/ops/include", {})]) == set()
	every odd in [[{"re*d": {".": true}}], {"user": [{".": true}]}, {"user": {"read": ["acme.*"]}}] {
		problems([put("/roles/ops/allow", odd)]) == {"bad_shape:ops"}
		problems([put("/roles/ops/deny", odd)]) == {"bad_shape:ops"}
	}
	problems([put("/roles/ops/forbid", {"us*r": {"read": {".": true}}})]) == set()
	problems([put("/roles/ops/visibility", "ALL"), put("/roles/ops/include", {})]) == set()
}

test_bad_shape_of_rules_alone if {
	every patch in [
		put("/tenants/acme/base_roles", {"x": "gone"}),
		put("/tenants/acme/base_roles", [7]),
		put("/tenants/acme/policy", {"signup_roles": {"x": "gone"}}),
		put("/tenants/acme/policy", {"signup_roles": [7]}),
		put("/tenants/acme/implicit", [[{"role": "gone"}]]),
		put("/tenants/acme/implicit", {"conn:okta": {"x": {"role": "gone"}}}),
		put("/tenants/acme/implicit", {"conn:okta": [{"role": 7}]}),
		put("/tenants/acme/conditional_roles", [{"op": "xor"}]),
		put("/tenants/acme/conditional_roles", 7),
	] {
		problems([patch]) == {"bad_shape:acme"}
	}
	problems([put("/tenants/acme/policy", {"other_roles": ["gone"]})]) == set()
}

test_bad_shape_of_the_tree if {
	every tree in [7, [], null, "acme"] {
		found := problems([put("/tenants", tree)])
		not "missing_root" in found
		{"bad_shape:tenants", "unknown_owner:acme.own"} & found == {"bad_shape:tenants", "unknown_owner:acme.own"}
		member_problems([put("/tenants", tree)]) == {"member_unknown_tenant:acme"}
	}
}

test_bad_shape_of_a_list_of_entries if {
	roles := problems([put("/roles", [{"owner": "nowhere", "level": -1}])])
	"bad_shape:roles" in roles
	{code | some text in roles; code := split(text, ":")[0]} & {"unknown_owner", "bad_level"} == set()
	tenants := problems([put("/tenants", [{"base_roles": ["gone"]}])])
	"bad_shape:tenants" in tenants
	{code | some text in tenants; code := split(text, ":")[0]} & {"rule_unknown_role"} == set()
}

test_bad_shape_of_a_revocation_that_is_an_object if {
	every path in ["/revoked/tokens/j", "/revoked/principals/acme/ann", "/revoked/grants/acme/ann/reader"] {
		problems([put(path, {})]) == {"bad_shape:revoked"}
	}
}

test_change_of_a_predefined_role if {
	changes([]) == set()
	changes([put("/roles/ops/level", 5)]) == {"predefined_modified:ops"}
	changes([cut("/roles/ops")]) == {"predefined_modified:ops"}
	changes([put("/roles/ops/type", "custom")]) == {"predefined_modified:ops"}
	changes([put("/roles/reader/level", 5), cut("/roles/acme.own")]) == set()
}

test_change_to_a_predefined_role if {
	changes([put("/roles/reader/type", "predefined")]) == {"predefined_added:reader"}
	changes([put("/roles/new", {"owner": "@root", "key": "new", "type": "predefined"})]) == {"predefined_added:new"}
	changes([put("/roles/new", {"owner": "@root", "key": "new"})]) == set()
}

changes(patches) := texts if {
	found := admin.change_validation with data.rbac as json.patch(world, patches) with input as {"old": world}
	texts := {text(problem) | some problem in found}
}

test_member_unknown_tenant if {
	member_problems([put("/members/globex", {})]) == {"member_unknown_tenant:globex"}
}

test_member_bad_kind if {
	every kind in ["root", null, 7] {
		member_problems([put("/members/acme/ann/kind", kind)]) == {"bad_kind:acme:ann"}
	}
	member_problems([cut("/members/acme/ann/kind")]) == set()
}

test_member_grant_unknown_role if {
	member_problems([put("/members/acme/ann/grants/gone", [])]) == {"grant_unknown_role:acme:ann"}
}

test_member_grant_not_visible if {
	member_problems([put("/members/@root", {"bob": {"grants": {"acme.own": []}}})]) == {"grant_not_visible:@root:bob"}
	member_problems([put("/members/acme.eu", {"bob": {"grants": {"reader": []}}})]) == {"grant_not_visible:acme.eu:bob"}
	member_problems([put("/members/@root", {"bob": {"grants": {"reader": [], "ops": []}}})]) == set()
}

test_member_bad_window if {
	every windows in odd_windows {
		member_problems([put("/members/acme/ann/grants/reader", windows)]) == {"bad_window:acme:ann"}
	}
}

test_member_bad_shape if {
	every path in ["", "/email", "/attrs", "/sso", "/sso/okta", "/sso/okta/groups", "/sso/okta/roles/0", "/grants"] {
		member_problems([put(concat("", ["/members/acme/ann", path]), 7)]) == {"bad_shape:acme:ann"}
	}
	member_problems([put("/members/acme", [])]) == {"bad_shape:acme"}
	member_problems([put("/members/acme/ann/sso", [{"groups": []}])]) == {"bad_shape:acme:ann"}
	member_problems([put("/members/acme/ann/grants", [[]])]) == {"bad_shape:acme:ann"}
	every members in [7, [], [{}], "acme", null] {
		member_problems([put("/members", members)]) == set()
	}
	every record in [7, [], [{"kind": "root"}], null] {
		member_problems([put("/members/acme/ann", record)]) == {"bad_shape:acme:ann"}
	}
}
