# METADATA
# title: Where the question is asked
# description: >-
#   The node tree, and the place of a question in it. Reads the route's tenant and path and the
#   registered tenants, nothing of the subject and not the clock.
package rolegate.place

# METADATA
# title: The tenant as the request names it, after one step of aliases
named := tenant if {
	# N2
	tenant := data.rbac.aliases[input.route.tenant]
} else := input.route.tenant

# METADATA
# title: The tenant asked for; undefined unless it is registered (N7)
asked := named if data.rbac.tenants[named]

# METADATA
# title: The path asked about; the tenant itself by default
path := asked_path if {
	asked_path := input.route.path
	asked_path != null
} else := named

# METADATA
# title: Every node that covers the path, outermost first; undefined for a malformed path (N1)
covering := ["@root"] if {
	path == "@root"
} else := array.concat(["@root"], prefixes) if {
	is_string(path)
	segments := split(path, ".")
	not "" in segments
	plain(path)
	prefixes := [node |
		some i, _ in segments
		node := concat(".", array.slice(segments, 0, i + 1))
	]
}

# METADATA
# title: The deepest registered tenant that covers the path, and its ancestors, outermost first
# description: Undefined when the tenant asked for does not cover the path (N8).
nodes := covering if {
	path == asked
} else := array.slice(covering, 0, deepest + 1) if {
	asked in covering
	deepest := max([depth | some depth, node in covering; data.rbac.tenants[node]])
}

# METADATA
# title: The tenant the question is decided in (N8)
tenant := nodes[count(nodes) - 1]

# METADATA
# title: Whether a text is free of what no path may hold
# description: >-
#   Text that needs no escaping in a query holds letters, digits and -_.~ only; the pattern, which
#   has to be compiled, is for the others.
plain(text) if {
	urlquery.encode(text) == text
} else if not regex.match("[$@*\\p{Z}\\p{Cc}]", text)
