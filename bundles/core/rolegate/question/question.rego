# METADATA
# title: What is asked
package rolegate.question

import data.rolegate.place

# METADATA
# title: The permission asked for, as [resource, action]; undefined for a question without an action (N35)
permission := [resource, action] if {
	resource := input.route.resource
	is_string(resource)
	action := input.route.action
	is_string(action)
} else := ["-", action] if {
	not specific
	action := input.route.action
	is_string(action)
}

specific if input.route.resource != null

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
# title: What the catalog says of the permission asked for; undefined where it says nothing
declaration := catalog[resource][action] if {
	catalog := data.rbac.catalog
	[resource, action] := permission
}

# METADATA
# title: Whether the question is complete and asks for nothing undeclared (N25)
answerable if {
	_ = declaration
} else if {
	complete
	not cataloged
}

# Whether there is a catalog that the question has to keep to.
cataloged if {
	_ = data.rbac.catalog
	_ = permission
}

# METADATA
# title: Targets that match here (N24)
targets := array.concat([".", "$self"], place.covering) if {
	input.route.owner == input.subject.id
} else := array.concat(["."], place.covering)
