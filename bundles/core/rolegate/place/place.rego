# METADATA
# title: Where the question is asked
# description: >-
#   The node tree, and the place of a question in it. Reads the route's tenant and path and the
#   registered tenants, nothing of the subject and not the clock. A number as a key of stored data reads
#   what is under its digits, so what comes from a request is known to be text before it is such a key.
package rolegate.place

# METADATA
# title: The tenant asked for, aliases applied; undefined unless it is registered (N2, N7)
asked := tenant if {
	tenant := aliased(input.route.tenant)
	tenants := data.rbac.tenants
	_ = tenants[tenant]
}

# METADATA
# title: What a name of a tenant stands for, in one step (N2)
aliased(name) := tenant if {
	is_string(name)
	tenant := data.rbac.aliases[name]
} else := name

# METADATA
# title: Every node that covers the path, deepest first; undefined for a malformed path (N1)
# description: The path is the tenant asked for by default.
covering := chain(path) if {
	path := input.route.path
	path != null
} else := chain(asked) if not named

named if input.route.path != null

# METADATA
# title: A path and the nodes above it, deepest first; undefined for a malformed path
chain(path) := array.flatten([path, above, "@root"]) if {
	is_string(path)
	not path in {"", "@root"}
	not startswith(path, ".")
	not endswith(path, ".")
	not contains(path, "..")
	not odd(path)
	above := [substring(path, 0, dot) | some dot in array.reverse(indexof_n(path, "."))]
} else := ["@root"] if {
	path == "@root"
}

# Whether a text holds what no path may hold. Text that needs no escaping in a query has nothing but
# letters, digits and -_.~ in it; the pattern, which has to be compiled, is for the others.
odd(path) if {
	urlquery.encode(path) != path
	regex.match(`[$@*\p{Z}\p{Cc}]`, path)
}

# METADATA
# title: The deepest registered tenant that covers the path, and its ancestors, deepest first
# description: Undefined when the tenant asked for does not cover the path (N8).
nodes := array.slice(covering, registered[0], count(covering)) if {
	asked in covering
	tenants := data.rbac.tenants
	registered := [i | some i, node in covering; _ = tenants[node]]
}
