package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// stytchImport reads an export of Stytch B2B: the project's policy, organizations and
// their policies, connections, members.
//
// A session's JWT carries the roles of its member, implicit ones among them, so its
// issuer is believed about roles. The rules are imported too: they say who has a role
// without a session (rolegate role search), and decide for sessions that tell their
// connections.
type stytchImport struct {
	b       *Builder
	policy  Place            // of the project's policy, once it is read
	orgs    map[string]Place // organizations with a record
	named   map[string]Place // organizations that anything names, where first
	seen    map[string]Place // connections and organizations' policies
	rules   []stytchRule
	implied map[string]bool // organization, fact and role of a rule
}

// stytchRule is an implicit role assignment.
type stytchRule struct {
	org, fact, role string
	at              Place
}

// Names of Stytch's own that mean something.
const (
	stytchEverybody = "stytch_member" // every member has it
	stytchCreator   = "stytch_admin"  // who makes an organization has it
	stytchOwn       = "stytch."       // resources of Stytch itself
	stytchDirect    = "direct_assignment"
)

func stytch(b *Builder) Vendor {
	s := &stytchImport{
		b: b, orgs: map[string]Place{}, named: map[string]Place{}, seen: map[string]Place{}, implied: map[string]bool{},
	}
	has := func(field string) func(*Object) bool { return func(o *Object) bool { return o.Has(field) } }
	return Vendor{
		Name:      "stytch",
		Lists:     []string{"members", "organizations", "connections", "saml_connections", "oidc_connections", "external_connections", "clients"},
		Authority: "token_roles",
		Kinds: []Kind{
			{"organization_policies", has("org_policy"), s.organizationPolicy},
			{"policy", has("policy"), s.projectPolicy},
			{"members", has("member_id"), s.member},
			{"connections", has("connection_id"), s.connection},
			{"clients", has("client_id"), s.client},
			{"organizations", func(o *Object) bool {
				return o.Has("organization_id") && o.Has("organization_name") || o.Has("email_allowed_domains")
			}, s.organization},
			// What answers the question for a single one.
			{"member", has("member"), s.wrapped("member", s.member)},
			{"connection", has("connection"), s.wrapped("connection", s.connection)},
			{"organization", has("organization"), s.wrapped("organization", s.organization)},
		},
		Page:   s.page,
		Finish: s.finish,
		Place:  s.place,
	}
}

// wrapped reads the object in an answer.
func (s *stytchImport) wrapped(field string, read func(*Object)) func(*Object) {
	return func(o *Object) {
		s.answer(o)
		// Answers about one member repeat its organization; it is a record of its own.
		o.Known("organization_id", "member_id", "organization")
		read(o.Object(field))
	}
}

// answer knows what stands around everything that the API answers.
func (s *stytchImport) answer(o *Object) { o.Known("request_id", "status_code") }

func (s *stytchImport) page(o *Object, _ int64) Page {
	s.answer(o)
	meta := o.Object("results_metadata")
	total, known := meta.Integer("total")
	return Page{Total: total, Known: known, More: meta.Text("next_cursor") != "", Ends: known}
}

// once says whether a thing is read for the first time.
func (s *stytchImport) once(seen map[string]Place, what, id string, o *Object) bool {
	if before, ok := seen[id]; ok {
		s.b.Fault(o.At(""), CodeDuplicate, id, fmt.Sprintf("the first one is at %s", before), "%s %q is in the export twice", what, id)
		return false
	}
	seen[id] = o.At("")
	return true
}

// organizationOf is the organization that a record is of.
func (s *stytchImport) organizationOf(o *Object, kind string) string {
	id := o.Text("organization_id")
	if id == "" {
		id = o.Of()
	}
	if id == "" {
		s.b.Fault(o.At(""), CodeField, kind, fmt.Sprintf("name the file %s:ORGANIZATION_ID=FILE", kind), "nothing says which organization this is of")
		return ""
	}
	if _, ok := s.named[id]; !ok {
		s.named[id] = o.At("")
	}
	return id
}

func (s *stytchImport) projectPolicy(o *Object) {
	s.answer(o)
	if s.policy != (Place{}) {
		s.b.Fault(o.At(""), CodeDuplicate, "policy", fmt.Sprintf("the first one is at %s", s.policy), "there is a policy of the project already")
		return
	}
	s.policy = o.At("")
	p := o.Object("policy")
	s.b.Catalog()
	for _, r := range p.Objects("resources") {
		s.resource(r)
	}
	for _, r := range p.Objects("roles") {
		s.role(Root, r)
	}
	for _, scope := range p.Objects("scopes") {
		scope.Known("description", "permissions")
		scope.Warn("", CodeUnmapped, "scope %q is left out: scopes are given to applications, not to members", scope.Text("scope"))
	}
}

