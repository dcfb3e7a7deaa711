package rbac

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rolegate/rolegate/policy"
)

// Shape holds a part of the document data.rbac, as one bundle gives it, against
// the schema: unknown names, wrong types, times that are no whole numbers. nil is
// a bundle without role data. What a name refers to may be in another bundle and
// is not looked at; nor are members' windows and kinds ([Members]) and conditions,
// which the role library checks.
func Shape(doc any) []Fault {
	if doc == nil {
		return nil
	}
	s := &shape{path: []string{"rbac"}}
	s.members(doc, known{
		"catalog": s.catalog, "issuers": s.issuers, "aliases": s.aliases, "roles": s.roles,
		"tenants": s.tenants, "members": s.nodes, "api_keys": s.apiKeys, "revoked": s.revoked,
	})
	return s.out.done()
}

// check looks at the value at the current path.
type check func(v any)

// known are the names that an object may have.
type known map[string]check

// shape walks down the document; path is where it stands.
type shape struct {
	out     collector
	path    []string
	subject string // that faults speak of: a role, a tenant, node:principal; "": the top name
}

func (s *shape) at(name string, f check, v any) {
	s.path = append(s.path, name)
	f(v)
	s.path = s.path[:len(s.path)-1]
}

// about has faults inside f speak of a subject.
func (s *shape) about(subject string, f func()) {
	before := s.subject
	s.subject = subject
	f()
	s.subject = before
}

func (s *shape) fault(code string, atKey bool, hint, format string, args ...any) {
	subject := s.subject
	if subject == "" {
		subject = s.path[min(1, len(s.path)-1)]
	}
	s.out.add(Fault{AtKey: atKey, Problem: policy.Problem{
		Code: code, Subject: subject, Path: s.path, Message: fmt.Sprintf(format, args...), Hint: hint,
	}})
}

// wrong says that v is not what is wanted, and what would be when that is plain.
func (s *shape) wrong(code, want string, v any) {
	hint := ""
	if text, ok := v.(string); ok && strings.Contains(want, "number") {
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			hint = "without quotes: " + text
		}
	}
	if v == nil {
		hint = "leave the key out"
	}
	s.fault(code, false, hint, "%s: want %s, got %s", s.path[len(s.path)-1], want, Kind(v))
}

// members checks an object of known names.
func (s *shape) members(v any, names known) {
	s.each(v, func(name string, v any) {
		f, ok := names[name]
		if !ok {
			list := make([]string, 0, len(names))
			for n := range names {
				list = append(list, n)
			}
			slices.Sort(list) // so that of two near ones always the same is named
			s.fault(CodeShape, true, DidYouMean(name, list), "unknown key %q", name)
			return
		}
		f(v)
	})
}

// each checks an object of free names, the path standing at each of them.
func (s *shape) each(v any, f func(name string, v any)) {
	o, ok := v.(map[string]any)
	if !ok {
		s.wrong(CodeShape, "an object", v)
		return
	}
	for name, v := range o {
		s.at(name, func(v any) { f(name, v) }, v)
	}
}

func (s *shape) list(v any, f check) {
	l, ok := v.([]any)
	if !ok {
		s.wrong(CodeShape, "a list", v)
		return
	}
	for i, v := range l {
		s.at(strconv.Itoa(i), f, v)
	}
}

func (s *shape) text(v any) {
	if _, ok := v.(string); !ok {
		s.wrong(CodeShape, "a string", v)
	}
}

func (s *shape) texts(v any) { s.list(v, s.text) }

func (s *shape) flag(v any) {
	if _, ok := v.(bool); !ok {
		s.wrong(CodeShape, "true or false", v)
	}
}

// mark is a value of a set that is written as an object.
func (s *shape) mark(v any) {
	if v != true {
		s.wrong(CodeShape, "true", v)
	}
}

func (s *shape) object(v any) { s.each(v, func(string, any) {}) }

func (s *shape) instant(v any) {
	if _, ok := integer(v); !ok {
		s.wrong(CodeShape, "a whole number of milliseconds", v)
	}
}

// oneOf checks a word of a fixed list.
func (s *shape) oneOf(code string, words ...string) check {
	return func(v any) {
		text, ok := v.(string)
		if !ok {
			s.wrong(code, "one of "+strings.Join(words, ", "), v)
		} else if !slices.Contains(words, text) {
			hint := DidYouMean(text, words)
			s.fault(code, false, hint, "%s: want one of %s, got %q", s.path[len(s.path)-1], strings.Join(words, ", "), text)
		}
	}
}

func (s *shape) catalog(v any) {
	s.each(v, func(_ string, actions any) {
		s.each(actions, func(_ string, declared any) {
			s.members(declared, known{
				"name": s.text, "description": s.text, "category": s.text,
				"class": s.oneOf(CodeShape, "assignable", "never", "always"), "managed": s.flag,
			})
		})
	})
}

func (s *shape) issuers(v any) {
	s.each(v, func(_ string, issuer any) {
		s.members(issuer, known{
			"authority": s.oneOf(CodeShape, "bundle", "token_roles", "token_permissions"), "tenant": s.text,
		})
	})
}

