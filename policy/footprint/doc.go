// Package footprint finds what a compiled policy can read of its input.
//
// The footprint of an entry point is a set of places in the input document, each
// with how much of it the answer can depend on: whether it is there, what type it
// is, or its whole value. It is an over-approximation: what the analysis does not
// know widens it, never narrows it. Two inputs that agree on the footprint are one
// question, so that the footprint's values are a cache key; and an input that is
// rebuilt from those values alone gives the same answer, so that the evaluator can
// be shown exactly what the key holds.
//
// The analysis works on compiled modules, where calls and references are hoisted.
// It follows aliases: every variable, function argument and complete rule's value
// points to a set of places in the input; what is compared, iterated, given to a
// builtin, put into a literal or returned is read in full. So is what a rule gives when
// it may give several values, one a solution: Rego compares them. A key that can only be
// one of a few constants leads to those members alone, if it is known before it is used:
// otherwise the evaluator iterates, and meets errors on its way.
package footprint
