package importer

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rolegate/rolegate/loader/importer/filter"
	"github.com/rolegate/rolegate/loader/importer/interval"
	"github.com/rolegate/rolegate/loader/rbac"
)

// forgerock reads the managed objects of ForgeRock IDM, as queries answer them: roles,
// users with their roles, and assignments. One import is one deployment or realm,
// which becomes one node: that of the realm in the collection managed/alpha_role, or
// that the files are said to be of (roles:alpha=FILE), else "idm". Access tokens name it by its realm, which becomes an alias.
func forgerock(b *Builder) Vendor {
	f := &forgerockImport{
		b: b, node: "idm", roles: map[string]*forgerockRole{}, keys: map[string]string{},
		assignments: map[string]forgerockAssignment{}, attributes: map[string]bool{},
	}
	return Vendor{
		Name: "forgerock", Lists: []string{"result"}, Authority: "bundle",
		Kinds: f.counted([]Kind{
			{Name: "users", Is: hasAll("_id", "userName"), Read: f.user},
			{Name: "assignments", Is: hasAll("_id", "name", "mapping"), Read: f.assignment},
			{Name: "roles", Is: hasAll("_id", "name"), Read: f.role},
		}),
		Page: f.page, Finish: f.finish, Place: f.place,
	}
}

// forgerockImport is an export as far as it was read; ids are IDM's.
type forgerockImport struct {
	b           *Builder
	prefix      string // of the names of collections: alpha_
	collection  Place  // of the reference that prefix is from
	node        string // that prefix gives
	roles       map[string]*forgerockRole
	keys        map[string]string // ids in the bundle, of roles
	assignments map[string]forgerockAssignment
	attributes  map[string]bool // that conditions look at
	withoutList bool            // a user without its roles was told
}

type forgerockRole struct {
	role        Role
	condition   any      // nil: none
	assignments []string // ids
}

type forgerockAssignment struct {
	name, description, mapping string
	roles                      []string // ids
	at                         Place
}

func (f *forgerockImport) page(o *Object, records int64) Page {
	cookie := o.Text("pagedResultsCookie")
	count, counted := o.Integer("resultCount")
	total, known := o.Integer("totalPagedResults")
	o.Known("totalPagedResultsPolicy", "remainingPagedResults")
	said := Page{More: cookie != "", Ends: cookie == ""}
	if said.Ends && known && total >= 0 {
		said.Total, said.Known = total, true
	}
	if counted && records != count {
		o.Fault("resultCount", CodePage, "resultCount is %d, and the page has %d", count, records)
	}
	return said
}

func (f *forgerockImport) role(o *Object) {
	f.b.Count.Roles.Read++
	id := o.Need("_id")
	r := &forgerockRole{
		role: Role{
			Owner: Root, Key: o.Need("name"), Description: o.Text("description"), Visibility: "ALL",
			Windows: f.windows(o), At: o.At(""),
		},
		condition: f.condition(o),
	}
	for _, ref := range o.Objects("assignments") {
		if to, ok := f.reference(ref, "assignment"); ok {
			r.assignments = append(r.assignments, to)
		}
	}
	o.Known("_rev", "members", "applications", "privileges", "mapping")
	if _, ok := f.roles[id]; ok {
		o.Fault("_id", CodeDuplicate, "there is a role of _id %q already", id)
		return
	}
	f.roles[id] = r
}

// condition reads a role's query filter.
func (f *forgerockImport) condition(o *Object) any {
	text := o.Text("condition")
	if text == "" {
		return nil
	}
	f.b.Count.Rules.Read++
	parsed, err := filter.Parse(text)
	if err != nil {
		o.Fault("condition", "bad_condition", "the condition %s: %v", begun(text), err)
		return nil
	}
	c, err := parsed.Condition()
	switch {
	case errors.Is(err, filter.ErrTooDeep):
		o.Fault("condition", "condition_too_deep", "the condition %s: %v", begun(text), err)
	case err != nil:
		o.Fault("condition", "bad_condition", "the condition %s: %v", begun(text), err)
	default:
		parsed.Attributes(f.attributes)
		return c
	}
	return nil
}

// begun quotes a text, or its beginning when it is long.
func begun(text string) string {
	const shown = 80
	if runes := []rune(text); len(runes) > shown {
		text = string(runes[:shown]) + "…"
	}
	return strconv.Quote(text)
}