func (s *stytchImport) resource(o *Object) {
	id := o.Need("resource_id")
	description := o.Text("description")
	s.b.Resource(id)
	for _, action := range o.Texts("actions") {
		if action == "*" {
			continue // every action of the resource, not one of them
		}
		s.b.Count.Permissions.Read++
		s.b.Permission(id, action, Permission{
			Description: description, Managed: strings.HasPrefix(id, stytchOwn), At: o.At(""),
		})
	}
}

func (s *stytchImport) role(owner string, o *Object) {
	s.b.Count.Roles.Read++
	r := Role{Owner: owner, Key: o.Need("role_id"), Description: o.Text("description"), At: o.At(""), Said: map[Statement]Place{}}
	for _, p := range o.Objects("permissions") {
		resource := p.Need("resource_id")
		for _, action := range p.Texts("actions") {
			statement := Statement{Resource: resource, Action: action}
			r.Allow = append(r.Allow, statement)
			r.Said[statement] = p.At("")
		}
	}
	s.b.Role(r)
}

func (s *stytchImport) organizationPolicy(o *Object) {
	s.answer(o)
	org := s.organizationOf(o, "organization_policies")
	if org == "" || !s.once(s.seen, "the policy of organization", "policy of "+org, o) {
		o.Known("org_policy")
		return
	}
	for _, r := range o.Object("org_policy").Objects("roles") {
		s.role(Segment(org), r)
	}
}

func (s *stytchImport) organization(o *Object) {
	o.Known("organization_name", "organization_logo_url", "trusted_metadata", "created_at", "updated_at", "mfa_policy", "mfa_methods", "allowed_mfa_methods",
		"auth_methods", "allowed_auth_methods", "email_invites", "email_jit_provisioning", "email_allowed_domains", "sso_jit_provisioning",
		"sso_jit_provisioning_allowed_connections", "sso_default_connection_id", "sso_active_connections", "scim_active_connection",
		"oauth_tenant_jit_provisioning", "allowed_oauth_tenants", "claimed_email_domains", "first_party_connected_apps_allowed_type",
		"allowed_first_party_connected_apps", "third_party_connected_apps_allowed_type", "allowed_third_party_connected_apps",
		"custom_roles", "logo_url")
	id := s.organizationOf(o, "organizations")
	if id == "" || !s.once(s.orgs, "organization", id, o) {
		return
	}
	s.b.Count.Tenants.Read++
	path := Segment(id)
	s.b.Tenant(path).At = o.At("")
	for _, other := range []string{id, o.Text("organization_slug"), o.Text("organization_external_id")} {
		if other != "" && other != path {
			s.b.Alias(other, path)
		}
	}
	for _, rule := range o.Objects("rbac_email_implicit_role_assignments") {
		s.rule(id, "email:"+strings.ToLower(rule.Need("domain")), rule)
	}
}

func (s *stytchImport) connection(o *Object) {
	o.Known("display_name", "status", "identity_provider", "idp_entity_id", "idp_sso_url", "acs_url", "audience_uri", "attribute_mapping", "signing_certificates",
		"verification_certificates", "alternative_audience_uri", "alternative_acs_url", "nameid_format", "client_id", "client_secret", "issuer", "authorization_url",
		"token_url", "userinfo_url", "jwks_url", "redirect_url", "custom_scopes", "base_url", "bearer_token_last_four", "bearer_token_expires_at",
		"next_bearer_token_last_four", "next_bearer_token_expires_at", "external_organization_id", "external_connection_id", "idp_initiated_auth_disabled",
		"saml_encryption_private_keys", "allow_gateway_callback")
	id := o.Need("connection_id")
	org := s.organizationOf(o, "connections")
	if org == "" || !s.once(s.seen, "connection", id, o) {
		return
	}
	for _, field := range []string{"saml_connection_implicit_role_assignments", "connection_implicit_role_assignments"} {
		for _, rule := range o.Objects(field) {
			s.rule(org, "conn:"+id, rule)
		}
	}
	for _, field := range []string{"saml_group_implicit_role_assignments", "group_implicit_role_assignments"} {
		for _, rule := range o.Objects(field) {
			s.rule(org, "group:"+id+"|"+rule.Need("group"), rule)
		}
	}
	for _, rule := range o.Objects("scim_group_implicit_role_assignments") {
		rule.Known("group_name")
		s.rule(org, "group:"+id+"|"+rule.Need("group_id"), rule)
	}
}

