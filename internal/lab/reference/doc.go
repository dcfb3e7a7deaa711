// Package reference decides by the sentences of the role model (docs/roles.md), one function per
// numbered sentence, literally and without regard to speed. It exists to disagree: tests compare it
// with the Rego library on random worlds, so it shares no code and no idea with that library.
//
// Documents are decoded JSON: map[string]any, []any, string, bool, nil and numbers. A number may be
// a json.Number (exact, preferred), a float64, an int or an int64; whether it is an integer is a
// question about its value, not about its Go type. Nothing here panics, whatever the shape of a
// question's claims: what has not the shape a sentence speaks of is treated as that sentence's
// closed side.
package reference

// Data is what a decision reads beside the question.
type Data struct {
	RBAC  map[string]any // the document data.rbac
	Authz map[string]any // data.authz: lists deny, allow, candidates, valid_until; nil when nothing extends the library
}

// Report is the answer to a question, with every key of data.rolegate.report.
type Report struct {
	Allow         bool
	Reason        string
	Tenant        string   // empty before N8 has found it
	Roles         []string // sorted, never nil
	GrantingRoles []string // sorted, never nil
	Permissions   []string // sorted, never nil
	ValidUntil    any      // nil, or a json.Number of milliseconds
}

// Document renders the report as the decoded JSON that data.rolegate.report is compared with.
func (r Report) Document() map[string]any {
	doc := map[string]any{
		"allow":          r.Allow,
		"reason":         r.Reason,
		"roles":          anys(r.Roles),
		"granting_roles": anys(r.GrantingRoles),
		"permissions":    anys(r.Permissions),
		"valid_until":    r.ValidUntil,
	}
	if r.Tenant != "" {
		doc["tenant"] = r.Tenant
	}
	return doc
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}
