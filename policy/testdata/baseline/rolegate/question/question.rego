# METADATA
# title: What is asked
package rolegate.question

import data.rolegate.place

# METADATA
# title: The resource; `-` where none is named
resource := name if {
	name := input.route.resource
	name != null
} else := "-"

# METADATA
# title: The action; undefined without one (N35)
action := name if {
	name := input.route.action
	name != null
}

# METADATA
# title: The roles of which the route wants one; undefined when it wants none (N31)
wanted := names if {
	names := input.route.roles_any
	not names in [null, []]
}

# METADATA
# title: Whether the question names neither action nor roles, or names what is no text (N35)
incomplete if {
	not action
	not wanted
}

incomplete if not is_string(action)

incomplete if {
	action
	not is_string(resource)
}

# METADATA
# title: What the catalog says of the permission asked for
declaration := data.rbac.catalog[resource][action]

# METADATA
# title: Whether there is a catalog that does not declare the permission asked for (N25)
undeclared if {
	action
	data.rbac.catalog
	not declaration
}

# METADATA
# title: The class of the permission asked for
class := declaration.class

# METADATA
# title: Whether the permission asked for is managed (N28)
managed if declaration.managed == true

# METADATA
# title: Resources of statements that may match
resources := [resource, "*"]

# METADATA
# title: Actions of statements that may match
actions := [action, "*"]

# METADATA
# title: Targets that match here (N24)
targets := array.concat(["."], place.covering) if {
	not own
} else := array.concat([".", "$self"], place.covering)

own if {
	input.route.owner == input.subject.id
}