func (s *stytchImport) rule(org, fact string, o *Object) {
	s.b.Count.Rules.Read++
	s.rules = append(s.rules, stytchRule{org: org, fact: fact, role: o.Need("role_id"), at: o.At("")})
}

func (s *stytchImport) client(o *Object) {
	o.Known("client_name", "client_description", "scopes", "status", "trusted_metadata", "client_secret_last_four", "next_client_secret_last_four", "client_type",
		"full_access_allowed", "redirect_urls", "access_token_expiry_minutes", "access_token_custom_audience", "access_token_template_content")
	s.b.Count.Members.Read++
	s.b.Count.Members.LeftOut++
	o.Warn("", CodeUnmapped, "client %q is left out: it has scopes and no roles", o.Text("client_id"))
}

func (s *stytchImport) member(o *Object) {
	o.Known("name", "external_id", "trusted_metadata", "untrusted_metadata", "created_at", "updated_at", "email_address_verified", "is_breakglass", "is_admin",
		"member_password_id", "oauth_registrations", "retired_email_addresses", "mfa_enrolled", "mfa_phone_number", "mfa_phone_number_verified",
		"default_mfa_method", "totp_registration_id", "is_locked", "lock_created_at", "lock_expires_at")
	s.b.Count.Members.Read++
	id := o.Need("member_id")
	org := s.organizationOf(o, "members")
	status := o.Text("status")
	m := Member{ID: id, Node: org, Kind: "user", Email: o.Text("email_address"), From: "members", At: o.At("")}
	s.registrations(o, &m)
	m.Extra = map[string]string{}
	for _, role := range o.Objects("roles") {
		s.b.Count.Grants.Read++
		s.assignment(role, &m)
	}
	switch {
	case org == "" || id == "":
	case status == "deleted":
		s.b.Count.Members.LeftOut++
		s.b.Count.Grants.LeftOut += len(m.Grants) + len(m.Extra)
		o.Warn("status", CodeUnmapped, "member %q is deleted, and left out", id)
	default:
		s.b.Member(m)
	}
}

// registrations are what the directory knows of the member; searches ask it.
func (s *stytchImport) registrations(o *Object, m *Member) {
	m.SSO = map[string]SSO{}
	for _, r := range o.Objects("sso_registrations") {
		r.Known("registration_id", "external_id")
		attributes := r.Object("sso_attributes")
		attributes.Known(attributes.Names()...)
		var groups []string
		if list, ok := attributes.Value("groups").([]any); ok {
			for _, g := range list {
				if name, ok := g.(string); ok {
					groups = append(groups, name)
				}
			}
		}
		m.SSO[r.Need("connection_id")] = SSO{Groups: groups}
	}
	if r := o.Object("scim_registration"); r != nil {
		r.Known("registration_id", "external_id")
		attributes := r.Object("scim_attributes")
		attributes.Known(attributes.Names()...)
		var groups []string
		for _, g := range attributes.Objects("groups") {
			g.Known("display")
			groups = append(groups, g.Need("value"))
		}
		m.SSO[r.Need("connection_id")] = SSO{Groups: groups}
	}
}

// assignment takes one role of a member by its sources. What rules give they give
// again; to record it would keep it when the rule or the fact is gone.
func (s *stytchImport) assignment(o *Object, m *Member) {
	role := o.Need("role_id")
	if role == stytchEverybody {
		o.Known("sources")
		s.b.Count.Grants.Rederived++
		return
	}
	var facts []string
	direct := false
	for _, source := range o.Objects("sources") {
		details := source.Object("details")
		switch kind := source.Text("type"); kind {
		case stytchDirect:
			details.Known(details.Names()...)
			direct = true
		case "email_assignment":
			facts = append(facts, "email:"+strings.ToLower(details.Text("email_domain")))
		case "sso_connection":
			facts = append(facts, "conn:"+details.Text("connection_id"))
		case "sso_connection_group":
			facts = append(facts, "group:"+details.Text("connection_id")+"|"+details.Text("group"))
		case "scim_connection_group":
			details.Known("group_name")
			facts = append(facts, "group:"+details.Text("connection_id")+"|"+details.Text("group_id"))
		default:
			details.Known(details.Names()...)
			source.Warn("type", CodeUnmapped, "role %q of member %q has a source %q that is not known: it gives nothing", role, m.ID, kind)
		}
	}
	switch {
	case direct:
		m.Grants = append(m.Grants, Grant{Role: role})
		return
	case len(facts) == 0:
		s.b.Count.Grants.LeftOut++
		o.Warn("", CodeUnmapped, "role %q of member %q is left out: nothing says where it comes from", role, m.ID)
		return
	}
	m.Extra[role] = strings.Join(facts, "\n")
}

