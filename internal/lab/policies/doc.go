// Package policies writes random policies and the inputs to ask them with, for the
// tests of whatever must be true of every policy.
//
// It writes text and JSON values and knows nothing of OPA. Names are few and values
// fewer, so that equal, unequal and absent members are all frequent.
package policies