// windows reads the temporal constraints of a role or of a grant.
func (f *forgerockImport) windows(o *Object) []Window {
	var out []Window
	for _, c := range o.Objects("temporalConstraints") {
		text := c.Need("duration")
		if text == "" {
			continue
		}
		from, until, err := interval.Parse(text)
		if err != nil {
			c.Fault("duration", rbac.CodeWindow, "duration %q: %v", text, err)
			continue
		}
		out = append(out, Window{from, until})
	}
	slices.SortFunc(out, func(a, b Window) int { return slices.Compare(a[:], b[:]) })
	return out
}

// reference reads a relation to a managed object of one sort and answers its id.
func (f *forgerockImport) reference(o *Object, sort string) (id string, ok bool) {
	ref := o.Need("_ref")
	at := strings.LastIndexByte(ref, '/')
	collection, encoded := ref[:max(at, 0)], ref[at+1:]
	id, err := url.PathUnescape(encoded)
	o.Known("_refResourceRev", "name", "description", "_id", "_rev", "condition", "mapping", "type", "attributes", "_refProperties")
	if ref == "" {
		return "", false
	}
	if want := o.Text("_refResourceCollection"); want != "" && want != collection {
		o.Fault("_ref", CodeField, "_ref %q is not in its _refResourceCollection %q", ref, want)
		return "", false
	}
	if want := o.Text("_refResourceId"); err != nil || encoded == "" || want != "" && want != id {
		o.Fault("_ref", CodeField, "_ref %q does not end in its _refResourceId %q, URL-encoded", ref, want)
		return "", false
	}
	managed, isManaged := strings.CutPrefix(collection, "managed/")
	prefix, isSort := strings.CutSuffix(managed, sort)
	if !isManaged || !isSort || prefix != "" && !strings.HasSuffix(prefix, "_") {
		o.Fault("_ref", CodeField, "_ref %q: want a managed %s, managed/%s/… or managed/REALM_%s/…", ref, sort, sort, sort)
		return "", false
	}
	return id, f.ofRealm(o, "_ref", prefix)
}

// ofRealm holds the realm that a record says against that of the others.
func (f *forgerockImport) ofRealm(o *Object, field, prefix string) bool {
	switch {
	case f.collection == Place{}:
		f.prefix, f.collection = prefix, o.At(field)
	case f.prefix != prefix:
		o.Fault(field, CodeField, "of realm %q, but %s is of %q: import one realm at a time", strings.TrimSuffix(prefix, "_"), f.collection, strings.TrimSuffix(f.prefix, "_"))
		return false
	}
	return true
}

// counted is [pageBook.counting], and holds the realm that a file is said to be of
// against the others.
func (f *forgerockImport) counted(kinds []Kind) []Kind {
	for i, k := range kinds {
		kinds[i].Read = func(o *Object) {
			if of := o.Of(); of != "" {
				f.ofRealm(o, "", of+"_")
			}
			k.Read(o)
		}
	}
	return kinds
}

func (f *forgerockImport) assignment(o *Object) {
	f.b.Count.Permissions.Read++
	id := o.Need("_id")
	a := forgerockAssignment{name: o.Need("name"), description: o.Text("description"), mapping: o.Text("mapping"), at: o.At("")}
	for _, ref := range o.Objects("roles") {
		if to, ok := f.reference(ref, "role"); ok {
			a.roles = append(a.roles, to)
		}
	}
	o.Known("_rev", "type", "attributes", "linkQualifiers", "weight", "members", "event", "condition")
	if _, ok := f.assignments[id]; ok {
		o.Fault("_id", CodeDuplicate, "there is an assignment of _id %q already", id)
		return
	}
	f.assignments[id] = a
}

// user takes a user in with all attributes: which of them conditions look at is known
// when all roles were read.
func (f *forgerockImport) user(o *Object) {
	f.b.Count.Members.Read++
	m := Member{ID: o.Need("_id"), Kind: "user", Email: o.Text("mail"), Attrs: map[string]any{}, From: "users", At: o.At("")}
	if !o.Has("roles") && !f.withoutList {
		f.withoutList = true
		o.Fault("", CodeField, "without \"roles\": a query answers relations only when it is asked for them, with _fields=*,roles")
	}
	for _, ref := range o.Objects("roles") {
		f.b.Count.Grants.Read++
		if g, ok := f.grant(ref); ok {
			m.Grants = append(m.Grants, g)
		}
	}
	o.Known("effectiveRoles", "effectiveAssignments", "assignments", "authzRoles", "password", "kbaInfo")
	for _, name := range o.Names() {
		if v := o.Value(name); !isPrivate(name) {
			m.Attrs[name] = v
		}
	}
	f.b.Member(m)
}

