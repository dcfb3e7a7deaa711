# METADATA
# title: What has to be right before roles are looked at
# description: The gates N4 to N10, N34, N35 and N25, in that order; the first failure is the reason.
package rolegate.gate

import data.rolegate.caller
import data.rolegate.place
import data.rolegate.question
import data.rolegate.token

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
	not caller.id
} else := "untrusted_issuer" if {
	not caller.authority
} else := "untrusted_issuer" if {
	caller.illegible
} else := "token_expired" if {
	token.expired
} else := "token_not_yet_valid" if {
	token.early
} else := "unknown_tenant" if {
	not place.asked
} else := "path_outside_tenant" if {
	not place.tenant
}

# METADATA
# title: The first gate that is shut in the place; undefined when none is
within := "revoked" if {
	some until in token.revocations
	token.in_force(until)
} else := "tenant_mismatch" if {
	_ = caller.claimed
	not caller.claimed_depth
} else := "not_member" if {
	not caller.binding
} else := "incomplete_question" if {
	question.incomplete
} else := "unknown_permission" if {
	question.undeclared
}
