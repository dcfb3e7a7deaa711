package importer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy/route"
)

// Root is the node above all tenants.
const Root = rbac.Root

// Builder gathers a bundle. It is for one goroutine.
type Builder struct {
	Count Count

	problems problems
	leaveOut bool
	unknowns map[unknownKey]*Unknown

	roles   map[string]*Role
	tenants map[string]*Tenant
	catalog map[string]map[string]*Permission
	issuers map[string]Issuer
	aliases map[string]string
	keys    map[string]APIKey

	members func(Member) // to the sorter
}

type unknownKey struct{ kind, field string }

// Count is the summary of an import.
type Count struct {
	Tenants, Roles, Permissions, Members, Grants, Rules Tally
}

// Tally counts one sort of thing.
type Tally struct {
	Read      int // in the export
	Mapped    int // in the bundle
	Rederived int // given again by rules at each request, so not recorded
	LeftOut   int // without a place in the bundle; there are warnings
}

// Role is a role of the bundle.
type Role struct {
	Owner, Key  string
	Name        string
	Description string
	Predefined  bool
	Level       int64
	Visibility  string   // "" is ALL for root's roles
	Include     []string // nodes, with INCLUDE
	Windows     []Window
	Allow, Deny []Statement

	At   Place
	Said map[Statement]Place // where each statement stands; one that is not in it stands at At
}

// Window is [start, end) in milliseconds.
type Window [2]int64

// Statement names what a role allows or denies. Target "" is ".", wherever held.
type Statement struct{ Resource, Action, Target string }

// Permission is what is declared of one.
type Permission struct {
	Name, Description, Category string
	Class                       string // "", never or always
	Managed                     bool

	At Place
}

// Tenant is a node and its rules.
type Tenant struct {
	BaseRoles   []string
	Override    bool // of the default roles below
	SignupRoles []string
	FirstRoles  []string // first_user_roles
	IDPRoles    []string // idp_default_roles
	Implicit    map[string][]Rule
	Conditional map[string]any // role → condition, as data.rbac has it

	At Place
}

// Rule gives a role to whom a fact holds of.
type Rule struct {
	Role     string
	All      []string // facts that must hold too
	Disabled bool
}

// Issuer is what the tokens of one issuer are believed about.
type Issuer struct{ Authority, Tenant string }

// APIKey is who a key is. Expires 0 is never.
type APIKey struct {
	ID, Kind, Tenant string
	Expires          int64
}

// Member is a record of a principal, or what one record of the export says of it.
// Before [Vendor.Place], Node and the grants' roles are as the export names them.
type Member struct {
	ID     string            `json:"i"`
	Node   string            `json:"n,omitempty"`
	Kind   string            `json:"k,omitempty"` // user, m2m, api_key, external; "" is user
	Email  string            `json:"e,omitempty"`
	Attrs  map[string]any    `json:"a,omitempty"`
	SSO    map[string]SSO    `json:"s,omitempty"` // stored registrations, by connection
	Grants []Grant           `json:"g,omitempty"`
	Extra  map[string]string `json:"x,omitempty"` // for the vendor's Place; not written
	From   string            `json:"r,omitempty"` // kind of the record it comes from
	At     Place             `json:"p"`
}

// SSO is one registration with an identity provider.
type SSO struct {
	Groups []string `json:"groups,omitempty"`
	Roles  []string `json:"roles,omitempty"`
}

// Grant is a role that is recorded. No windows is always.
type Grant struct {
	Role    string   `json:"r"`
	Windows []Window `json:"w,omitempty"`
}

// Fault says what makes the export unusable: nothing will be written.
func (b *Builder) Fault(at Place, code, subject, hint, format string, args ...any) {
	b.problems.add(at, false, code, subject, hint, fmt.Sprintf(format, args...))
}

// Warn says what is not mapped.
func (b *Builder) Warn(at Place, code, subject, hint, format string, args ...any) {
	b.problems.add(at, true, code, subject, hint, fmt.Sprintf(format, args...))
}

// Dangling says that something refers to a name that nothing bears. It is a fault,
// unless the user has such references left out.
func (b *Builder) Dangling(at Place, subject, hint, format string, args ...any) {
	b.problems.add(at, b.leaveOut, CodeDangling, subject, hint, fmt.Sprintf(format, args...))
}

// Segment writes a vendor's id as one segment of a tenant's path, as routes write
// the values that they put there.
func Segment(id string) string { return route.Escape(id) }

// Role takes a role in and answers its id. A second one of the same id is a fault.
func (b *Builder) Role(r Role) (id string) {
	id = r.Key
	if r.Owner != Root {
		id = r.Owner + "." + r.Key
	}
	if before, ok := b.roles[id]; ok {
		b.Fault(r.At, CodeDuplicate, id, fmt.Sprintf("the first one is at %s", before.At), "there is a role %q already", id)
		return id
	}
	b.roles[id] = &r
	b.Count.Roles.Mapped++
	return id
}

