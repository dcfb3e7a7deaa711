package rolegate.validation

problems contains problem("missing_root", "", ["tenants"], "the node tree has no @root") if {
	is_object(data.rbac.tenants)
	not registered["@root"]
}

problems contains problem("missing_root", "", ["tenants"], "the node tree has no @root") if {
	[tree | tree := data.rbac.tenants] == []
}

problems contains problem("bad_tenant", node, ["tenants", node], "an empty segment or an @ in a tenant's key") if {
	some node in registered
	malformed(node)
}

problems contains problem("unregistered_ancestor", node, ["tenants", node], message) if {
	some node in registered
	node != "@root"
	not malformed(node)
	segments := split(node, ".")
	missing := [above |
		some i, _ in segments
		i > 0
		above := concat(".", array.slice(segments, 0, i))
		not above in registered
	]
	missing != []
	message := sprintf("%s is not registered", [missing[0]])
}

registered := object.keys(data.rbac.tenants) if {
	is_object(data.rbac.tenants)
} else := set()

malformed(node) if {
	node != "@root"
	contains(node, "@")
}

malformed(node) if "" in split(node, ".")
