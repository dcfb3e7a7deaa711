// Package canonical reads the parts of a request that a caller writes and
// several programs read: target, host, query and method.
//
// Path confusion lives where two readers of one string disagree. So this
// package gives one reading or refuses: it never repairs. What it accepts, a
// usual backend reads the same way; what backends are known to read differently
// is an *Error with a stable Reason, before any route is tried.
//
// All functions are pure and safe for concurrent use.
package canonical
