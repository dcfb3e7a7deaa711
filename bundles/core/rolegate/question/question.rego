# METADATA
# title: What is asked
package rolegate.question

import data.rolegate.place

# METADATA
# title: The permission asked for, as [resource, action, declaration]
# description: >-
#   Undefined for a question without an action (N35), or with names that are no texts. The declaration is
#   null where there is a catalog that does not declare the permission (N25), and {} without a catalog.
permission := [resource, action, declaration] if {
	resource := input.route.resource
	is_string(resource)
	action := input.route.action
	is_string(action)
	declaration := data.rbac.catalog[resource][action]
	is_object(declaration)
} else := [resource, action, declared[0]] if {
	[resource, action] := named
	declared := array.flatten([
		[declaration | declaration := data.rbac.catalog[resource][action]; is_object(declaration)],
		[null | _ = data.rbac.catalog],
		{},
	])
}

named := [resource, action] if {
	resource := array.concat([name | name := input.route.resource; name != null], ["-"])[0]
	is_string(resource)
	action := input.route.action
	is_string(action)
}

# METADATA
# title: The roles of which the route wants one; undefined when it wants none (N31)
wanted := names if {
	names := input.route.roles_any
	not names in [null, []]
}

# METADATA
# title: Whether the question names an action, or else roles, and names them readably (N35)
complete if _ = permission

complete if {
	not acted
	_ = wanted
}

acted if input.route.action != null

# METADATA
# title: Whether the question is complete and asks for nothing undeclared (N25)
answerable if {
	permission[2] != null
} else if {
	complete
	not acted
}

# METADATA
# title: Targets that match here (N24)
targets := array.concat([".", "$self"], place.covering) if {
	input.route.owner == input.subject.id
} else := array.concat(["."], place.covering)
