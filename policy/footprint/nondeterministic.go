package footprint

import "github.com/open-policy-agent/opa/v1/ast"

// Call is a reachable use of a builtin whose result is not a function of input and data.
type Call struct {
	Name string
	At   *ast.Location // nil when it has no position
}

// Clock is the builtin that reads the evaluation's clock. It is the one that can be
// accounted for: the clock is compared at every use of a remembered answer.
const Clock = "time.now_ns"

// nondeterministic says whether a builtin reads something beside its operands. OPA
// marks most of them; two read the clock unmarked. A builtin that is not known is one.
func (a *analysis) nondeterministic(name string) bool {
	switch name {
	case "crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options":
		return true
	}
	b := a.builtins[name]
	return b == nil || b.Nondeterministic
}

// builtin notes the use of a builtin.
func (a *analysis) builtin(name string) {
	if a.nondeterministic(name) && a.calls[name] == nil {
		a.calls[name] = &Call{Name: name, At: a.at}
		a.changed = true
	}
}
