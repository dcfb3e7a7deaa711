package bundles

import (
	"math/rand/v2"
	"strings"

	"pgregory.net/rapid"
)

// The worlds below are small, so that what is asked often meets what is there,
// and every field is now and then missing, or of a type it should not be.

// drawer draws JSON values. It draws from a seed and not from rapid, which prefers
// small numbers and so would rarely get past the gates.
type drawer struct {
	rand *rand.Rand
	// hostile is the chance in a hundred that a value is anything at all.
	hostile int
}

func draw(t *rapid.T, hostile int) drawer {
	seed := rapid.Uint64().Draw(t, "seed")
	return drawer{rand: rand.New(rand.NewPCG(seed, 0)), hostile: hostile}
}

func (d drawer) chance(percent int) bool {
	return d.rand.IntN(100) < percent
}

func pick[T any](d drawer, values []T) T { return values[d.rand.IntN(len(values))] }

func (d drawer) of(values ...any) any {
	if d.chance(d.hostile) {
		return d.anything(2)
	}
	return pick(d, values)
}

func (d drawer) word(words ...string) string {
	return pick(d, words)
}

func (d drawer) anything(depth int) any {
	switch n := d.rand.IntN(9 + 1); {
	case n == 0:
		return nil
	case n == 1:
		return d.chance(50)
	case n == 2:
		return pick(d, []any{0, -1, 1.5, 1000, 2000, 1e300})
	case n <= 5 || depth == 0:
		return d.word("", "@root", "a", "a.b", "r1", "user", "*", ".", "x|y", "é\u2028", "u", "ALL")
	case n <= 7:
		list := []any{}
		for range d.rand.IntN(2 + 1) {
			list = append(list, d.anything(depth-1))
		}
		return list
	default:
		object := map[string]any{}
		for range d.rand.IntN(2 + 1) {
			object[d.word("a", "u", "r1", "role", "op", "okta", ".", "doc")] = d.anything(depth - 1)
		}
		return object
	}
}

// maybe sets a field some of the time.
func (d drawer) maybe(object map[string]any, percent int, key string, value func() any) {
	if d.chance(d.hostile) {
		object[key] = d.anything(2)
	} else if d.chance(percent) {
		object[key] = value()
	}
}

func (d drawer) list(most int, value func() any) []any {
	list := []any{}
	for range d.rand.IntN(most + 1) {
		list = append(list, value())
	}
	return list
}

func (d drawer) node() string { return d.word("@root", "a", "a.b", "a.b.c", "b") }

func (d drawer) role() string {
	return d.word("r1", "r2", "r3", "r4", "a.t1", "a.b.t2", "a.t3", "gone")
}

func (d drawer) instant() any { return d.of(0, 900, 999, 1000, 1001, 2000) }

func (d drawer) windows() any {
	return d.list(2, func() any { return []any{d.instant(), d.instant()} })
}

func (d drawer) statements() any {
	resources := map[string]any{}
	for range d.rand.IntN(2 + 1) {
		actions := map[string]any{}
		for range 1 + d.rand.IntN(2) {
			targets := map[string]any{}
			for range 1 + d.rand.IntN(2) {
				targets[d.word(".", ".", "$self", "a", "a.b", "@root", "b")] = d.of(true)
			}
			actions[d.word("read", "write", "*")] = targets
		}
		resources[d.word("doc", "-", "*")] = actions
	}
	return resources
}

func (d drawer) roles() map[string]any {
	roles := map[string]any{}
	for _, id := range []string{"r1", "r2", "r3", "r4", "a.t1", "a.b.t2", "a.t3"} {
		if !d.chance(90) {
			continue
		}
		owner, key := "@root", id
		if i := strings.LastIndex(id, "."); i >= 0 {
			owner, key = id[:i], id[i+1:]
		}
		role := map[string]any{"owner": d.of(owner), "key": d.of(key)}
		d.maybe(role, 80, "allow", d.statements)
		d.maybe(role, 30, "deny", d.statements)
		d.maybe(role, 50, "level", func() any { return d.of(0, 1, 2) })
		if owner == "@root" {
			d.maybe(role, 60, "visibility", func() any { return d.of("ALL", "ALL", "ALL", "NONE", "INCLUDE") })
			d.maybe(role, 30, "include", func() any { return map[string]any{d.node(): d.of(true)} })
			d.maybe(role, 30, "type", func() any { return d.of("custom", "predefined") })
		}
		d.maybe(role, 20, "windows", d.windows)
		roles[id] = role
	}
	return roles
}