// isPrivate says whether an attribute is a secret or a relation that is read as such.
func isPrivate(name string) bool {
	switch name {
	case "roles", "effectiveRoles", "effectiveAssignments", "assignments", "authzRoles", "password", "kbaInfo":
		return true
	}
	return false
}

// grant reads one role of a user; false when it is given again by its condition, or
// is none.
func (f *forgerockImport) grant(ref *Object) (Grant, bool) {
	if strings.HasPrefix(ref.Text("_ref"), "internal/role/") {
		ref.Known("_refResourceCollection", "_refResourceId", "_refResourceRev", "_refProperties", "name")
		ref.Warn("_ref", CodeUnmapped, "%s is left out: it is a role in IDM itself", ref.Text("_ref"))
		f.b.Count.Grants.LeftOut++
		return Grant{}, false
	}
	id, ok := f.reference(ref, "role")
	ref.Known("temporalConstraints", "assignments", "members")
	properties := ref.Object("_refProperties")
	if properties == nil {
		ref.Fault("", CodeField, "a role without _refProperties: they say whether it is granted or conditional")
		return Grant{}, false
	}
	properties.Known("_id", "_rev")
	windows := f.windows(properties)
	if !ok {
		return Grant{}, false
	}
	switch kind := properties.Text("_grantType"); kind {
	case "":
		return Grant{Role: id, Windows: windows}, true
	case "conditional":
		f.b.Count.Grants.Rederived++
	default:
		properties.Warn("_grantType", CodeUnmapped, "a grant of type %q is left out: it is neither direct nor conditional", kind)
		f.b.Count.Grants.LeftOut++
	}
	return Grant{}, false
}

// finish ties assignments and conditions to roles.
func (f *forgerockImport) finish() {
	alias := "/"
	if realm := strings.TrimSuffix(f.prefix, "_"); realm != "" {
		f.node, alias = Segment(realm), "/"+realm
	}
	f.b.Tenant(f.node)
	f.b.Alias(alias, f.node)
	f.relate()
	f.declare()
	for _, id := range slices.Sorted(maps.Keys(f.roles)) {
		r := f.roles[id]
		for _, to := range sortedSet(r.assignments) {
			if a, ok := f.assignments[to]; ok {
				r.role.Allow = append(r.role.Allow, Statement{"assignment", a.name, "."})
				continue
			}
			f.b.Dangling(r.role.At, id, "export the assignments too", "role %q has assignment %q, which is not among the assignments", r.role.Key, to)
		}
		f.keys[id] = f.b.Role(r.role)
		if r.condition != nil {
			f.b.Conditional(f.node, f.keys[id], r.condition)
		}
	}
}

// relate adds what only the other side of the relation between roles and assignments
// says.
func (f *forgerockImport) relate() {
	for _, id := range slices.Sorted(maps.Keys(f.assignments)) {
		a := f.assignments[id]
		for _, to := range a.roles {
			r, ok := f.roles[to]
			if !ok {
				f.b.Dangling(a.at, id, "export the roles too", "assignment %q is of role %q, which is not among the roles", a.name, to)
				continue
			}
			r.assignments = append(r.assignments, id)
		}
	}
}

// declare makes a permission of every assignment: what IDM provisions for who holds
// it, a route may ask for as assignment:NAME.
func (f *forgerockImport) declare() {
	for _, id := range slices.Sorted(maps.Keys(f.assignments)) {
		a := f.assignments[id]
		if f.b.PermissionOf("assignment", a.name) != nil {
			continue // the same for another mapping
		}
		f.b.Permission("assignment", a.name, Permission{Name: a.name, Description: a.description, Category: a.mapping, At: a.at})
	}
}

// place makes the record of a user, with the attributes that conditions look at.
func (f *forgerockImport) place(id string, parts []Member) []Member {
	m := parts[0]
	m.Node = f.node
	grants := m.Grants
	m.Grants = nil
	for _, g := range grants {
		role, ok := f.keys[g.Role]
		if !ok {
			f.b.Dangling(m.At, id, "export the roles too", "%q has the role of _id %q, which is not among the roles", id, g.Role)
			f.b.Count.Grants.LeftOut++
			continue
		}
		m.Grants = append(m.Grants, Grant{Role: role, Windows: g.Windows})
	}
	attrs := map[string]any{}
	for name := range f.attributes {
		if v, ok := m.Attrs[name]; ok {
			attrs[name] = v
		}
	}
	m.Attrs = attrs
	return []Member{m}
}
