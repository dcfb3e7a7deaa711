package policy

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy/footprint"
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

	ready *readyClaims // of these or of other claims; nil: of none
}

// readyClaims is what is made of claims once.
type readyClaims struct {
	of     ast.Object
	key    string // the part of a key that they come to
	period period
}

// Ready is s with all that is made of its claims at every request made now: for whoever
// keeps a subject over many of them. The claims are not changed afterwards.
func (s Subject) Ready() Subject {
	if s.Claims != nil {
		s.ready = &readyClaims{
			of: s.Claims, key: string(footprint.AppendValue(nil, s.Claims)), period: periodOf(s.Claims),
		}
	}
	return s
}

// made is what was made of the claims; nil: nobody did.
func (s *Subject) made() *readyClaims {
	if s.ready != nil && s.ready.of == s.Claims {
		return s.ready
	}
	return nil
}

// appendClaims appends the part of a key that the claims are.
func (s *Subject) appendClaims(b []byte) []byte {
	if s.Claims == nil {
		return footprint.AppendAbsent(b)
	}
	if ready := s.made(); ready != nil {
		return append(b, ready.key...)
	}
	return footprint.AppendValue(b, s.Claims)
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

// AppendTo implements [footprint.Writer] for what is below subject and route.
func (d *Document) AppendTo(b []byte, path ast.Ref) (_ []byte, ok bool) {
	if len(path) != 2 {
		return b, false
	}
	head, _ := path[0].Value.(ast.String)
	key, _ := path[1].Value.(ast.String)
	switch head {
	case "subject":
		return d.Subject.appendMember(b, string(key)), true
	case "route":
		return appendRouteMember(b, &d.Route, string(key))
	default:
		return b, false
	}
}

// appendMember writes what [Subject.member] answers.
func (s *Subject) appendMember(b []byte, key string) []byte {
	switch key {
	case "id":
		return appendText(b, s.ID)
	case "type":
		return appendText(b, s.Type)
	case "error":
		return appendText(b, s.Error)
	case "claims":
		return s.appendClaims(b)
	default:
		return footprint.AppendAbsent(b)
	}
}

// appendRouteMember writes what [routeMember] answers. The parameters are a map: for
// them the value has to be made.
func appendRouteMember(b []byte, m *route.Match, key string) (_ []byte, ok bool) {
	switch key {
	case "error":
		return appendText(b, m.Error), true
	case "missing":
		return appendText(b, m.Missing), true
	case "set":
		return appendText(b, m.Set), true
	case "id":
		return appendText(b, m.ID), true
	case "public":
		if m.Public {
			return footprint.AppendTrue(b), true
		}
		return footprint.AppendAbsent(b), true
	case "resource":
		return appendText(b, m.Resource), true
	case "action":
		return appendText(b, m.Action), true
	case "tenant":
		return appendText(b, m.Tenant), true
	case "path":
		return appendText(b, m.Path), true
	case "owner":
		return appendText(b, m.Owner), true
	case "roles_any":
		if len(m.RolesAny) == 0 {
			return footprint.AppendAbsent(b), true
		}
		return footprint.AppendStrings(b, m.RolesAny), true
	case "params":
		return b, false
	default:
		return footprint.AppendAbsent(b), true
	}
}

// appendText writes what [text] answers.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return footprint.AppendAbsent(b)
	}
	return footprint.AppendString(b, s)
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

// text is a string that is absent when it is empty. It is a copy: what a decision is
// made of may be remembered with it, and s may be a part of a request's whole message.
func text(s string) ast.Value {
	if s == "" {
		return nil
	}
	return ast.String(strings.Clone(s))
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
