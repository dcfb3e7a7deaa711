package importer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// fronteggImport reads an export of Frontegg: roles, permissions, categories, accounts,
// users and their roles, SSO configurations, API tokens.
//
// A Frontegg token carries its permissions, and its issuer is believed about them: the
// bundle then adds accounts, names, levels, and what a REMOVE would take away. Names
// with `*` become the permissions that they match, as a token's are literal.
type fronteggImport struct {
	b          *Builder
	permission map[string]fronteggPermission // by id
	categories map[string]string             // id → name
	roles      map[string]fronteggRole       // by id
	keys       map[string][]string           // a role's key → the ids of roles with it
	accounts   map[string]fronteggAccount
	named      map[string]Place // accounts that anything names, where first
	paths      map[string]string
	rules      []fronteggRule
	tokens     []fronteggToken // with permissions of their own
	seen       map[string]Place
}

type fronteggPermission struct {
	key, name, description, category, class string
	at                                      Place
}

type fronteggRole struct {
	role         Role   // its owner is the account's id until all is read
	account      string // "" is all
	accounts     []string
	permissions  []string // ids or keys
	isDefault    bool
	forFirstUser bool
	id           string // in the bundle, once it is there
}

type fronteggAccount struct {
	parent string
	at     Place
}

type fronteggRule struct {
	account, fact, role string
	disabled            bool
	at                  Place
}

type fronteggToken struct {
	account, client string
	permissions     []string
	at              Place
}

func frontegg(b *Builder) Vendor {
	f := &fronteggImport{
		b: b, permission: map[string]fronteggPermission{}, categories: map[string]string{}, roles: map[string]fronteggRole{},
		keys: map[string][]string{}, accounts: map[string]fronteggAccount{}, named: map[string]Place{}, paths: map[string]string{},
		seen: map[string]Place{},
	}
	return Vendor{
		Name:      "frontegg",
		Lists:     []string{"items"},
		Authority: "token_permissions",
		Kinds: []Kind{
			{"tokens", func(o *Object) bool { return o.Has("clientId") && (o.Has("tenantId") || o.Has("expires")) }, f.token},
			{"user_roles", func(o *Object) bool {
				return o.Has("userId") && (o.Has("roles") || o.Has("roleIds")) && !o.Has("email")
			}, f.userRoles},
			{"users", func(o *Object) bool {
				return o.Has("email") && (o.Has("tenantId") || o.Has("tenantIds") || o.Has("tenants"))
			}, f.user},
			{"groups", func(o *Object) bool { return o.Has("users") && (o.Has("roles") || o.Has("roleIds")) && !o.Has("key") }, f.group},
			{"roles", func(o *Object) bool {
				return o.Has("key") && (o.Has("level") || o.Has("firstUserRole") || o.Has("isDefault"))
			}, f.role},
			{"permissions", func(o *Object) bool { return o.Has("key") && !o.Has("roleId") && !o.Has("type") }, f.permissionRecord},
			{"sso_configurations", func(o *Object) bool { return o.Has("tenantId") && (o.Has("ssoEndpoint") || o.Has("groups")) }, f.sso},
			{"accounts", func(o *Object) bool { return o.Has("tenantId") && (o.Has("name") || o.Has("parentTenantId")) }, f.account},
			{"categories", func(o *Object) bool {
				return o.Has("id") && o.Has("name") && (o.Has("feCategory") || o.Has("permissions"))
			}, f.category},
		},
		Page:   f.page,
		Finish: f.finish,
		Place:  f.place,
	}
}

func (f *fronteggImport) page(o *Object, _ int64) Page {
	meta := o.Object("_metadata")
	total, known := meta.Integer("totalItems")
	of, _ := meta.Integer("totalPages")
	p := Page{Total: total, Known: known, Of: of}
	if links := o.Object("_links"); links != nil {
		links.Known("self", "prev", "first", "last")
		p.More = links.Text("next") != ""
		p.Ends = !p.More
	}
	return p
}