func (s *shape) aliases(v any) { s.each(v, func(_ string, tenant any) { s.text(tenant) }) }

func (s *shape) roles(v any) {
	s.each(v, func(id string, role any) {
		s.about(id, func() {
			s.members(role, known{
				"owner": s.text, "key": s.text, "name": s.text, "description": s.text,
				"type": s.oneOf(CodeType, "custom", "predefined"), "level": s.level,
				"visibility": s.oneOf(CodeVisibility, "ALL", "NONE", "INCLUDE", "OWNER"),
				"include":    s.marks, "windows": s.windows, "allow": s.statements, "deny": s.statements,
			})
		})
	})
}

func (s *shape) level(v any) {
	if n, ok := integer(v); !ok || n < 0 {
		s.wrong(CodeLevel, "a whole number from 0", v)
	}
}

func (s *shape) marks(v any) { s.each(v, func(_ string, v any) { s.mark(v) }) }

func (s *shape) statements(v any) {
	s.each(v, func(_ string, actions any) {
		s.each(actions, func(_ string, targets any) { s.marks(targets) })
	})
}

func (s *shape) windows(v any) {
	if why := badWindows(v); why != "" {
		s.fault(CodeWindow, false, "", "windows: %s", why)
	}
}

func (s *shape) tenants(v any) {
	s.each(v, func(key string, tenant any) {
		s.about(key, func() {
			s.members(tenant, known{
				"base_roles": s.texts, "policy": s.policy, "implicit": s.implicit,
				// The conditions themselves are the role library's to read.
				"conditional_roles": s.object,
			})
		})
	})
}

func (s *shape) policy(v any) {
	s.members(v, known{
		"override": s.flag, "signup_roles": s.texts, "first_user_roles": s.texts, "idp_default_roles": s.texts,
	})
}

func (s *shape) implicit(v any) {
	s.each(v, func(_ string, rules any) {
		s.list(rules, func(rule any) {
			s.members(rule, known{"role": s.text, "all": s.texts, "enabled": s.flag})
			if o, ok := rule.(map[string]any); ok && o["role"] == nil {
				s.fault(CodeShape, false, "", "a rule without a role")
			}
		})
	})
}

// nodes are the members' records by node and principal.
func (s *shape) nodes(v any) {
	s.each(v, func(node string, records any) {
		s.about(node, func() {
			s.each(records, func(principal string, record any) {
				s.about(node+":"+principal, func() { s.member(record) })
			})
		})
	})
}

// member does not go through known: it is called a million times.
func (s *shape) member(v any) {
	s.each(v, func(name string, v any) {
		switch name {
		case "kind", "grants": // Members looks at them
		case "email":
			s.text(v)
		case "attrs":
			s.object(v)
		case "sso":
			s.each(v, func(_ string, connection any) {
				s.members(connection, known{"groups": s.texts, "roles": s.texts})
			})
		default:
			hint := DidYouMean(name, []string{"attrs", "email", "grants", "kind", "sso"})
			s.fault(CodeShape, true, hint, "unknown key %q", name)
		}
	})
}

func (s *shape) apiKeys(v any) {
	s.each(v, func(sum string, key any) {
		if !isSHA256(sum) {
			s.fault(CodeShape, true, "", "an API key is named by its SHA-256 in 64 lower-case hexadecimal digits")
		}
		s.members(key, known{
			"id": s.text, "kind": s.oneOf(CodeShape, kinds()...), "tenant": s.text, "expires": s.instant,
		})
	})
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

func (s *shape) revoked(v any) {
	s.members(v, known{
		"tokens":     func(v any) { s.each(v, func(_ string, until any) { s.instant(until) }) },
		"principals": s.until(2), "grants": s.until(3),
	})
}

// until checks instants that lie some levels down.
func (s *shape) until(levels int) check {
	if levels == 0 {
		return s.instant
	}
	return func(v any) { s.each(v, func(_ string, v any) { s.until(levels - 1)(v) }) }
}

// badWindows says why v is not a list of pairs of instants in order, "" when it is.
func badWindows(v any) string {
	list, ok := v.([]any)
	if !ok {
		return "want a list of [start, end], got " + Kind(v)
	}
	for i, w := range list {
		pair, ok := w.([]any)
		if !ok || len(pair) != 2 {
			return fmt.Sprintf("number %d is not a pair of instants", i+1)
		}
		start, startOK := integer(pair[0])
		end, endOK := integer(pair[1])
		switch {
		case !startOK:
			return fmt.Sprintf("number %d starts at %s, want whole milliseconds", i+1, Kind(pair[0]))
		case !endOK:
			return fmt.Sprintf("number %d ends at %s, want whole milliseconds", i+1, Kind(pair[1]))
		case start >= end:
			return fmt.Sprintf("number %d ends at %d, not after its start %d", i+1, end, start)
		}
	}
	return ""
}

// kinds are those of principals.
func kinds() []string { return []string{"user", "m2m", "api_key", "external"} }

// isKind is [slices.Contains] of kinds without its list.
func isKind(v any) bool {
	s, ok := v.(string)
	return ok && (s == "user" || s == "m2m" || s == "api_key" || s == "external")
}
