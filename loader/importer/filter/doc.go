// Package filter reads the query filters of ForgeRock, in which its roles say who
// holds them, and turns them into conditions of the role model (N16).
//
//	Expr       = And ( "or" And )*
//	And        = Not ( "and" Not )*
//	Not        = "!" Primary | Primary
//	Primary    = "(" Expr ")" | Pointer Op Value | Pointer "pr" | "true" | "false"
//	Op         = "eq" | "co" | "sw" | "lt" | "le" | "gt" | "ge"
//	Value      = number | "true" | "false" | string in " or ' quotes
//	Pointer    = a JSON pointer; the first slash may be left out
//
// Words are read in any case. A word ends at a blank or a parenthesis, so "/a eq'x'"
// has no value, and neither has ForgeRock's own reader one. In a string a backslash
// takes the next character as it is.
//
// What that reader understands in a way its author hardly meant is refused here
// rather than guessed: `!/a pr`, which it reads as a field named "!/a".
package filter