func (f *fronteggImport) once(what, id string, o *Object) bool {
	key := what + " " + id
	if before, ok := f.seen[key]; ok {
		f.b.Fault(o.At(""), CodeDuplicate, id, fmt.Sprintf("the first one is at %s", before), "%s %q is in the export twice", what, id)
		return false
	}
	f.seen[key] = o.At("")
	return true
}

// accountOf is the account that a record is of, "" when it says none.
func (f *fronteggImport) accountOf(o *Object) string {
	id := o.Text("tenantId")
	if id == "" {
		id = o.Of()
	}
	f.mention(id, o.At(""))
	return id
}

func (f *fronteggImport) mention(account string, at Place) {
	if _, ok := f.named[account]; !ok && account != "" {
		f.named[account] = at
	}
}

func (f *fronteggImport) permissionRecord(o *Object) {
	o.Known("createdAt", "updatedAt", "vendorId", "fePermission", "roleIds", "type")
	f.b.Count.Permissions.Read++
	id := o.Need("id")
	p := fronteggPermission{
		key: o.Need("key"), name: o.Text("name"), description: o.Text("description"), category: o.Text("categoryId"), at: o.At(""),
	}
	switch assignment := strings.ToUpper(o.Text("assignmentType")); assignment {
	case "", "ASSIGNABLE":
	case "NEVER", "ALWAYS":
		p.class = strings.ToLower(assignment)
	default:
		o.Fault("assignmentType", CodeField, "assignmentType: want ASSIGNABLE, NEVER or ALWAYS, got %q", assignment)
	}
	if id != "" && f.once("permission", id, o) {
		f.permission[id] = p
	}
}

func (f *fronteggImport) category(o *Object) {
	o.Known("description", "feCategory", "createdAt", "permissions")
	f.categories[o.Need("id")] = o.Text("name")
}

func (f *fronteggImport) role(o *Object) {
	o.Known("vendorId", "createdAt", "updatedAt", "migrated")
	f.b.Count.Roles.Read++
	id := o.Need("id")
	r := fronteggRole{
		account: o.Text("tenantId"), accounts: o.Texts("tenantIds"), permissions: f.references(o, "permissions"),
		isDefault: o.Flag("isDefault"), forFirstUser: o.Flag("firstUserRole"),
		role: Role{Key: o.Need("key"), Name: o.Text("name"), Description: o.Text("description"), At: o.At("")},
	}
	level, _ := o.Integer("level")
	if r.role.Level = level; level < 0 {
		o.Fault("level", CodeField, "level: want a whole number from 0, got %d", level)
	}
	for _, account := range append(r.accounts, r.account) {
		f.mention(account, o.At(""))
	}
	if id != "" && f.once("role", id, o) {
		f.roles[id] = r
		f.keys[r.role.Key] = append(f.keys[r.role.Key], id)
	}
}

// references reads a list of ids, or of objects with an id or a key.
func (f *fronteggImport) references(o *Object, field string) []string {
	var out []string
	for i, v := range o.List(field) {
		if s, ok := v.(string); ok {
			out = append(out, s)
			continue
		}
		fields, ok := v.(map[string]any)
		id, isText := fields["id"].(string)
		if key, isKey := fields["key"].(string); !isText && isKey {
			id, isText = key, true
		}
		if !ok || !isText {
			o.Fault(field, CodeField, "%s: number %d is neither an id nor an object with one", field, i+1)
			continue
		}
		out = append(out, id)
	}
	return out
}

func (f *fronteggImport) account(o *Object) {
	o.Known("id", "_id", "vendorId", "name", "website", "applicationUrl", "creatorName", "creatorEmail", "createdAt", "updatedAt", "metadata", "logo", "logoUrl",
		"address", "timezone", "dateFormat", "timeFormat", "currency", "status", "isReseller", "numberOfUsers", "alias", "rootTenantId", "level")
	id := o.Need("tenantId")
	if id == "" || !f.once("account", id, o) {
		return
	}
	f.b.Count.Tenants.Read++
	parent := o.Text("parentTenantId")
	f.mention(parent, o.At("parentTenantId"))
	f.mention(id, o.At(""))
	f.accounts[id] = fronteggAccount{parent: parent, at: o.At("")}
}