func (d drawer) condition(depth int) any {
	if depth > 0 && d.chance(50) {
		switch d.word("and", "or", "not") {
		case "and":
			return map[string]any{"op": "and", "of": d.list(3, func() any { return d.condition(depth - 1) })}
		case "or":
			return map[string]any{"op": "or", "of": d.list(3, func() any { return d.condition(depth - 1) })}
		default:
			return map[string]any{"op": "not", "of": d.condition(depth - 1)}
		}
	}
	if d.chance(3) {
		return d.anything(2)
	}
	leaf := map[string]any{"op": d.word("eq", "co", "sw", "lt", "le", "gt", "ge", "pr", "true", "false", "eq", "eq")}
	d.maybe(leaf, 97, "p", func() any { return d.of("/x", "/x", "/y", "/o/x", "/~0", "/~1", "/", "x") })
	d.maybe(leaf, 97, "v", func() any { return d.of("s", "S", "sales", 1, 2, true, false) })
	return leaf
}

func (d drawer) fact() string {
	return d.word("email:acme.com", "conn:okta", "group:okta|eng", "extrole:adm", "extrole:okta|adm", "claim:dep=hr")
}

func (d drawer) tenants() map[string]any {
	tenants := map[string]any{}
	for _, node := range []string{"@root", "a", "a.b", "a.b.c", "b"} {
		if !d.chance(95) {
			continue
		}
		tenant := map[string]any{}
		d.maybe(tenant, 30, "base_roles", func() any { return d.list(2, func() any { return d.role() }) })
		d.maybe(tenant, 40, "policy", func() any {
			policy := map[string]any{}
			d.maybe(policy, 50, "override", func() any { return d.of(true, false) })
			for _, list := range []string{"signup_roles", "first_user_roles", "idp_default_roles"} {
				d.maybe(policy, 60, list, func() any { return d.list(2, func() any { return d.role() }) })
			}
			return policy
		})
		d.maybe(tenant, 50, "implicit", func() any {
			implicit := map[string]any{}
			for range d.rand.IntN(3 + 1) {
				implicit[d.fact()] = d.list(2, func() any {
					rule := map[string]any{"role": d.of(d.role())}
					d.maybe(rule, 30, "all", func() any { return d.list(2, func() any { return d.fact() }) })
					d.maybe(rule, 20, "enabled", func() any { return d.of(true, false) })
					return rule
				})
			}
			return implicit
		})
		d.maybe(tenant, 30, "conditional_roles", func() any {
			return map[string]any{d.role(): d.condition(2), d.role(): d.condition(4)}
		})
		tenants[node] = tenant
	}
	return tenants
}

func (d drawer) attributes() any {
	attrs := map[string]any{}
	for _, key := range []string{"x", "y", "~", "/", "dep"} {
		d.maybe(attrs, 50, key, func() any { return d.of("s", "Sales", "hr", 1, 2, true, false, nil, []any{"q", "sales", 2}, []any{}) })
	}
	d.maybe(attrs, 30, "o", func() any { return map[string]any{"x": d.of("s", 1)} })
	return attrs
}

func (d drawer) sessions() any {
	sessions := map[string]any{}
	for _, name := range []string{"okta", "kc"} {
		d.maybe(sessions, 50, name, func() any {
			connection := map[string]any{}
			d.maybe(connection, 50, "groups", func() any { return d.list(2, func() any { return d.of("eng", "all") }) })
			d.maybe(connection, 50, "roles", func() any { return d.list(2, func() any { return d.of("adm", "okta|adm") }) })
			return connection
		})
	}
	return sessions
}

func (d drawer) members() map[string]any {
	members := map[string]any{}
	for _, node := range []string{"@root", "a", "a.b", "b"} {
		records := map[string]any{}
		for _, id := range []string{"u", "v"} {
			d.maybe(records, 70, id, func() any {
				record := map[string]any{}
				d.maybe(record, 50, "kind", func() any { return d.of("user", "user", "m2m", "external") })
				d.maybe(record, 50, "email", func() any { return d.of("u@acme.com", "u@ACME.com", "u") })
				d.maybe(record, 50, "attrs", d.attributes)
				d.maybe(record, 50, "sso", d.sessions)
				d.maybe(record, 80, "grants", func() any {
					grants := map[string]any{}
					for range d.rand.IntN(3 + 1) {
						grants[d.role()] = d.of([]any{}, d.windows())
					}
					return grants
				})
				return record
			})
		}
		members[node] = records
	}
	return members
}

