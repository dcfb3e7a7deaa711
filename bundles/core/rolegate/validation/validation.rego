# METADATA
# title: Whether role data is sound
# description: >-
#   Problems of data.rbac, each {"code", "subject", "path", "message"}: the code and the subject are those of
#   docs/roles.md, the path leads to the offending value below data.rbac. Members have a package of their own,
#   so that a loader may look at them while they stream by.
package rolegate.validation

import data.rolegate.place
import data.rolegate.token

# METADATA
# title: A problem as it is reported
problem(code, subject, path, message) := {"code": code, "subject": subject, "path": path, "message": message}

# METADATA
# title: What is to be looked at of each document; what is not an object is a problem by itself
roles := entries(data.rbac.roles)

tenants := entries(data.rbac.tenants)

entries(document) := {key: entry | some key, entry in document; is_object(entry)} if {
	is_object(document)
} else := {}

# METADATA
# title: Whether a value is a list of windows, each two instants in order
windows(list) if {
	is_array(list)
	every window in list {
		in_order(window)
	}
}

in_order(window) if {
	is_array(window)
	count(window) == 2
	token.instant(window[0])
	token.instant(window[1])
	window[0] < window[1]
}

# METADATA
# title: Whether every entry of a list is a text
texts(list) if {
	is_array(list)
	every entry in list {
		is_string(entry)
	}
}

# METADATA
# title: Whether a node covers a path (N1)
covers(node, path) if node in place.chain(path)