// resolve finds the role that an organization means: its own, or else the project's.
func (s *stytchImport) resolve(org, role string) (id string, ok bool) {
	own := Segment(org) + "." + role
	if s.b.RoleOf(own) != nil {
		return own, true
	}
	return role, s.b.RoleOf(role) != nil && s.b.RoleOf(role).Owner == Root
}

func (s *stytchImport) finish() {
	s.organizations()
	s.ownResources()
	s.b.CheckStatements()
	s.defaults()
	for _, r := range s.rules {
		id, ok := s.resolve(r.org, r.role)
		if !ok {
			s.b.Count.Rules.LeftOut++
			s.b.Dangling(r.at, r.role, "", "the rule for %s gives role %q, which is neither the project's nor the organization's", r.fact, r.role)
			continue
		}
		s.b.Implicit(Segment(r.org), r.fact, Rule{Role: id})
		s.implied[r.org+"\n"+r.fact+"\n"+id] = true
	}
	s.rules = nil
}

// organizations makes tenants of what is named without a record, if there is a record
// of none at all: then the export is without them. Otherwise one is missing.
func (s *stytchImport) organizations() {
	for id, at := range s.named {
		if _, ok := s.orgs[id]; ok {
			continue
		}
		if len(s.orgs) > 0 {
			s.b.Dangling(at, id, "", "there is no organization %q among the %d of the export", id, len(s.orgs))
		}
		s.b.Tenant(Segment(id)).At = at
		s.b.Count.Tenants.Read++
	}
}

// ownResources declares those of Stytch's own resources that roles name and the policy
// does not: it need not list them.
func (s *stytchImport) ownResources() {
	missing := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(s.b.roles)) {
		for _, statement := range s.b.roles[id].Allow {
			r := statement.Resource
			if !strings.HasPrefix(r, stytchOwn) || !missing[r] && s.b.HasResource(r) {
				continue
			}
			missing[r] = true
			s.b.Resource(r)
			if statement.Action != "*" && s.b.PermissionOf(r, statement.Action) == nil {
				s.b.Permission(r, statement.Action, Permission{Managed: true, At: s.b.roles[id].At})
			}
		}
	}
}

// defaults are the roles that Stytch gives by their names.
func (s *stytchImport) defaults() {
	root := s.b.Tenant(Root)
	if s.b.RoleOf(stytchEverybody) != nil {
		root.BaseRoles = append(root.BaseRoles, stytchEverybody)
	}
	if s.b.RoleOf(stytchCreator) != nil {
		root.FirstRoles = append(root.FirstRoles, stytchCreator)
	}
}

func (s *stytchImport) place(_ string, parts []Member) []Member {
	for i := range parts {
		m := &parts[i]
		org := m.Node
		m.Node = Segment(org)
		kept := m.Grants[:0]
		for _, g := range m.Grants {
			id, ok := s.resolve(org, g.Role)
			if !ok {
				s.b.Count.Grants.LeftOut++
				s.b.Dangling(m.At, m.ID, "", "member %q has role %q, which is neither the project's nor the organization's", m.ID, g.Role)
				continue
			}
			kept = append(kept, Grant{Role: id})
		}
		m.Grants = kept
		for role, facts := range m.Extra {
			s.rederive(m, org, role, strings.Split(facts, "\n"))
		}
		m.Extra = nil
	}
	return parts
}

// rederive looks for the rules that a role is said to come from.
func (s *stytchImport) rederive(m *Member, org, role string, facts []string) {
	id, _ := s.resolve(org, role)
	for _, fact := range facts {
		if s.implied[org+"\n"+fact+"\n"+id] {
			s.b.Count.Grants.Rederived++
			return
		}
	}
	s.b.Count.Grants.LeftOut++
	s.b.Warn(m.At, CodeUnmapped, m.ID, "give the organizations and connections too", "member %q has role %q by a rule for %s that is not in the export",
		m.ID, role, strings.Join(facts, ", "))
}