func (f *fronteggImport) user(o *Object) {
	o.Known("name", "profilePictureUrl", "verified", "mfaEnrolled", "mfaBypass", "phoneNumber", "provider", "createdAt", "lastLogin", "activatedForTenant",
		"metadata", "vendorMetadata", "externalId", "sub", "managedBy", "permissions", "invisible", "superUser", "subAccountAccessAllowed", "groups", "lastLoginIp")
	f.b.Count.Members.Read++
	email := o.Text("email")
	u := fronteggUser{f: f, id: o.Need("id"), places: map[string]fronteggPlace{}}
	for _, t := range o.Objects("tenants") {
		t.Known("name")
		u.in(t.Need("tenantId"), t, append(f.references(t, "roles"), f.references(t, "roleIds")...))
	}
	roles := append(f.references(o, "roles"), f.references(o, "roleIds")...)
	account := f.accountOf(o)
	u.in(account, nil, roles)
	for _, other := range o.Texts("tenantIds") {
		u.in(other, nil, nil)
	}
	locked := o.Flag("isLocked")
	switch {
	case account == "" && len(roles) > 0:
		o.Fault("", CodeField, "user %q has roles, and nothing says in which account", u.id)
	case locked:
		o.Warn("isLocked", CodeUnmapped, "user %q is locked, and left out", u.id)
	case len(u.places) == 0:
		o.Warn("", CodeUnmapped, "user %q is left out: no account has it", u.id)
	}
	out := locked || !slices.ContainsFunc(slices.Collect(maps.Values(u.places)), func(p fronteggPlace) bool { return !p.disabled })
	if out {
		f.b.Count.Members.LeftOut++
	}
	for _, account := range slices.Sorted(maps.Keys(u.places)) {
		f.mention(account, o.At(""))
		place := u.places[account]
		m := Member{ID: u.id, Node: account, Kind: "user", Email: email, From: "users", At: o.At("")}
		for _, role := range place.roles {
			m.Grants = append(m.Grants, Grant{Role: role})
		}
		f.b.Count.Grants.Read += len(m.Grants)
		switch { // it holds for what other files say of the user too
		case locked || place.disabled:
			m.Extra = map[string]string{fronteggOut: ""}
		case place.until > 0:
			m.Extra = map[string]string{fronteggUntil: strconv.FormatInt(place.until, 10)}
		}
		f.b.Member(m)
	}
}

// fronteggUser is a user, and fronteggPlace what it is in one account.
type fronteggUser struct {
	f      *fronteggImport
	id     string
	places map[string]fronteggPlace
}

type fronteggPlace struct {
	roles    []string
	until    int64 // ms, of all its roles there; 0 is for ever
	disabled bool
}

// What a user's record says for all parts of one account.
const (
	fronteggOut   = "out"
	fronteggUntil = "until"
)

// in adds what is said of an account; said is the account's own entry, nil where there
// is none.
func (u *fronteggUser) in(account string, said *Object, roles []string) {
	if account == "" {
		return
	}
	place := u.places[account]
	place.roles = append(place.roles, roles...)
	if end, ok := said.Instant("temporaryExpirationDate"); ok {
		place.until = max(end, 1)
	}
	if said.Flag("isDisabled") {
		said.Warn("isDisabled", CodeUnmapped, "user %q is disabled in account %q, and left out there", u.id, account)
		place.disabled = true
	}
	u.places[account] = place
}

// group gives its roles to its users: groups of users are flattened.
func (f *fronteggImport) group(o *Object) {
	o.Known("name", "description", "color", "metadata", "createdAt", "updatedAt", "managedBy")
	account := f.accountOf(o)
	id := o.Need("id")
	if account == "" {
		f.b.Fault(o.At(""), CodeField, "groups", "name the file groups:TENANT_ID=FILE", "nothing says which account this is of")
		return
	}
	roles := append(f.references(o, "roles"), f.references(o, "roleIds")...)
	for _, user := range f.references(o, "users") {
		m := Member{ID: user, Node: account, Kind: "user", From: "group " + id, At: o.At("")}
		for _, role := range roles {
			f.b.Count.Grants.Read++
			m.Grants = append(m.Grants, Grant{Role: role})
		}
		f.b.Member(m)
	}
}

