// Package route turns an HTTP request into the question that a policy is asked:
// resource, action, tenant, place and owner, as the bundle's document data.routes
// says. It knows neither HTTP servers nor OPA, so that it fuzzes fast.
//
// docs/routes.md describes the document; what it leaves open is settled here:
//
//   - trailing_slash of a set is "own" (the default: a path with a trailing slash
//     is another path) or "same" (it is the same one).
//   - {name} never takes an empty segment. {name...} takes one segment or more, of
//     which the last may be empty (the trailing slash); in a set with "same" also
//     none. In a template its segments are joined with "." and a trailing slash
//     names the same place as the path without; in Match.Params they are joined
//     with "/", which no segment can hold, so nothing is lost.
//   - *.example.com covers every name below example.com, however deep, and not
//     example.com itself. Of two wildcards that cover a host the longer is the more
//     specific one.
//   - HEAD takes, at the most specific path that has any, HEAD's route, else GET's,
//     else that of "*".
//   - A relative `at` below the tenant @root stands at the top: ".documents" is
//     "documents".
//   - A route with an action and no resource asks about the resource "-". A resource
//     without an action is passed on, and is a question without an action.
//   - A route that names neither an action nor roles_any and is not public is no
//     error: a policy may go by its id. The role library denies it
//     (incomplete_question); Table.Incomplete lists such routes for whoever warns.
package route

// Request is what the route table reads of a request. The functions answer one
// value by name and whether it is there; a nil function has no values. They are
// called only for routes whose templates name them.
type Request struct {
	Method    string
	Host      string   // canonical: lower case, no port, no trailing dot; "" when unknown
	Segments  []string // of the canonical path, each decoded once; a last "" is a trailing slash
	Query     func(name string) (string, bool)
	Header    func(name string) (string, bool) // names in lower case
	Claim     func(name string) (string, bool) // of the verified subject; {claim.a.b} asks for "a.b"
	Extension func(name string) (string, bool) // Envoy's context_extensions
	SubjectID string                           // "" without a subject
	Alias     func(tenant string) (string, bool)

	// WithoutParams leaves Match.Params nil, for callers whose policy cannot read
	// them: the map is most of what Resolve allocates.
	WithoutParams bool
	// Texts are the values that earlier requests were given; nil: each is made anew.
	Texts *Texts
}

// Texts remembers the values that templates made, so that a value that is made again
// costs no allocation. It is used by one caller at a time. The zero value works.
type Texts struct{ known map[string]string }

// maxTexts bounds what is remembered: callers choose parts of the values.
const maxTexts = 1024

// of is b as a string.
func (t *Texts) of(b []byte) string {
	if t == nil {
		return string(b)
	}
	if s, ok := t.known[string(b)]; ok {
		return s
	}
	if t.known == nil {
		t.known = make(map[string]string)
	}
	if len(t.known) >= maxTexts {
		clear(t.known)
	}
	s := string(b)
	t.known[s] = s
	return s
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
	RolesAny []string // shared by all matches of the route; not to be changed
	Params   map[string]string
	Error    string // "", NoRoute or Incomplete; then all but Missing is empty, so that no policy takes half a route for a whole one
	Missing  string // the part that a template lacked, "claim.tenant"
}

// What Match.Error may be.
const (
	NoRoute    = "no_route"         // no route matches
	Incomplete = "route_incomplete" // the route's templates name something that the request lacks
)

// Problem is one fault of a document data.routes.
type Problem struct {
	Code    string   // one of the Code constants
	Subject string   // the set, "set:route", "set:route:route" or "set:set"; a route without an id is its index
	Path    []string // below data.routes; list indices in decimal
	Message string
	Hint    string // what would be right; "" when nothing is known
}

// What Problem.Code may be.
const (
	CodeBadShape   = "bad_shape"         // not of the schema
	CodeSetOverlap = "route_set_overlap" // one host can match both sets, and a prefix of one begins with a prefix of the other
	CodeOutsideSet = "route_outside_set" // a route's path or host is not its set's
	CodeAmbiguous  = "route_ambiguous"   // two routes of equal rank can match one request
)
