package identity

import (
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// mapping is [Claims], compiled. It is immutable.
type mapping struct {
	id            pointer
	kind          kindMapping
	tenant        pointer
	email         pointer
	emailVerified pointer
	roles         pointer
	rolesAfter    string
	permissions   pointer
	sso           ssoMapping
	attrs         []attrMapping // sorted by name, so that one configuration makes one document
}

type kindMapping struct {
	at       pointer
	values   map[string]string
	fallback string
}

type ssoMapping struct {
	at          pointer
	connection  string
	connections []pointer
	groups      pointer
	roles       pointer
}

type attrMapping struct {
	name string
	at   pointer
}

// subject makes the subject of a verified payload, beginning with the claims that
// are not mapped. The error is a [token.Error].
func (m *mapping) subject(payload map[string]any, claims *members) (policy.Subject, error) {
	id, err := m.readID(payload)
	if err != nil {
		return policy.Subject{}, err
	}
	kind, err := m.kind.read(payload)
	if err != nil {
		return policy.Subject{}, err
	}
	for _, read := range [...]func(map[string]any, *members) error{
		m.readTexts, m.readEmailVerified, m.readLists, m.sso.read, m.readAttrs,
	} {
		if err := read(payload, claims); err != nil {
			return policy.Subject{}, err
		}
	}
	return policy.Subject{ID: id, Type: kind, Claims: claims.object()}, nil
}

func (m *mapping) readID(payload map[string]any) (string, error) {
	v, ok := m.id.one(payload)
	if !ok {
		return "", token.ErrBadSubject
	}
	// Control characters would travel on, into headers and logs.
	id, _ := v.(string)
	if id == "" || strings.ContainsFunc(id, unicode.IsControl) {
		return "", token.ErrBadSubject
	}
	return id, nil
}

func (k *kindMapping) read(payload map[string]any) (string, error) {
	v, ok := k.at.one(payload)
	if !ok {
		return "", token.ErrBadClaim
	}
	if v == nil {
		return k.fallback, nil
	}
	word, ok := v.(string)
	if !ok {
		return "", token.ErrBadClaim
	}
	if kind, ok := k.values[word]; ok {
		return kind, nil
	}
	if kind, ok := k.values[everyElement]; ok {
		return kind, nil
	}
	return "", token.ErrBadClaim
}

func (m *mapping) readTexts(payload map[string]any, claims *members) error {
	for _, text := range [...]struct {
		name string
		at   pointer
	}{{"tenant", m.tenant}, {"email", m.email}} {
		v, ok := text.at.one(payload)
		if !ok {
			return token.ErrBadClaim
		}
		switch v := v.(type) {
		case nil:
		case string:
			claims.add(text.name, ast.String(v))
		default:
			return token.ErrBadClaim
		}
	}
	return nil
}

// readEmailVerified also takes the words, which some providers write. Anything else
// is no yes, and so is refused rather than left out: absent means verified (N14).
func (m *mapping) readEmailVerified(payload map[string]any, claims *members) error {
	v, ok := m.emailVerified.one(payload)
	if !ok {
		return token.ErrBadClaim
	}
	switch v {
	case nil:
	case true, "true":
		claims.add("email_verified", ast.Boolean(true))
	case false, "false":
		claims.add("email_verified", ast.Boolean(false))
	default:
		return token.ErrBadClaim
	}
	return nil
}

func (m *mapping) readLists(payload map[string]any, claims *members) error {
	roles, there, err := stringsAt(m.roles, payload)
	if err != nil {
		return err
	}
	if m.rolesAfter != "" {
		for i, role := range roles {
			if at := strings.LastIndex(role, m.rolesAfter); at >= 0 {
				roles[i] = role[at+len(m.rolesAfter):]
			}
		}
	}
	if there {
		claims.add("roles", list(roles))
	}
	permissions, there, err := stringsAt(m.permissions, payload)
	if err != nil {
		return err
	}
	if v, one := m.permissions.one(payload); one {
		if scope, ok := v.(string); ok {
			permissions = strings.Fields(scope)
		}
	}
	if there {
		claims.add("permissions", list(permissions))
	}
	return nil
}

// read writes the session's connections in the normal form, each with its groups
// and roles.
func (s *ssoMapping) read(payload map[string]any, claims *members) error {
	if s.at != nil {
		return s.readNormal(payload, claims)
	}
	var names []string
	if s.connection != "" {
		names = append(names, s.connection)
	}
	for _, at := range s.connections {
		found, _, err := stringsAt(at, payload)
		if err != nil {
			return err
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		return nil
	}
	var each members
	if err := each.addLists(payload, s.groups, s.roles); err != nil {
		return err
	}
	sso := ast.NewObject()
	for _, name := range names {
		sso.Insert(ast.StringTerm(name), ast.NewTerm(each.object()))
	}
	claims.add("sso", sso)
	return nil
}

func (s *ssoMapping) readNormal(payload map[string]any, claims *members) error {
	v, ok := s.at.one(payload)
	if !ok {
		return token.ErrBadClaim
	}
	if v == nil {
		return nil
	}
	connections, ok := v.(map[string]any)
	if !ok {
		return token.ErrBadClaim
	}
	sso := ast.NewObject()
	for name, v := range connections {
		if v == nil {
			continue
		}
		if _, ok := v.(map[string]any); !ok {
			return token.ErrBadClaim
		}
		var each members
		if err := each.addLists(v, pointer{"groups"}, pointer{"roles"}); err != nil {
			return err
		}
		sso.Insert(ast.StringTerm(name), ast.NewTerm(each.object()))
	}
	claims.add("sso", sso)
	return nil
}

func (m *mapping) readAttrs(payload map[string]any, claims *members) error {
	if len(m.attrs) == 0 {
		return nil
	}
	var attrs members
	for _, a := range m.attrs {
		v, ok := a.at.one(payload)
		if !ok {
			return token.ErrBadClaim
		}
		if v == nil {
			continue
		}
		value, err := ast.InterfaceToValue(v)
		if err != nil {
			return token.ErrBadClaim
		}
		attrs.add(a.name, value)
	}
	claims.add("attrs", attrs.object())
	return nil
}

// stringsAt is the strings that p points to: elements of lists, or strings that
// stand alone. there is false where p points to nothing.
func stringsAt(p pointer, v any) (found []string, there bool, err error) {
	p.find(v, func(value any) {
		there = true
		elements, ok := value.([]any)
		if !ok {
			elements = []any{value}
		}
		for _, element := range elements {
			s, ok := element.(string)
			if !ok {
				err = token.ErrBadClaim
				return
			}
			found = append(found, s)
		}
	})
	return found, there, err
}

// members collects the members of an object.
type members [][2]*ast.Term

func (m *members) add(name string, v ast.Value) {
	*m = append(*m, [2]*ast.Term{ast.InternedTerm(name), ast.NewTerm(v)})
}

// addLists adds groups and roles where there are any.
func (m *members) addLists(v any, groups, roles pointer) error {
	for _, part := range [...]struct {
		name string
		at   pointer
	}{{"groups", groups}, {"roles", roles}} {
		found, there, err := stringsAt(part.at, v)
		if err != nil {
			return err
		}
		if there {
			m.add(part.name, list(found))
		}
	}
	return nil
}

func (m *members) object() ast.Object {
	return ast.NewObject(*m...)
}

func list(texts []string) *ast.Array {
	terms := make([]*ast.Term, len(texts))
	for i, s := range texts {
		terms[i] = ast.StringTerm(s)
	}
	return ast.NewArray(terms...)
}
