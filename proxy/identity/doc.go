// Package identity tells who asks: it finds a request's credential, verifies it and
// answers the subject with its claims in the one normal form of the role model,
// whatever the vendor that issued it.
//
// It checks that a credential is genuine: form, algorithm, key, signature and
// audience. Whether its issuer may speak for a tenant, and whether it is expired,
// is for the policy to say (N5, N6, N9): exp and nbf are claims like others.
package identity
