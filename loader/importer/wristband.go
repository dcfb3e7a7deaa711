package importer

import (
	"maps"
	"slices"
	"strings"
)

// wristband reads the resources of Wristband's REST API. A tenant is known to tokens
// by its id (tnt_id), which becomes an alias of the node that its domain name gives.
//
// Permission groups, boundaries and override toggles look like other resources (a
// group like a role, a toggle like the toggle of any other policy), so the user says
// which file holds them.
func wristband(b *Builder) Vendor {
	w := &wristbandImport{
		b: b, tenants: map[string]string{}, permissions: map[string]wristbandPermission{}, groups: map[string]wristbandGroup{},
		boundaries: map[string]wristbandBoundary{}, roles: map[string]*wristbandRole{}, ids: map[string]string{},
		toggles: map[string]wristbandToggle{}, policies: map[string]wristbandPolicy{},
	}
	return Vendor{
		Name: "wristband", Lists: []string{"items"}, Authority: "bundle",
		Kinds: []Kind{
			{Name: "users", Is: hasAll("id", "tenantId", "applicationId"), Read: w.user},
			{Name: "tenants", Is: hasAll("id", "domainName", "applicationId"), Read: w.tenant},
			{Name: "clients", Is: hasAll("id", "grantTypes", "ownerType"), Read: w.client},
			{Name: "permissions", Is: hasAll("id", "value"), Read: w.permission},
			{Name: "user_roles", Is: hasAll("userId", "roles"), Read: w.userRoles},
			{Name: "client_roles", Is: hasAll("clientId", "roles"), Read: w.clientRoles},
			{Name: "role_permissions", Is: hasPermissions("roleId"), Read: w.rolePermissions},
			{Name: "role_groups", Read: w.roleGroups},
			{Name: "group_permissions", Is: hasPermissions("permissionGroupId"), Read: w.groupPermissions},
			{Name: "idp_mappings", Is: hasAll("identityProviderName", "externalRole"), Read: w.mapping},
			{Name: "policies", Is: hasPolicy, Read: w.policy},
			{Name: "roles", Is: hasAll("id", "name", "ownerType", "type"), Read: w.role},
			{Name: "permission_groups", Read: w.group},
			{Name: "boundaries", Read: w.boundary},
			{Name: "override_toggles", Read: w.toggle},
		},
		Page: w.page, Finish: w.finish, Place: w.place,
	}
}

// hasAll recognizes a record by fields that it has.
func hasAll(fields ...string) func(*Object) bool {
	return func(o *Object) bool {
		return !slices.ContainsFunc(fields, func(field string) bool { return !o.Has(field) })
	}
}

// hasPermissions recognizes what was assigned to something.
func hasPermissions(to string) func(*Object) bool {
	return func(o *Object) bool {
		return o.Has(to) && (o.Has("permissionIds") || o.Has("permissions") || o.Has("permissionGroupIds") || o.Has("permissionGroups"))
	}
}

func hasPolicy(o *Object) bool {
	return o.Has("ownerType") && (o.Has("defaultSignupRoles") || o.Has("defaultIdpUserSyncRoles"))
}

// wristbandImport is an export as far as it was read; ids are Wristband's.
type wristbandImport struct {
	b           *Builder
	application string            // its id; there is one
	tenants     map[string]string // node by id
	permissions map[string]wristbandPermission
	groups      map[string]wristbandGroup
	boundaries  map[string]wristbandBoundary
	roles       map[string]*wristbandRole
	ids         map[string]string          // ids in the bundle, of roles
	toggles     map[string]wristbandToggle // of tenants
	policies    map[string]wristbandPolicy
	assigned    []wristbandAssigned
	mappings    []wristbandMapping
}

type wristbandPermission struct{ resource, action string }

type wristbandRole struct {
	role                          Role // without owner, visibility and statements
	ownerType, owner              string
	visibility                    string
	include, exclude              []string
	boundary                      string
	permissions, permissionGroups []string
	assigned                      bool // the export says what it allows
}

type wristbandGroup struct {
	boundary    string
	permissions []string
	at          Place
}

type wristbandBoundary struct {
	name             string // the part behind the last colon
	include, exclude []string
	listed, excluded bool
	at               Place
}

// wristbandAssigned is what was assigned to a role or a group, whichever it is.
type wristbandAssigned struct {
	role, group         string
	permissions, groups []string
	at                  Place
}

type wristbandPolicy struct {
	application bool
	signup, idp []string
	at          Place
}

type wristbandToggle struct {
	on bool
	at Place
}

type wristbandMapping struct {
	tenant, provider, external string
	roles                      []string
	at                         Place
}

