package importer

import (
	"maps"
	"slices"
)

// dataFile is one of the small files of a bundle.
type dataFile struct {
	root   string // below data
	value  map[string]any
	levels int // that are written line by line
}

// small is everything but the members, as a bundle has it.
func (b *Builder) small() []dataFile {
	files := []dataFile{{"rbac/roles", b.roleData(), 3}, {"rbac/tenants", b.tenantData(), 3}}
	if b.catalog != nil {
		files = append(files, dataFile{"rbac/catalog", b.catalogData(), 2})
	}
	if len(b.issuers) > 0 {
		files = append(files, dataFile{"rbac/issuers", b.issuerData(), 1})
	}
	if len(b.aliases) > 0 {
		aliases := map[string]any{}
		for name, path := range b.aliases {
			aliases[name] = path
		}
		files = append(files, dataFile{"rbac/aliases", aliases, 1})
	}
	if len(b.keys) > 0 {
		files = append(files, dataFile{"rbac/api_keys", b.keyData(), 1})
	}
	return files
}

func (b *Builder) roleData() map[string]any {
	out := map[string]any{}
	for id, r := range b.roles {
		o := ordered{{"owner", r.Owner}, {"key", r.Key}}
		o.text("name", r.Name)
		o.text("description", r.Description)
		if r.Predefined {
			o.text("type", "predefined")
		}
		o.add("level", r.Level, r.Level != 0)
		o.text("visibility", r.Visibility)
		o.add("include", marks(r.Include), len(r.Include) > 0)
		o.add("windows", r.Windows, len(r.Windows) > 0)
		o.add("allow", statements(r.Allow), len(r.Allow) > 0)
		o.add("deny", statements(r.Deny), len(r.Deny) > 0)
		out[id] = o
	}
	return out
}

func marks(names []string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		out[name] = true
	}
	return out
}

func statements(list []Statement) map[string]any {
	out := map[string]any{}
	for _, s := range list {
		actions, _ := out[s.Resource].(map[string]any)
		if actions == nil {
			actions = map[string]any{}
			out[s.Resource] = actions
		}
		targets, _ := actions[s.Action].(map[string]any)
		if targets == nil {
			targets = map[string]any{}
			actions[s.Action] = targets
		}
		target := s.Target
		if target == "" {
			target = "."
		}
		targets[target] = true
	}
	return out
}

// tenantData has every tenant, and those above each.
func (b *Builder) tenantData() map[string]any {
	out := map[string]any{Root: ordered{}}
	for path, t := range b.tenants {
		for _, above := range ancestors(path) {
			if b.tenants[above] == nil {
				out[above] = ordered{}
			}
		}
		out[path] = t.data()
	}
	return out
}

func (t *Tenant) data() ordered {
	o := ordered{}
	o.add("base_roles", sortedSet(t.BaseRoles), len(t.BaseRoles) > 0)
	policy := ordered{}
	policy.add("override", true, t.Override)
	policy.add("signup_roles", sortedSet(t.SignupRoles), len(t.SignupRoles) > 0)
	policy.add("first_user_roles", sortedSet(t.FirstRoles), len(t.FirstRoles) > 0)
	policy.add("idp_default_roles", sortedSet(t.IDPRoles), len(t.IDPRoles) > 0)
	o.add("policy", policy, len(policy) > 0)
	implicit := map[string]any{}
	for fact, rules := range t.Implicit {
		implicit[fact] = ruleData(rules)
	}
	o.add("implicit", implicit, len(implicit) > 0)
	o.add("conditional_roles", t.Conditional, len(t.Conditional) > 0)
	return o
}

// ruleData sorts rules and says each once.
func ruleData(rules []Rule) []ruleJSON {
	out := make([]ruleJSON, 0, len(rules))
	for _, r := range rules {
		enabled := (*bool)(nil)
		if r.Disabled {
			enabled = new(false)
		}
		out = append(out, ruleJSON{r.Role, sortedSet(r.All), enabled})
	}
	slices.SortFunc(out, compareRules)
	return slices.CompactFunc(out, func(a, b ruleJSON) bool { return compareRules(a, b) == 0 })
}

type ruleJSON struct {
	Role    string   `json:"role"`
	All     []string `json:"all,omitempty"`
	Enabled *bool    `json:"enabled,omitempty"`
}

func compareRules(a, b ruleJSON) int {
	switch {
	case a.Role != b.Role:
		return slices.Compare([]string{a.Role}, []string{b.Role})
	case slices.Compare(a.All, b.All) != 0:
		return slices.Compare(a.All, b.All)
	case (a.Enabled == nil) == (b.Enabled == nil):
		return 0
	case a.Enabled == nil:
		return -1
	default:
		return 1
	}
}

func sortedSet(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

func (b *Builder) catalogData() map[string]any {
	out := map[string]any{}
	for resource, actions := range b.catalog {
		declared := map[string]any{}
		for action, p := range actions {
			o := ordered{}
			o.text("name", p.Name)
			o.text("description", p.Description)
			o.text("category", p.Category)
			o.text("class", p.Class)
			o.add("managed", true, p.Managed)
			declared[action] = o
		}
		out[resource] = declared
	}
	return out
}

func (b *Builder) issuerData() map[string]any {
	out := map[string]any{}
	for iss, i := range b.issuers {
		o := ordered{{"authority", i.Authority}}
		o.text("tenant", i.Tenant)
		out[iss] = o
	}
	return out
}

func (b *Builder) keyData() map[string]any {
	out := map[string]any{}
	for sum, k := range b.keys {
		o := ordered{{"id", k.ID}}
		o.text("kind", k.Kind)
		o.text("tenant", k.Tenant)
		o.add("expires", k.Expires, k.Expires != 0)
		out[sum] = o
	}
	return out
}

// nodes are all tenants, the root among them.
func (b *Builder) nodes() []string {
	return slices.Sorted(maps.Keys(b.tenantData()))
}
