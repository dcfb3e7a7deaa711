package policy

// Reasons that the role library and the server give. A user's own policy may say
// anything else; such a reason counts as custom.
const (
	ReasonAllowed            = "allowed"
	ReasonPublic             = "public"
	ReasonUnauthenticated    = "unauthenticated"
	ReasonUntrustedIssuer    = "untrusted_issuer"
	ReasonTokenExpired       = "token_expired"
	ReasonTokenNotYetValid   = "token_not_yet_valid"
	ReasonBadCredential      = "bad_credential"
	ReasonExplicitDeny       = "explicit_deny"
	ReasonRevoked            = "revoked"
	ReasonNoRoles            = "no_roles"
	ReasonNoPermission       = "no_permission"
	ReasonMissingRole        = "missing_role"
	ReasonNotMember          = "not_member"
	ReasonTenantMismatch     = "tenant_mismatch"
	ReasonPathOutsideTenant  = "path_outside_tenant"
	ReasonUnknownTenant      = "unknown_tenant"
	ReasonUnknownPermission  = "unknown_permission"
	ReasonNoRoute            = "no_route"
	ReasonNoRequest          = "no_http_request" // a connection is asked about, and no policy of one's own answers
	ReasonRouteIncomplete    = "route_incomplete"
	ReasonIncompleteQuestion = "incomplete_question"
	ReasonMalformedRequest   = "malformed_request"
	ReasonPolicyError        = "policy_error"
	ReasonTimeout            = "timeout"
	ReasonNotReady           = "not_ready"
	ReasonOverloaded         = "overloaded"
)

// ReasonCustom is the metric label of every reason that is not one of ours.
const ReasonCustom = "custom"

// Verdict is the class of a reason: what kind of answer it was.
type Verdict string

// The verdicts. A denied client is told the verdict and never the reason.
const (
	VerdictAllow           Verdict = "allow"
	VerdictDeny            Verdict = "deny"     // something says no
	VerdictNoGrant         Verdict = "no_grant" // nothing says yes
	VerdictUnauthenticated Verdict = "unauthenticated"
	VerdictNoRoute         Verdict = "no_route"
	VerdictError           Verdict = "error" // no answer could be had
)

// Verdict classes the decision by its effect and its reason. An allowed decision
// is [VerdictAllow] whatever its reason; a denied one never is.
func (d Decision) Verdict() Verdict {
	if d.Effect == Allow {
		return VerdictAllow
	}
	switch d.Reason {
	case ReasonUnauthenticated, ReasonUntrustedIssuer, ReasonTokenExpired, ReasonTokenNotYetValid, ReasonBadCredential:
		return VerdictUnauthenticated
	case ReasonNoRoles, ReasonNoPermission, ReasonMissingRole, ReasonNotMember, ReasonTenantMismatch,
		ReasonPathOutsideTenant, ReasonUnknownTenant, ReasonUnknownPermission:
		return VerdictNoGrant
	case ReasonNoRoute, ReasonNoRequest, ReasonRouteIncomplete, ReasonIncompleteQuestion:
		return VerdictNoRoute
	case ReasonMalformedRequest, ReasonPolicyError, ReasonTimeout, ReasonNotReady, ReasonOverloaded:
		return VerdictError
	default: // explicit_deny, revoked, and what a user's own policy says
		return VerdictDeny
	}
}

// Statuses of HTTP. This package knows no wire and does not import one for five numbers.
const (
	statusOK                 = 200
	statusBadRequest         = 400
	statusUnauthorized       = 401
	statusForbidden          = 403
	statusServiceUnavailable = 503
)

// HTTPStatus is the status that a client gets with this decision unless the
// policy's own result names another: 200 for an allow, else 400 to 503.
// policy_error is 403; an operator may choose 503 (on_policy_error).
func (d Decision) HTTPStatus() int {
	switch {
	case d.Effect == Allow:
		return statusOK
	case d.Verdict() == VerdictUnauthenticated:
		return statusUnauthorized
	}
	switch d.Reason {
	case ReasonMalformedRequest:
		return statusBadRequest
	case ReasonTimeout, ReasonNotReady, ReasonOverloaded:
		return statusServiceUnavailable
	default:
		return statusForbidden
	}
}

// ReasonLabel is the reason as a metric label: one of the constants above, or
// [ReasonCustom], so that a policy cannot make labels without bound.
func (d Decision) ReasonLabel() string {
	switch d.Reason {
	case ReasonAllowed, ReasonPublic, ReasonUnauthenticated, ReasonUntrustedIssuer, ReasonTokenExpired,
		ReasonTokenNotYetValid, ReasonBadCredential, ReasonExplicitDeny, ReasonRevoked, ReasonNoRoles,
		ReasonNoPermission, ReasonMissingRole, ReasonNotMember, ReasonTenantMismatch, ReasonPathOutsideTenant,
		ReasonUnknownTenant, ReasonUnknownPermission, ReasonNoRoute, ReasonNoRequest, ReasonRouteIncomplete,
		ReasonIncompleteQuestion, ReasonMalformedRequest, ReasonPolicyError, ReasonTimeout, ReasonNotReady,
		ReasonOverloaded:
		return d.Reason
	default:
		return ReasonCustom
	}
}
