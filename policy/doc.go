// Package policy decides. It holds compiled Rego and its data as immutable
// snapshots, evaluates one question on exactly one of them, and remembers
// decisions so that a remembered one cannot differ from a fresh one.
//
// It is pure: no files, no sockets, no logs, and the time is an argument. Bundles
// come in through [Compile] and [Engine.Install]; questions through [View.Decide].
package policy
