# METADATA
# title: What has to be right before roles are looked at
# description: The gates N4 to N10, N34, N35 and N25, in that order; the first failure is the reason.
package rolegate.gate

import data.rolegate.caller
import data.rolegate.place
import data.rolegate.question
import data.rolegate.token

# METADATA
# title: Whether every gate is open
# description: What before and within say by being undefined, asked at once. A binding implies a place.
open if {
	not input.route.public == true
	not faulty
	principal := input.subject.id
	is_string(principal)
	principal != ""
	_ = caller.authority
	not token.untimely
	not token.revocations
	_ = caller.binding
	question.answerable
}

faulty if input.route.error != null

faulty if input.subject.error != null

# METADATA
# title: The first gate that is shut before the place is known; undefined when none is
before := reason if {
	reason := input.route.error
	is_string(reason)
	reason != ""
} else := "malformed_request" if {
	input.route.error != null
} else := "public" if {
	input.route.public == true
} else := "bad_credential" if {
	input.subject.error != null
} else := "unauthenticated" if {
	not identified
} else := "untrusted_issuer" if {
	not caller.authority
} else := reason if {
	reason := token.untimely
} else := "unknown_tenant" if {
	not place.asked
} else := "path_outside_tenant" if {
	not place.nodes
}

identified if {
	is_string(input.subject.id)
	input.subject.id != ""
}

# METADATA
# title: The first gate that is shut in the place; undefined when none is
within := "revoked" if {
	token.revocations
} else := "tenant_mismatch" if {
	not caller.claimed
} else := "not_member" if {
	not caller.binding
} else := "incomplete_question" if {
	not question.complete
} else := "unknown_permission" if {
	not question.answerable
}
