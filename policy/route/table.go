package route

// Table is the routes of one document. It never changes, and may be used
// concurrently. The zero Table and a nil one match nothing.
type Table struct {
	hosts  hosts
	routes []*route // in the order of sets' names, then of the document
}

// route is one route, ready to match.
type route struct {
	set, id   string
	index     int      // in its set's list
	hosts     []string // that reach it: its own, else its set's; nil: any
	methods   []string
	pattern   pattern
	sameSlash bool // trailing_slash: same
	public    bool
	rolesAny  []string

	resource, action, tenant, at, owner template
}

// matched are the steps that a request must take: where a trailing slash makes no
// difference, without it.
func (r *route) matched() []step {
	steps := r.pattern.steps
	if last := steps[len(steps)-1]; r.sameSlash && last.kind == stepLiteral && last.text == "" {
		return steps[:len(steps)-1]
	}
	return steps
}

// Resolve names the question that a request asks. Its cost depends on the length
// of the path and on the routes that match it, not on the size of the table.
func (t *Table) Resolve(req Request) Match {
	r := t.find(&req)
	if r == nil {
		return Match{Error: NoRoute}
	}
	return r.match(&req)
}

// Find says which route a request takes, also when it is incomplete, for
// explanations. ok is false when it takes none.
func (t *Table) Find(req Request) (set, id string, ok bool) {
	r := t.find(&req)
	if r == nil {
		return "", "", false
	}
	return r.set, r.id, true
}

func (t *Table) find(req *Request) *route {
	if t == nil {
		return nil
	}
	return t.hosts.find(req.Host, req.Segments, req.Method)
}

// Len is the number of routes.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.routes)
}

// match fills in the route's templates. Of several missing parts it names the
// first in the order resource, action, tenant, at, owner.
func (r *route) match(req *Request) Match {
	m := Match{Set: r.set, ID: r.id, Public: r.public, RolesAny: r.rolesAny}
	var missing string
	if m.Resource, missing = r.resource.resolve(req); missing != "" {
		return incomplete(missing)
	}
	if m.Action, missing = r.action.resolve(req); missing != "" {
		return incomplete(missing)
	}
	if m.Tenant, missing = r.tenant.resolve(req); missing != "" {
		return incomplete(missing)
	}
	if m.Path, missing = r.place(m.Tenant, req); missing != "" {
		return incomplete(missing)
	}
	if m.Owner, missing = r.owner.resolve(req); missing != "" {
		return incomplete(missing)
	}
	if n := len(r.pattern.params); n > 0 && !req.WithoutParams {
		m.Params = make(map[string]string, n)
		for _, p := range r.pattern.params {
			m.Params[p.name] = p.value(req.Segments, r.sameSlash)
		}
	}
	return m
}

func incomplete(missing string) Match { return Match{Error: Incomplete, Missing: missing} }

// place is `at` filled in: whole, or below the tenant that the request's stands
// for.
func (r *route) place(tenant string, req *Request) (path, missing string) {
	if !r.at.relative {
		return r.at.resolve(req)
	}
	if req.Alias != nil {
		if other, known := req.Alias(tenant); known {
			tenant = other
		}
	}
	if tenant == rootNode {
		return r.at.resolve(req)
	}
	return r.at.resolveBelow(tenant, req)
}