// rbac draws role data.
func (d drawer) rbac() map[string]any {
	data := map[string]any{}
	d.maybe(data, 70, "catalog", func() any {
		catalog := map[string]any{}
		for _, resource := range []string{"doc", "-"} {
			actions := map[string]any{}
			for _, action := range []string{"read", "write"} {
				d.maybe(actions, 80, action, func() any {
					declaration := map[string]any{}
					d.maybe(declaration, 40, "class", func() any { return d.of("assignable", "never", "always") })
					d.maybe(declaration, 40, "managed", func() any { return d.of(true, false) })
					return declaration
				})
			}
			catalog[resource] = actions
		}
		return catalog
	})
	d.maybe(data, 95, "issuers", func() any {
		return map[string]any{
			"bundle": map[string]any{}, "roles": map[string]any{"authority": "token_roles"},
			"permissions": map[string]any{"authority": "token_permissions", "tenant": d.of("@root", "a")},
			"a":           map[string]any{"authority": d.of("bundle", "token_roles", "else"), "tenant": d.of("a", "a.b")},
		}
	})
	d.maybe(data, 50, "aliases", func() any { return map[string]any{"alias": d.of("a", "b"), "b": d.of("a.b", "alias")} })
	d.maybe(data, 98, "roles", func() any { return d.roles() })
	d.maybe(data, 98, "tenants", func() any { return d.tenants() })
	d.maybe(data, 95, "members", func() any { return d.members() })
	d.maybe(data, 30, "revoked", func() any {
		revoked := map[string]any{}
		d.maybe(revoked, 30, "tokens", func() any { return map[string]any{"j": d.instant()} })
		d.maybe(revoked, 30, "principals", func() any { return map[string]any{d.node(): map[string]any{"u": d.instant()}} })
		d.maybe(revoked, 60, "grants", func() any {
			return map[string]any{d.node(): map[string]any{"u": map[string]any{d.role(): d.instant()}}}
		})
		return revoked
	})
	return data
}

func (d drawer) claims() any {
	claims := map[string]any{}
	d.maybe(claims, 50, "iss", func() any {
		return d.of("bundle", "bundle", "roles", "roles", "permissions", "permissions", "a", nil, "evil")
	})
	d.maybe(claims, 40, "exp", func() any { return d.of(1000, 1001, 1002, 5000, 9000, nil) })
	d.maybe(claims, 20, "nbf", func() any { return d.of(0, 999, 1000, 1000, 1001, nil) })
	d.maybe(claims, 30, "jti", func() any { return d.of("j", "k") })
	d.maybe(claims, 30, "tenant", func() any { return d.of("@root", "a", "a", "a.b", "alias", "b", nil) })
	d.maybe(claims, 40, "email", func() any { return d.of("x@acme.com", "x@other.com", "a@b@acme.com", nil) })
	d.maybe(claims, 30, "email_verified", func() any { return d.of(true, false, nil) })
	d.maybe(claims, 60, "sso", d.sessions)
	d.maybe(claims, 60, "roles", func() any {
		return d.list(3, func() any { return d.of("r1", "r2", "t1", "t2", "b.t2", "a.t1", "a.b.t2", "t3", "zz") })
	})
	d.maybe(claims, 60, "permissions", func() any {
		return d.list(2, func() any { return d.of("doc:read", "read", "-:write", "doc:*") })
	})
	d.maybe(claims, 40, "attrs", d.attributes)
	return claims
}

// request draws a question in the library's form.
func (d drawer) request() map[string]any {
	subject, route := map[string]any{}, map[string]any{}
	d.maybe(subject, 97, "id", func() any { return d.of("u", "u", "u", "u", "v", "v", "w") })
	d.maybe(subject, 50, "type", func() any { return d.of("user", "m2m", "external", "api_key", nil) })
	d.maybe(subject, 60, "claims", d.claims)
	d.maybe(subject, 1, "error", func() any { return d.of("bad_credential") })
	d.maybe(route, 98, "tenant", func() any {
		return d.of("a", "a", "a", "a", "a.b", "a.b", "a.b", "a.b", "a.b.c", "@root", "alias", "zz")
	})
	d.maybe(route, 30, "path", func() any {
		return d.of("a", "a.b", "a.b", "a.b.c.d", "a.b.c", "a.b.x", "a.é.x", "a b", "a..b", "@root", "b", nil)
	})
	d.maybe(route, 80, "resource", func() any { return d.of("doc", "doc", "doc", "doc", "-", "zz", nil) })
	d.maybe(route, 90, "action", func() any { return d.of("read", "read", "read", "write", "write", "write", "write", "burn", nil) })
	d.maybe(route, 30, "owner", func() any { return d.of("u", "v", nil) })
	d.maybe(route, 30, "roles_any", func() any { return d.list(2, func() any { return d.of("r1", "r2", "t1", "a.t1") }) })
	d.maybe(route, 1, "public", func() any { return d.of(true, false) })
	d.maybe(route, 1, "error", func() any { return d.of("no_route") })
	return map[string]any{"subject": subject, "route": route}
}