// userRoles is the answer to the question for the roles of users in one account.
func (f *fronteggImport) userRoles(o *Object) {
	account := f.accountOf(o)
	m := Member{ID: o.Need("userId"), Node: account, Kind: "user", From: "user_roles", At: o.At("")}
	for _, role := range append(f.references(o, "roles"), f.references(o, "roleIds")...) {
		f.b.Count.Grants.Read++
		m.Grants = append(m.Grants, Grant{Role: role})
	}
	if account == "" {
		f.b.Fault(o.At(""), CodeField, "user_roles", "name the file user_roles:TENANT_ID=FILE", "nothing says which account this is of")
		return
	}
	f.b.Member(m)
}

// token is an API token: a machine of an account, or one in the name of a user.
func (f *fronteggImport) token(o *Object) {
	o.Known("metadata", "description", "secret", "vendorId", "createdByUserId", "updatedAt", "allowedIps", "id")
	f.b.Count.Members.Read++
	client := o.Need("clientId")
	account := f.accountOf(o)
	m := Member{ID: client, Node: account, Kind: "m2m", From: "tokens", At: o.At("")}
	if user := o.Text("userId"); user != "" {
		m.Kind = "api_key"
	}
	created, _ := o.Instant("createdAt")
	var windows []Window
	if end, ok := o.Instant("expires"); ok {
		if end <= created {
			f.b.Count.Members.LeftOut++
			o.Warn("expires", CodeUnmapped, "token %q is left out: it was never valid", client)
			return
		}
		windows = []Window{{created, end}}
	}
	for _, role := range f.references(o, "roleIds") {
		f.b.Count.Grants.Read++
		m.Grants = append(m.Grants, Grant{Role: role, Windows: windows})
	}
	if client == "" || account == "" {
		o.Need("tenantId")
		return
	}
	if own := f.references(o, "permissionIds"); len(own) > 0 {
		f.b.Count.Grants.Read++
		m.Grants = append(m.Grants, Grant{Role: ownRole(client), Windows: windows})
		f.tokens = append(f.tokens, fronteggToken{account, client, own, o.At("")})
	}
	f.b.Member(m)
}

// ownRole is the name of the role that is made for the permissions of a token that no
// role gives it.
func ownRole(client string) string { return "token-" + client }

func (f *fronteggImport) sso(o *Object) {
	for _, name := range o.Names() {
		if name != "groups" && name != "roleIds" {
			o.Known(name) // how to log in, which is not looked at
		}
	}
	id := o.Need("id")
	account := f.accountOf(o)
	disabled := o.Has("enabled") && !o.Flag("enabled")
	if account == "" {
		o.Need("tenantId")
		return
	}
	for _, role := range o.Texts("roleIds") {
		f.b.Count.Rules.Read++
		f.rules = append(f.rules, fronteggRule{account, "conn:" + id, role, disabled, o.At("roleIds")})
	}
	for _, g := range o.Objects("groups") {
		g.Known("id", "createdAt", "updatedAt")
		off := g.Has("enabled") && !g.Flag("enabled")
		for _, role := range g.Texts("roleIds") {
			f.b.Count.Rules.Read++
			f.rules = append(f.rules, fronteggRule{account, "group:" + id + "|" + g.Need("group"), role, disabled || off, g.At("")})
		}
	}
}

func (f *fronteggImport) finish() {
	f.tree()
	f.catalog()
	for _, id := range slices.Sorted(maps.Keys(f.roles)) {
		f.finishRole(id)
	}
	f.defaults()
	for _, t := range f.tokens {
		f.b.Role(Role{
			Owner: f.paths[t.account], Key: ownRole(t.client), Name: "Token " + t.client,
			Description: "What the token may do beside its roles.", Level: math.MaxInt32, At: t.at,
			Allow: f.statements(t.permissions, true, ownRole(t.client), t.at),
		})
	}
	for _, r := range f.rules {
		id, ok := f.resolve(r.account, r.role)
		if !ok {
			f.b.Count.Rules.LeftOut++
			f.b.Dangling(r.at, r.role, "", "the rule for %s gives role %q, which is not in the export", r.fact, r.role)
			continue
		}
		f.b.Implicit(f.paths[r.account], r.fact, Rule{Role: id, Disabled: r.disabled})
	}
}

