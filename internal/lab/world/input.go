package world

// Input maps a question's notation to the document that policies read: principal, kind and claims are
// the subject's, the rest is the route's; the time is the evaluator's clock and not in it.
func Input(question map[string]any) map[string]any {
	subject, route := map[string]any{}, map[string]any{}
	for name, value := range question {
		switch name {
		case "principal":
			subject["id"] = value
		case "kind":
			subject["type"] = value
		case "claims":
			subject["claims"] = value
		case "subject_error":
			subject["error"] = value
		case "route_error":
			route["error"] = value
		case "tenant", "path", "resource", "action", "owner", "roles_any", "public":
			route[name] = value
		}
	}
	input := map[string]any{"route": route}
	if len(subject) > 0 {
		input["subject"] = subject
	}
	return input
}

// Extension is a module that gives data.authz the results that a world lists for each principal under
// data.lab.extensions: the hooks of the library, as a user's bundle would fill them. Candidates are undefined
// where none are listed, as without an extension: the library then takes a shorter way, which has to be tried.
func Extension() string {
	return `package authz

default principal := ""

principal := input.subject.id if is_string(input.subject.id)

results := data.lab.extensions[principal]

deny contains reason if some reason in results.deny

allow contains reason if some reason in results.allow

candidates := {candidate | some candidate in listed} if listed := results.candidates

valid_until contains instant if some instant in results.valid_until
`
}
