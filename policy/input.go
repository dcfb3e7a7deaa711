package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy/route"
)

// Input is the document that a policy reads, as its caller supplies it: by path,
// with no map[string]any in between. An empty path asks for the whole document.
// The values are not changed after they were handed over.
type Input interface {
	Lookup(path ast.Ref) (ast.Value, bool)
}

// Subject is who asks, as identity established it. The zero value is nobody.
type Subject struct {
	ID     string
	Type   string     // user, m2m, api_key or external; "" when nothing said
	Claims ast.Object // of the session, in the normal form of the role model; nil: none
	Error  string     // ReasonBadCredential: a credential was there and is bad
}

// Value is input.subject; false for nobody, which is an absent subject.
func (s Subject) Value() (ast.Value, bool) {
	var members [][2]*ast.Term
	add := func(key string, v ast.Value) {
		members = append(members, [2]*ast.Term{ast.InternedTerm(key), ast.NewTerm(v)})
	}
	if s.ID != "" {
		add("id", ast.String(s.ID))
	}
	if s.Type != "" {
		add("type", ast.String(s.Type))
	}
	if s.Claims != nil {
		add("claims", s.Claims)
	}
	if s.Error != "" {
		add("error", ast.String(s.Error))
	}
	if len(members) == 0 {
		return nil, false
	}
	return ast.NewObject(members...), true
}

// Claim is a string member of the claims by name; false when there is none.
func (s Subject) Claim(name string) (string, bool) {
	if s.Claims == nil {
		return "", false
	}
	v, ok := member(s.Claims, name).(ast.String)
	return string(v), ok
}

// Document is the input document of every front end: who asks, the route, and
// beside them whatever else the front end knows of the request.
type Document struct {
	Subject Subject
	Route   route.Match
	// Rest makes the other members (attributes, parsed_path, …). It is called at most
	// once a decision, and only when a policy outside the role library may read them.
	// nil: there are none.
	Rest func() ast.Object
}

// Lookup implements [Input].
func (d Document) Lookup(path ast.Ref) (ast.Value, bool) {
	if len(path) == 0 {
		return d.whole(), true
	}
	head, ok := path[0].Value.(ast.String)
	if !ok {
		return nil, false
	}
	switch head {
	case "subject":
		v, ok := d.Subject.Value()
		return find(v, ok, path[1:])
	case "route":
		return find(RouteValue(d.Route), true, path[1:])
	default:
		if d.Rest == nil {
			return nil, false
		}
		return find(d.Rest(), true, path)
	}
}

func (d Document) whole() ast.Value {
	doc := ast.NewObject()
	if d.Rest != nil {
		d.Rest().Foreach(doc.Insert)
	}
	if v, ok := d.Subject.Value(); ok {
		doc.Insert(ast.InternedTerm("subject"), ast.NewTerm(v))
	}
	doc.Insert(ast.InternedTerm("route"), ast.NewTerm(RouteValue(d.Route)))
	return doc
}

func find(v ast.Value, ok bool, path ast.Ref) (ast.Value, bool) {
	if !ok || len(path) == 0 {
		return v, ok
	}
	found, err := v.Find(path)
	return found, err == nil
}

// RouteValue is input.route for a match: absent members are the empty ones.
func RouteValue(m route.Match) ast.Value {
	var members [][2]*ast.Term
	add := func(key string, v ast.Value) {
		members = append(members, [2]*ast.Term{ast.InternedTerm(key), ast.NewTerm(v)})
	}
	text := func(key, s string) {
		if s != "" {
			add(key, ast.String(s))
		}
	}
	text("error", m.Error)
	text("missing", m.Missing)
	text("set", m.Set)
	text("id", m.ID)
	if m.Public {
		add("public", ast.Boolean(true))
	}
	text("resource", m.Resource)
	text("action", m.Action)
	text("tenant", m.Tenant)
	text("path", m.Path)
	text("owner", m.Owner)
	if len(m.RolesAny) > 0 {
		roles := make([]*ast.Term, len(m.RolesAny))
		for i, r := range m.RolesAny {
			roles[i] = ast.StringTerm(r)
		}
		add("roles_any", ast.NewArray(roles...))
	}
	if len(m.Params) > 0 {
		params := ast.NewObject()
		for k, v := range m.Params {
			params.Insert(ast.StringTerm(k), ast.StringTerm(v))
		}
		add("params", params)
	}
	return ast.NewObject(members...)
}