// tree makes the accounts' paths, sub-accounts below their parents.
func (f *fronteggImport) tree() {
	for id, at := range f.named {
		if _, ok := f.accounts[id]; ok {
			continue
		}
		if len(f.accounts) > 0 {
			f.b.Dangling(at, id, "", "there is no account %q among the %d of the export", id, len(f.accounts))
		} else {
			f.b.Count.Tenants.Read++
		}
	}
	for id, at := range f.named {
		path, ok := f.path(id, nil)
		if !ok {
			f.b.Fault(f.accounts[id].at, CodeField, id, "", "account %q lies below itself", id)
			path = Segment(id)
		}
		f.paths[id] = path
		f.b.Tenant(path).At = at
		if path != id {
			f.b.Alias(id, path)
		}
	}
}

// path is false when the accounts go in a circle.
func (f *fronteggImport) path(id string, below []string) (string, bool) {
	if slices.Contains(below, id) {
		return "", false
	}
	parent := f.accounts[id].parent
	if parent == "" {
		return Segment(id), true
	}
	above, ok := f.path(parent, append(below, id))
	return above + "." + Segment(id), ok
}

// catalog declares the permissions, but for those that stand for others.
func (f *fronteggImport) catalog() {
	if len(f.permission) == 0 {
		return
	}
	f.b.Catalog()
	for _, id := range slices.Sorted(maps.Keys(f.permission)) {
		p := f.permission[id]
		category, ok := f.categories[p.category]
		if !ok && p.category != "" && len(f.categories) > 0 {
			f.b.Warn(p.at, CodeUnmapped, p.key, "", "permission %q is of category %q, which is not in the export", p.key, p.category)
		}
		if strings.Contains(p.key, "*") {
			f.b.Count.Permissions.LeftOut++
			continue
		}
		f.b.Permission("-", p.key, Permission{Name: p.name, Description: p.description, Category: category, Class: p.class, At: p.at})
	}
}

func (f *fronteggImport) finishRole(id string) {
	r := f.roles[id]
	r.role.Owner = Root
	if r.account != "" {
		r.role.Owner = f.paths[r.account]
	}
	if len(r.accounts) > 0 && r.account == "" {
		r.role.Visibility = "INCLUDE"
		for _, account := range r.accounts {
			r.role.Include = append(r.role.Include, f.paths[account])
		}
	}
	r.role.Allow = f.statements(r.permissions, r.account != "", r.role.Key, r.role.At)
	r.id = f.b.Role(r.role)
	f.roles[id] = r
}

// statements are the permissions of a role by their ids or keys. A name with `*` is
// all that it matches; of those, a role of an account leaves out what it never has.
func (f *fronteggImport) statements(permissions []string, owned bool, role string, at Place) []Statement {
	var out []Statement
	for _, id := range permissions {
		p, ok := f.permission[id]
		if !ok {
			p.key = id
		}
		switch {
		case strings.Contains(p.key, "*"):
			matching := f.matching(p.key, owned)
			if len(matching) == 0 {
				f.b.Warn(at, CodeUnmapped, role, "", "no permission matches %q of role %q", p.key, role)
			}
			out = append(out, matching...)
		case ok || f.b.PermissionOf("-", id) != nil:
			out = append(out, Statement{Resource: "-", Action: p.key})
		default:
			f.b.Dangling(at, role, "", "role %q has permission %q, which is not in the export", role, id)
		}
	}
	return out
}

func (f *fronteggImport) matching(glob string, owned bool) []Statement {
	var out []Statement
	for _, key := range f.b.Actions("-") {
		if matches(glob, key) && (!owned || f.b.PermissionOf("-", key).Class != "never") {
			out = append(out, Statement{Resource: "-", Action: key})
		}
	}
	return out
}

