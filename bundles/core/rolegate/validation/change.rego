package rolegate.validation

# Problems of a change from input.old, which is the role data before it (V18).
change_problems contains problem("predefined_modified", id, ["roles", id], message) if {
	some id, role in entries(input.old.roles)
	role.type == "predefined"
	not data.rbac.roles[id] == role
	message := "a predefined role is changed or deleted"
}

change_problems contains problem("predefined_added", id, ["roles", id], message) if {
	some id, role in roles
	role.type == "predefined"
	not input.old.roles[id].type == "predefined"
	message := "a role becomes predefined or is added as such"
}