func (w *wristbandImport) page(o *Object, _ int64) Page {
	if failures := o.Objects("failures"); len(failures) > 0 {
		failures[0].Known("code", "message", "index", "userId", "clientId")
		o.Fault("failures", CodeField, "the answer reports %d failures: what it lacks is not known", len(failures))
	}
	first, ok := o.Integer("startIndex")
	if !ok {
		first = 1
	}
	size, _ := o.Integer("itemsPerPage")
	total, known := o.Integer("totalResults")
	if known && size > 0 && first+size <= total {
		return Page{More: true}
	}
	return Page{Total: total, Known: known, Ends: known}
}

// ofApplication holds a record's application against that of the others.
func (w *wristbandImport) ofApplication(o *Object, field, id string) {
	switch {
	case id == "":
	case w.application == "":
		w.application = id
	case w.application != id:
		o.Fault(field, CodeField, "a record of application %q among those of %q: import one application at a time", id, w.application)
	}
}

func (w *wristbandImport) tenant(o *Object) {
	w.b.Count.Tenants.Read++
	w.ofApplication(o, "applicationId", o.Text("applicationId"))
	id, node := o.Need("id"), Segment(o.Need("domainName"))
	o.Known(
		"vanityDomain", "displayName", "description", "type", "status", "signupEnabled", "publicMetadata",
		"restrictedMetadata", "metadata", "logoUrl",
	)
	if id == "" || node == "" {
		return
	}
	if _, ok := w.tenants[id]; ok || w.b.HasTenant(node) {
		o.Fault("id", CodeDuplicate, "there is a tenant of id %q or of its domain name already", id)
		return
	}
	w.tenants[id] = node
	w.b.Tenant(node).At = o.At("")
	if id != node {
		w.b.Alias(id, node)
	}
}

func (w *wristbandImport) permission(o *Object) {
	w.b.Count.Permissions.Read++
	id, value := o.Need("id"), o.Need("value")
	name, description, managed := o.Text("displayName"), o.Text("description"), isPredefined(o)
	o.Known("ownerType", "ownerId", "tenantVisibility", "tenantVisibilityInclusionList", "metadata", "name")
	if id == "" || value == "" {
		return
	}
	if _, ok := w.permissions[id]; ok {
		o.Fault("id", CodeDuplicate, "there is a permission of id %q already", id)
		return
	}
	p := wristbandPermission{resource: "-", action: value}
	if resource, action, ok := strings.Cut(value, ":"); ok {
		p = wristbandPermission{resource, action}
	}
	w.permissions[id] = p
	w.b.Permission(p.resource, p.action, Permission{Name: name, Description: description, Managed: managed, At: o.At("")})
}

// isPredefined reads a type.
func isPredefined(o *Object) bool {
	switch kind := o.Text("type"); kind {
	case "PREDEFINED":
		return true
	case "CUSTOM":
	default:
		o.Fault("type", CodeField, "type: want PREDEFINED or CUSTOM, got %q", kind)
	}
	return false
}

func (w *wristbandImport) role(o *Object) {
	w.b.Count.Roles.Read++
	id, name := o.Need("id"), o.Need("name")
	r := &wristbandRole{
		role: Role{
			Key: afterLast(name, ":"), Name: o.Text("displayName"), Description: o.Text("description"),
			Predefined: isPredefined(o), At: o.At(""),
		},
		ownerType: o.Need("ownerType"), owner: o.Text("ownerId"), visibility: o.Text("tenantVisibility"),
		include: o.Texts("tenantVisibilityInclusionList"), exclude: o.Texts("tenantVisibilityExclusionList"),
		boundary: o.Text("permissionBoundaryId"),
	}
	o.Known("metadata", "sku")
	switch r.ownerType {
	case "", "TENANT":
	case "APPLICATION":
		w.ofApplication(o, "ownerId", r.owner)
	default:
		o.Fault("ownerType", CodeField, "ownerType: want APPLICATION or TENANT, got %q", r.ownerType)
	}
	if _, ok := w.roles[id]; ok {
		o.Fault("id", CodeDuplicate, "there is a role of id %q already", id)
		return
	}
	w.roles[id] = r
}

func afterLast(s, separator string) string { return s[strings.LastIndex(s, separator)+1:] }

func (w *wristbandImport) group(o *Object) {
	id := o.Need("id")
	g := wristbandGroup{boundary: o.Text("permissionBoundaryId"), permissions: idsIn(o, "permissionIds", "permissions"), at: o.At("")}
	o.Known(
		"name", "displayName", "description", "type", "ownerType", "ownerId", "tenantVisibility",
		"tenantVisibilityInclusionList", "tenantVisibilityExclusionList", "metadata",
	)
	if _, ok := w.groups[id]; ok {
		o.Fault("id", CodeDuplicate, "there is a permission group of id %q already", id)
		return
	}
	w.groups[id] = g
}