// matches says whether a name matches a pattern in which `*` stands for any characters,
// dots among them. It looks at each character of both a bounded number of times.
func matches(glob, name string) bool {
	parts := strings.Split(glob, "*")
	last := len(parts) - 1
	name, ok := strings.CutPrefix(name, parts[0])
	if !ok || last == 0 {
		return ok && name == ""
	}
	for _, part := range parts[1:last] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}

// defaults are the roles of new users. An account with defaults of its own has the
// others' too.
func (f *fronteggImport) defaults() {
	root := f.b.Tenant(Root)
	for _, id := range slices.Sorted(maps.Keys(f.roles)) {
		if r := f.roles[id]; r.account == "" {
			root.SignupRoles = appendIf(root.SignupRoles, r.isDefault, r.id)
			root.FirstRoles = appendIf(root.FirstRoles, r.forFirstUser, r.id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.roles)) {
		r := f.roles[id]
		if r.account == "" || !r.isDefault && !r.forFirstUser {
			continue
		}
		t := f.b.Tenant(f.paths[r.account])
		if !t.Override {
			t.Override = true
			t.SignupRoles = f.visible(root.SignupRoles, f.paths[r.account])
			t.FirstRoles = f.visible(root.FirstRoles, f.paths[r.account])
		}
		t.SignupRoles = appendIf(t.SignupRoles, r.isDefault, r.id)
		t.FirstRoles = appendIf(t.FirstRoles, r.forFirstUser, r.id)
	}
}

// visible are those of root's roles that may be given at a node.
func (f *fronteggImport) visible(roles []string, node string) []string {
	return slices.DeleteFunc(slices.Clone(roles), func(id string) bool {
		r := f.b.RoleOf(id)
		return r.Visibility == "INCLUDE" && !slices.Contains(r.Include, node)
	})
}

func appendIf(list []string, there bool, name string) []string {
	if !there {
		return list
	}
	return append(list, name)
}

// resolve finds a role by its id, or by its key: the account's own before root's.
func (f *fronteggImport) resolve(account, name string) (id string, ok bool) {
	if r, ok := f.roles[name]; ok {
		return r.id, r.id != ""
	}
	own := f.paths[account] + "." + name
	if f.b.RoleOf(own) != nil {
		return own, true
	}
	r := f.b.RoleOf(name)
	return name, r != nil && r.Owner == Root
}

// bounded drops everything that is said of a user in the accounts where it is disabled,
// and bounds what it has where it is for some time only.
func (f *fronteggImport) bounded(parts []Member) []Member {
	out, until := map[string]bool{}, map[string]int64{}
	for _, m := range parts {
		if _, ok := m.Extra[fronteggOut]; ok {
			out[m.Node] = true
		}
		if end, err := strconv.ParseInt(m.Extra[fronteggUntil], 10, 64); err == nil {
			until[m.Node] = end
		}
	}
	for _, m := range parts {
		if end := until[m.Node]; end > 0 {
			for i := range m.Grants {
				m.Grants[i].Windows = []Window{{0, end}}
			}
		}
	}
	return slices.DeleteFunc(parts, func(m Member) bool {
		if out[m.Node] {
			f.b.Count.Grants.LeftOut += len(m.Grants)
		}
		return out[m.Node]
	})
}

func (f *fronteggImport) place(_ string, parts []Member) []Member {
	parts = f.bounded(parts)
	for i := range parts {
		m := &parts[i]
		account := m.Node
		m.Node = f.paths[account]
		kept := m.Grants[:0]
		for _, g := range m.Grants {
			id, ok := f.resolve(account, g.Role)
			if !ok {
				f.b.Count.Grants.LeftOut++
				f.b.Dangling(m.At, m.ID, "", "%q has role %q, which is not in the export", m.ID, g.Role)
				continue
			}
			kept = append(kept, Grant{Role: id, Windows: g.Windows})
		}
		m.Grants = kept
	}
	return parts
}
