package importer

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// waltid reads roles, their assignments and external role mappings of walt.id's
// Enterprise Stack. A role's id is a path: who owns the role is all of it but the last
// name, and there every grant of the role is recorded, so that an account of an
// organization can hold a tenant's role.
//
// API keys and super admins come as plain ids, so the user says which file holds them.
func waltid(b *Builder) Vendor {
	w := &waltidImport{b: b, roles: map[string]bool{}, sums: map[string]string{}}
	return Vendor{
		Name: "waltid", Authority: "bundle",
		Kinds: []Kind{
			{Name: "roles", Is: hasAll("_id", "permissions"), Read: w.role},
			{Name: "mappings", Is: hasAll("externalRole", "roleId"), Read: w.mapping},
			{Name: "account_roles", Is: hasAll("account"), Read: w.accountRole},
			{Name: "apikey_roles", Is: hasAll("apikey"), Read: w.apikeyRole},
			{Name: "accounts", Is: hasAll("_id", "email"), Read: w.account},
			{Name: "apikeys", Read: w.apikey},
			{Name: "tenants", Read: w.tenant},
			{Name: "super_admins", Read: w.superAdmin},
		},
		Finish: w.finish, Place: w.place,
	}
}

// waltidSuperAdmin is the role of super admins, who have none at walt.id.
const waltidSuperAdmin = "super-admin"

type waltidImport struct {
	b             *Builder
	roles         map[string]bool
	sums          map[string]string // ids of keys, by the SHA-256 of their secrets
	mappings      []waltidMapping
	hasSuperAdmin bool
}

type waltidMapping struct {
	node, role, external, provider string
	all                            [][]string // each is enough
	disabled                       bool
	at                             Place
}

// wellFormed says whether a path is one to the model (N1), the root apart.
func wellFormed(path string) bool {
	for segment := range strings.SplitSeq(path, ".") {
		if segment == "" || strings.ContainsFunc(segment, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("$@*", r)
		}) {
			return false
		}
	}
	return true
}

// path reads a resource's identifier; "" and a fault when it is none.
func (w *waltidImport) path(o *Object, field string) string {
	path := o.Need(field)
	if path != "" && !wellFormed(path) {
		o.Fault(field, CodeField, "%s: want a path like waltid.tenant1, got %q", field, path)
		return ""
	}
	return path
}

// splitLast is a path's parent and last name; the parent is "" when there is none.
func splitLast(path string) (parent, name string) {
	at := strings.LastIndexByte(path, '.')
	return path[:max(at, 0)], path[at+1:]
}

func (w *waltidImport) role(o *Object) {
	w.b.Count.Roles.Read++
	id := w.path(o, "_id")
	owner, key := splitLast(id)
	r := Role{Owner: owner, Key: key, Name: o.Text("name"), Description: o.Text("description"), At: o.At("")}
	for _, p := range o.Objects("permissions") {
		s := Statement{Resource: "-", Action: p.Need("action"), Target: w.path(p, "target")}
		if strings.EqualFold(s.Action, "all") {
			s.Resource, s.Action = "*", "*"
		}
		switch operation := p.Need("operation"); operation {
		case "ADD":
			r.Allow = append(r.Allow, s)
		case "REMOVE":
			r.Deny = append(r.Deny, s)
		case "":
		default:
			p.Fault("operation", CodeField, "operation: want ADD or REMOVE, got %q", operation)
		}
	}
	switch {
	case id == "":
	case owner == "":
		o.Fault("_id", CodeField, "_id: want a role's path like waltid.admin, got %q", id)
	default:
		w.b.Tenant(owner)
		w.roles[id] = true
		w.b.Role(r)
	}
}

func (w *waltidImport) tenant(o *Object) {
	w.b.Count.Tenants.Read++
	if path := w.path(o, "_id"); path != "" {
		w.b.Tenant(path).At = o.At("")
	}
	o.Known(o.Names()...)
}

func (w *waltidImport) mapping(o *Object) {
	w.b.Count.Rules.Read++
	m := waltidMapping{
		role: w.path(o, "roleId"), external: o.Need("externalRole"), provider: o.Text("providerId"),
		disabled: o.Has("enabled") && !o.Flag("enabled"), all: [][]string{nil}, at: o.At(""),
	}
	m.node, _ = splitLast(m.role)
	conditions := o.Object("conditions")
	domains, isList := []string(nil), conditions.Has("emailDomains")
	if isList {
		domains = conditions.Texts("emailDomains")
	}
	claims := conditions.Object("claims")
	for _, name := range conditions.Names() {
		if name != "emailDomains" && name != "claims" {
			// A condition that is dropped would give the role to more than it was meant for.
			o.Warn("conditions", CodeUnmapped, "the mapping of %q to %s has the condition %q, which there is no rule for: it is left out", m.external, m.role, name)
			conditions.Known(name)
			w.b.Count.Rules.LeftOut++
			return
		}
	}
	if isList {
		m.all = each(m.all, "email:", domains, strings.ToLower)
		if len(domains) == 0 {
			o.Warn("conditions", CodeUnmapped, "the mapping of %q to %s has an empty list of emailDomains, which nobody is in", m.external, m.role)
		}
	}
	for _, name := range claims.Names() {
		values := []string{}
		if _, ok := claims.Value(name).([]any); ok {
			values = claims.Texts(name)
		} else {
			values = append(values, claims.Text(name))
		}
		m.all = each(m.all, "claim:"+name+"=", values, func(s string) string { return s })
	}
	w.mappings = append(w.mappings, m)
}

// each multiplies alternatives by the values of one more condition.
func each(all [][]string, fact string, values []string, write func(string) string) [][]string {
	out := make([][]string, 0, len(all)*len(values))
	for _, facts := range all {
		for _, value := range values {
			out = append(out, append(slices.Clip(facts), fact+write(value)))
		}
	}
	return out
}

