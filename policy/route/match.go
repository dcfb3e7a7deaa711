// Package route turns an HTTP request into the question that a policy is asked:
// resource, action, tenant, place and owner, as the bundle's document data.routes
// says. It knows neither HTTP servers nor OPA, so that it fuzzes fast.
package route

// Request is what the route table reads of a request. The functions answer one
// value by name and whether it is there; a nil function has no values.
type Request struct {
	Method    string
	Host      string   // canonical: lower case, no port, no trailing dot; "" when unknown
	Segments  []string // of the canonical path, each decoded once; a last "" is a trailing slash
	Query     func(name string) (string, bool)
	Header    func(name string) (string, bool) // names in lower case
	Claim     func(name string) (string, bool) // of the verified subject
	Extension func(name string) (string, bool) // Envoy's context_extensions
	SubjectID string                           // "" without a subject
	Alias     func(tenant string) (string, bool)
}

// Match is the route's answer, input.route of a policy. An empty field is absent
// from that document. The zero value names nothing and is refused by the library.
type Match struct {
	Set, ID  string
	Public   bool
	Resource string
	Action   string
	Tenant   string // as asked, before aliases
	Path     string // `at`, resolved
	Owner    string
	RolesAny []string
	Params   map[string]string
	Error    string // "", "no_route" or "route_incomplete"
	Missing  string // the part that a template lacked, "claim.tenant"
}

// Problem is one fault of a document data.routes.
type Problem struct {
	Code    string   // route_set_overlap, route_outside_set, route_ambiguous, bad_shape
	Subject string   // the set, or "set:route"
	Path    []string // below data.routes; list indices in decimal
	Message string
	Hint    string // what would be right; "" when nothing is known
}