// CheckStatements says which statements name what the catalog does not declare: a
// resource or an action of no permission. They are left out.
func (b *Builder) CheckStatements() {
	for _, id := range slices.Sorted(maps.Keys(b.roles)) {
		r := b.roles[id]
		undeclared := func(s Statement) bool {
			switch {
			case s.Resource == "*" || b.PermissionOf(s.Resource, s.Action) != nil:
				return false
			case s.Action == "*" && b.HasResource(s.Resource):
				return false
			}
			known := slices.Sorted(maps.Keys(b.catalog))
			near := rbac.DidYouMean(s.Resource, known)
			if b.HasResource(s.Resource) {
				near = rbac.DidYouMean(s.Action, b.Actions(s.Resource))
			}
			at, ok := r.Said[s]
			if !ok {
				at = r.At
			}
			b.Dangling(at, id, near, "role %q names %s, which is not declared", id, Notation(s.Resource, s.Action))
			return true
		}
		r.Allow = slices.DeleteFunc(r.Allow, undeclared)
		r.Deny = slices.DeleteFunc(r.Deny, undeclared)
	}
}

// RoleOf answers a role by its id, nil when there is none.
func (b *Builder) RoleOf(id string) *Role { return b.roles[id] }

// Tenant answers the tenant of a path, which is made when there is none. Those above
// it are made when the bundle is written.
func (b *Builder) Tenant(path string) *Tenant {
	t, ok := b.tenants[path]
	if !ok {
		t = &Tenant{}
		b.tenants[path] = t
	}
	return t
}

// HasTenant says whether there is a tenant.
func (b *Builder) HasTenant(path string) bool {
	_, ok := b.tenants[path]
	return ok
}

// Implicit adds a rule: who a fact holds of has the role. A rule that is there already
// is not there twice.
func (b *Builder) Implicit(node, fact string, r Rule) {
	t := b.Tenant(node)
	same := func(other Rule) bool {
		return other.Role == r.Role && other.Disabled == r.Disabled && slices.Equal(other.All, r.All)
	}
	if slices.ContainsFunc(t.Implicit[fact], same) {
		return
	}
	if t.Implicit == nil {
		t.Implicit = map[string][]Rule{}
	}
	t.Implicit[fact] = append(t.Implicit[fact], r)
	b.Count.Rules.Mapped++
}

// Conditional adds a rule: a condition on the record's attributes gives the role.
// Two conditions for one role are an "or".
func (b *Builder) Conditional(node, role string, condition any) {
	t := b.Tenant(node)
	if t.Conditional == nil {
		t.Conditional = map[string]any{}
	}
	if before, ok := t.Conditional[role]; ok {
		condition = map[string]any{"op": "or", "of": []any{before, condition}}
	}
	t.Conditional[role] = condition
	b.Count.Rules.Mapped++
}

// Catalog makes the bundle declare its permissions, even none.
func (b *Builder) Catalog() {
	if b.catalog == nil {
		b.catalog = map[string]map[string]*Permission{}
	}
}

// Resource declares a resource, if none of its permissions does: its actions may only
// be named as "*".
func (b *Builder) Resource(resource string) {
	b.Catalog()
	if b.catalog[resource] == nil {
		b.catalog[resource] = map[string]*Permission{}
	}
}

// HasResource says whether a resource is declared.
func (b *Builder) HasResource(resource string) bool { return b.catalog[resource] != nil }

// Permission declares one. A second one of the same name is a fault.
func (b *Builder) Permission(resource, action string, p Permission) {
	b.Resource(resource)
	if before, ok := b.catalog[resource][action]; ok {
		name := Notation(resource, action)
		b.Fault(p.At, CodeDuplicate, name, fmt.Sprintf("the first one is at %s", before.At), "permission %q is declared twice", name)
		return
	}
	b.catalog[resource][action] = &p
	b.Count.Permissions.Mapped++
}

// PermissionOf answers a declared permission, nil when there is none.
func (b *Builder) PermissionOf(resource, action string) *Permission {
	return b.catalog[resource][action]
}

// Actions lists the declared actions of a resource, sorted.
func (b *Builder) Actions(resource string) []string {
	return slices.Sorted(maps.Keys(b.catalog[resource]))
}

// Notation writes a permission as tools do.
func Notation(resource, action string) string {
	if resource == "-" {
		return action
	}
	return resource + ":" + action
}

// Issuer says what tokens of an issuer are believed about.
func (b *Builder) Issuer(iss string, i Issuer) { b.issuers[iss] = i }

// Alias gives a tenant another name.
func (b *Builder) Alias(name, path string) { b.aliases[name] = path }

// APIKey registers a key by its SHA-256 in lower-case hexadecimal.
func (b *Builder) APIKey(sum string, k APIKey) { b.keys[sum] = k }

// Member takes in what one record says of a principal. Attrs hold decoded JSON.
func (b *Builder) Member(m Member) { b.members(m) }

func (b *Builder) unknown(o *Object, field string) {
	key := unknownKey{o.record.kind, joined(o.name, field)}
	u, ok := b.unknowns[key]
	if !ok {
		u = &Unknown{Kind: key.kind, Field: key.field, First: o.At(field)}
		b.unknowns[key] = u
	}
	u.Count++
}

// ancestors are the nodes above a tenant, below the root.
func ancestors(path string) []string {
	var out []string
	for i, c := range path {
		if c == '.' {
			out = append(out, path[:i])
		}
	}
	return out
}
