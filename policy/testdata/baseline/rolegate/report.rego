package rolegate

import data.rolegate.gate
import data.rolegate.permissions

# METADATA
# title: The answer to a request, and what else the caller may do in the same place
# entrypoint: true
report := object.union(decision, {"permissions": permissions.reported}) if {
	not gate.before
	not gate.within
} else := object.union(decision, {"permissions": set()})
