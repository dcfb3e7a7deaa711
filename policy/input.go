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
	return objectOf(s.member, "id", "type", "claims", "error")
}

// member is one member of input.subject; nil when it is absent.
func (s Subject) member(key string) ast.Value {
	switch key {
	case "id":
		return text(s.ID)
	case "type":
		return text(s.Type)
	case "error":
		return text(s.Error)
	case "claims":
		if s.Claims != nil {
			return s.Claims
		}
	}
	return nil
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
	// Rest answers the other members (attributes, parsed_path, …), the same object at
	// each call: it is called for every path that a policy reads there, and never when
	// none does. nil: there are none.
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
		return below(path[1:], d.Subject.member, d.Subject.Value)
	case "route":
		return below(path[1:], routeMember(d.Route), func() (ast.Value, bool) { return RouteValue(d.Route), true })
	default:
		if d.Rest == nil {
			return nil, false
		}
		return find(d.Rest(), path)
	}
}

// below reads a path in an object that is made only when the whole of it is asked for.
func below(path ast.Ref, member func(string) ast.Value, whole func() (ast.Value, bool)) (ast.Value, bool) {
	if len(path) == 0 {
		return whole()
	}
	key, ok := path[0].Value.(ast.String)
	if !ok {
		return nil, false
	}
	v := member(string(key))
	if v == nil {
		return nil, false
	}
	return find(v, path[1:])
}

func find(v ast.Value, path ast.Ref) (ast.Value, bool) {
	if len(path) == 0 {
		return v, true
	}
	found, err := v.Find(path)
	return found, err == nil
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

// RouteValue is input.route for a match: absent members are the empty ones.
func RouteValue(m route.Match) ast.Value {
	v, ok := objectOf(routeMember(m), "error", "missing", "set", "id", "public", "resource", "action",
		"tenant", "path", "owner", "roles_any", "params")
	if !ok {
		return ast.NewObject()
	}
	return v
}

// routeMember answers one member of input.route; nil when it is absent.
func routeMember(m route.Match) func(key string) ast.Value {
	return func(key string) ast.Value {
		switch key {
		case "error":
			return text(m.Error)
		case "missing":
			return text(m.Missing)
		case "set":
			return text(m.Set)
		case "id":
			return text(m.ID)
		case "public":
			if m.Public {
				return ast.Boolean(true)
			}
		case "resource":
			return text(m.Resource)
		case "action":
			return text(m.Action)
		case "tenant":
			return text(m.Tenant)
		case "path":
			return text(m.Path)
		case "owner":
			return text(m.Owner)
		case "roles_any":
			return roles(m.RolesAny)
		case "params":
			return params(m.Params)
		}
		return nil
	}
}

func roles(names []string) ast.Value {
	if len(names) == 0 {
		return nil
	}
	terms := make([]*ast.Term, len(names))
	for i, r := range names {
		terms[i] = ast.StringTerm(r)
	}
	return ast.NewArray(terms...)
}

func params(m map[string]string) ast.Value {
	if len(m) == 0 {
		return nil
	}
	o := ast.NewObject()
	for k, v := range m {
		o.Insert(ast.StringTerm(k), ast.StringTerm(v))
	}
	return o
}

// text is a string that is absent when it is empty.
func text(s string) ast.Value {
	if s == "" {
		return nil
	}
	return ast.String(s)
}

// objectOf makes the object of those members that are there; false when none is.
func objectOf(member func(string) ast.Value, keys ...string) (ast.Value, bool) {
	var members [][2]*ast.Term
	for _, k := range keys {
		if v := member(k); v != nil {
			members = append(members, [2]*ast.Term{ast.InternedTerm(k), ast.NewTerm(v)})
		}
	}
	if members == nil {
		return nil, false
	}
	return ast.NewObject(members...), true
}