func (w *wristbandImport) boundary(o *Object) {
	id := o.Need("id")
	bound := wristbandBoundary{
		name:    strings.ToLower(afterLast(o.Need("name"), ":")),
		include: o.Texts("tenantInclusionList"), listed: o.Has("tenantInclusionList"),
		exclude: o.Texts("tenantExclusionList"), excluded: o.Has("tenantExclusionList"), at: o.At(""),
	}
	// Who names a boundary of their own "self" means something else by it.
	if !isPredefined(o) && !bound.listed && !bound.excluded {
		o.Fault("", CodeUnmapped, "a boundary with neither tenantInclusionList nor tenantExclusionList")
	}
	o.Known("displayName", "description", "ownerType", "ownerId", "metadata")
	if _, ok := w.boundaries[id]; ok {
		o.Fault("id", CodeDuplicate, "there is a boundary of id %q already", id)
		return
	}
	w.boundaries[id] = bound
}

// rolePermissions reads what a role may: lists of ids, or a permission itself in a file
// that is said to be of a role.
func (w *wristbandImport) rolePermissions(o *Object) {
	w.assigned = append(w.assigned, wristbandAssigned{
		role: needOf(o, "roleId"), permissions: idsOf(o, "permissionIds", "permissions"),
		groups: idsIn(o, "permissionGroupIds", "permissionGroups"), at: o.At(""),
	})
}

func (w *wristbandImport) roleGroups(o *Object) {
	w.assigned = append(w.assigned, wristbandAssigned{
		role: needOf(o, "roleId"), groups: idsOf(o, "permissionGroupIds", "permissionGroups"), at: o.At(""),
	})
}

func (w *wristbandImport) groupPermissions(o *Object) {
	w.assigned = append(w.assigned, wristbandAssigned{
		group: needOf(o, "permissionGroupId"), permissions: idsOf(o, "permissionIds", "permissions"), at: o.At(""),
	})
}

// needOf is an id that stands in the record, or is said of its file.
func needOf(o *Object, field string) string {
	if of := o.Of(); of != "" && !o.Has(field) {
		return of
	}
	return o.Need(field)
}

// idsOf is [idsIn], and of a file that is of something the id of the record itself.
func idsOf(o *Object, alone, objects string) []string {
	if o.Of() != "" && !o.Has(alone) && !o.Has(objects) {
		o.Known(o.Names()...)
		return []string{o.Need("id")}
	}
	return idsIn(o, alone, objects)
}

// idsIn reads ids that stand alone in one field, or in objects in another, as they
// are sent and as they are answered.
func idsIn(o *Object, alone, objects string) []string {
	ids := o.Texts(alone)
	for _, each := range o.Objects(objects) {
		ids = append(ids, each.Need("id"))
		each.Known(each.Names()...)
	}
	return ids
}

func (w *wristbandImport) policy(o *Object) {
	owner := o.Need("ownerId")
	p := wristbandPolicy{signup: o.Texts("defaultSignupRoles"), idp: o.Texts("defaultIdpUserSyncRoles"), at: o.At("")}
	o.Known("id", "metadata")
	switch of := o.Need("ownerType"); of {
	case "APPLICATION":
		p.application = true
		w.ofApplication(o, "ownerId", owner)
	case "TENANT":
	default:
		o.Fault("ownerType", CodeField, "ownerType: want APPLICATION or TENANT, got %q", of)
	}
	if _, ok := w.policies[owner]; ok {
		o.Fault("ownerId", CodeDuplicate, "there is a role assignment policy of %q already", owner)
		return
	}
	w.policies[owner] = p
}

func (w *wristbandImport) toggle(o *Object) {
	owner, of := o.Need("ownerId"), o.Need("ownerType")
	o.Known("id", "metadata")
	if _, ok := w.toggles[owner]; ok {
		o.Fault("ownerId", CodeDuplicate, "there is an override toggle of %q already", owner)
		return
	}
	if of != "TENANT" {
		o.Fault("ownerType", CodeField, "ownerType: only a tenant overrides, got %q", of)
	}
	switch status := o.Need("status"); status {
	case "ENABLED", "DISABLED":
		w.toggles[owner] = wristbandToggle{status == "ENABLED", o.At("")}
	default:
		o.Fault("status", CodeField, "status: want ENABLED or DISABLED, got %q", status)
	}
}