func (w *waltidImport) finish() {
	if w.hasSuperAdmin {
		w.b.Role(Role{
			Owner: Root, Key: waltidSuperAdmin, Name: "Super admin", Visibility: "NONE",
			Allow: []Statement{{"*", "*", Root}},
		})
	}
	for _, m := range w.mappings {
		if !w.roles[m.role] {
			w.b.Dangling(m.at, m.role, "export the roles of all organizations and tenants", "a mapping to role %q, which is not among the roles", m.role)
			w.b.Count.Rules.LeftOut++
			continue
		}
		fact := "extrole:" + m.external
		if m.provider != "" {
			fact = "extrole:" + m.provider + "|" + m.external
		}
		for _, all := range m.all {
			w.b.Implicit(m.node, fact, Rule{Role: m.role, All: all, Disabled: m.disabled})
		}
	}
}

func (w *waltidImport) account(o *Object) {
	w.b.Count.Members.Read++
	m := Member{ID: o.Need("_id"), Kind: "user", Email: o.Text("email"), Grants: w.grants(o), From: "accounts", Extra: disabled(o), At: o.At("")}
	o.Known("name", "organization", "organizations", "createdAt", "created", "token", "tokens")
	w.b.Member(m)
}

// disabled notes an account or key that may not be used.
func disabled(o *Object) map[string]string {
	if !o.Has("enabled") || o.Flag("enabled") {
		return nil
	}
	return map[string]string{"disabled": "true"}
}

// grants are the roles that an account or key is listed with.
func (w *waltidImport) grants(o *Object) []Grant {
	var grants []Grant
	for _, role := range o.Texts("roles") {
		w.b.Count.Grants.Read++
		grants = append(grants, Grant{Role: role})
	}
	return grants
}

// apikey reads a key. Its secret is in no export; sha256, which the user may add, is
// what requests are recognized by.
func (w *waltidImport) apikey(o *Object) {
	w.b.Count.Members.Read++
	id := w.path(o, "_id")
	m := Member{ID: id, Kind: "api_key", Grants: w.grants(o), From: "apikeys", Extra: disabled(o), At: o.At("")}
	parent, _ := splitLast(id)
	switch {
	case parent != "":
		w.b.Tenant(parent)
	case id != "":
		o.Fault("_id", CodeField, "_id: want a key's path like waltid.key1, got %q", id)
	}
	expires, _ := o.Instant("expires")
	if sum := o.Text("sha256"); sum != "" {
		if len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" {
			o.Fault("sha256", CodeField, "sha256: want 64 lower-case hexadecimal digits")
		}
		if before, ok := w.sums[sum]; ok {
			o.Fault("sha256", CodeDuplicate, "%q and %q have one sha256", before, id)
		}
		w.sums[sum] = id
		if m.Extra == nil {
			w.b.APIKey(sum, APIKey{ID: id, Kind: "api_key", Tenant: parent, Expires: expires})
		}
	}
	o.Known("name", "description", "createdAt", "created")
	if id != "" {
		w.b.Member(m)
	}
}

func (w *waltidImport) superAdmin(o *Object) {
	w.b.Count.Members.Read++
	w.b.Count.Grants.Read++
	w.hasSuperAdmin = true
	w.b.Member(Member{
		ID: o.Need("_id"), Node: Root, Kind: "user", Email: o.Text("email"),
		Grants: []Grant{{Role: waltidSuperAdmin}}, From: "super_admins", At: o.At(""),
	})
	o.Known("name")
}

func (w *waltidImport) accountRole(o *Object) { w.assigned(o, "account", "user") }

func (w *waltidImport) apikeyRole(o *Object) { w.assigned(o, "apikey", "api_key") }

// assigned reads the body of an assignment. The role, which stands in the address of
// the call, is beside it or said of the file.
func (w *waltidImport) assigned(o *Object, who, kind string) {
	w.b.Count.Grants.Read++
	role := o.Of()
	if role == "" || o.Has("roleId") {
		role = w.path(o, "roleId")
	}
	m := Member{ID: o.Need(who), Kind: kind, At: o.At("")} // From stays empty: there is a record per role
	if role != "" {
		m.Grants = []Grant{{Role: role}}
	}
	w.b.Member(m)
}

// place records every grant at the node that owns the role.
func (w *waltidImport) place(id string, parts []Member) []Member {
	var out []Member
	email, kind := "", parts[0].Kind
	for _, part := range parts {
		if part.Extra != nil {
			w.b.Warn(part.At, CodeUnmapped, id, "", "%q is disabled, and left out", id)
			w.b.Count.Members.LeftOut++
			for _, other := range parts {
				w.b.Count.Grants.LeftOut += len(other.Grants)
			}
			return nil
		}
		email = cmp.Or(email, part.Email)
		if part.Kind != kind {
			w.b.Fault(part.At, CodeField, id, "", "%q is an account in one record and an API key in another", id)
		}
	}
	for _, part := range parts {
		for _, g := range part.Grants {
			node, _ := splitLast(g.Role)
			switch {
			case part.Node == Root:
				node = Root
			case !w.roles[g.Role]:
				w.b.Dangling(part.At, id, "export the roles of all organizations and tenants", "%q has role %q, which is not among the roles", id, g.Role)
				w.b.Count.Grants.LeftOut++
				continue
			}
			out = append(out, Member{ID: id, Node: node, Kind: kind, Email: email, Grants: []Grant{g}, At: part.At})
		}
	}
	if len(out) == 0 {
		w.b.Warn(parts[0].At, CodeUnmapped, id, "", "%q has no role, so it is a member of nothing", id)
		w.b.Count.Members.LeftOut++
	}
	return out
}