func (w *wristbandImport) mapping(o *Object) {
	w.b.Count.Rules.Read++
	w.mappings = append(w.mappings, wristbandMapping{
		tenant: o.Need("tenantId"), provider: o.Need("identityProviderName"), external: o.Need("externalRole"),
		roles: idsIn(o, "roleIds", "roles"), at: o.At(""),
	})
}

func (w *wristbandImport) user(o *Object) {
	w.b.Count.Members.Read++
	w.ofApplication(o, "applicationId", o.Text("applicationId"))
	m := Member{ID: o.Need("id"), Node: o.Need("tenantId"), Kind: "user", Email: o.Text("email"), From: "users", At: o.At("")}
	if o.Has("emailVerified") && !o.Flag("emailVerified") {
		m.Email = "" // nobody showed that it is theirs
	}
	if status := o.Text("status"); status != "" && status != "ACTIVE" {
		m.Extra = map[string]string{"status": status}
	}
	o.Known(
		"username", "fullName", "givenName", "familyName", "middleName", "honorificPrefix", "honorificSuffix", "nickname",
		"displayName", "phoneNumber", "phoneNumberVerified", "pictureUrl", "gender", "birthdate", "timeZone", "locale",
		"externalId", "identityProviderName", "preferredMfaFactor", "publicMetadata", "restrictedMetadata", "metadata", "type",
		"profileUrl", "roles",
	)
	w.b.Member(m)
}

func (w *wristbandImport) client(o *Object) {
	w.b.Count.Members.Read++
	m := Member{ID: o.Need("id"), Kind: "m2m", From: "clients", At: o.At("")}
	switch owner := o.Need("ownerId"); o.Need("ownerType") {
	case "APPLICATION":
		w.ofApplication(o, "ownerId", owner)
		m.Node = Root
	default:
		m.Node = owner
	}
	o.Known(o.Names()...)
	w.b.Member(m)
}

func (w *wristbandImport) userRoles(o *Object) { w.roleList(o, "userId", "user_roles") }

func (w *wristbandImport) clientRoles(o *Object) { w.roleList(o, "clientId", "client_roles") }

func (w *wristbandImport) roleList(o *Object, who, from string) {
	m := Member{ID: o.Need(who), From: from, At: o.At("")}
	for _, id := range idsIn(o, "roleIds", "roles") {
		w.b.Count.Grants.Read++
		m.Grants = append(m.Grants, Grant{Role: id})
	}
	w.b.Member(m)
}

// place makes the record of a user or client of it and of its roles.
func (w *wristbandImport) place(id string, parts []Member) []Member {
	at := slices.IndexFunc(parts, func(m Member) bool { return m.From == "users" || m.From == "clients" })
	if at < 0 {
		w.b.Dangling(parts[0].At, id, "export the users and clients too", "roles of %q, who is neither among the users nor among the clients", id)
		for _, part := range parts {
			w.b.Count.Grants.LeftOut += len(part.Grants)
		}
		return nil
	}
	m := parts[at]
	if m.Node != Root {
		node, ok := w.tenants[m.Node]
		if !ok {
			w.b.Dangling(m.At, id, "export the tenants too", "%q belongs to tenant %q, which is not among the tenants", id, m.Node)
			w.b.Count.Members.LeftOut++
			return nil
		}
		m.Node = node
	}
	for _, part := range parts {
		for _, g := range part.Grants {
			if role, ok := w.ids[g.Role]; ok {
				m.Grants = append(m.Grants, Grant{Role: role})
				continue
			}
			w.b.Dangling(part.At, id, "export the roles too", "%q has the role of id %q, which is not among the roles", id, g.Role)
			w.b.Count.Grants.LeftOut++
		}
	}
	if status := m.Extra["status"]; status != "" && len(m.Grants) > 0 {
		w.b.Warn(m.At, CodeUnmapped, id, "", "%q is %s: the roles are left out", id, status)
		w.b.Count.Grants.LeftOut += len(m.Grants)
		m.Grants = nil
	}
	return []Member{m}
}

// nodesOf are the nodes of tenants by their ids.
func (w *wristbandImport) nodesOf(ids []string, at Place, what string) []string {
	nodes := make([]string, 0, len(ids))
	for _, id := range ids {
		node, ok := w.tenants[id]
		if !ok {
			w.b.Dangling(at, id, "export the tenants too", "%s names tenant %q, which is not among the tenants", what, id)
			continue
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// others are the nodes of all tenants but some, as of this export.
func (w *wristbandImport) others(ids []string, at Place, what string) []string {
	without := w.nodesOf(ids, at, what)
	nodes := []string{} // never nil, which would be no boundary at all
	for _, node := range slices.Sorted(maps.Values(w.tenants)) {
		if !slices.Contains(without, node) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}
