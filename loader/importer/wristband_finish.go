package importer

import (
	"fmt"
	"maps"
	"slices"
)

// finish ties together what was read one by one.
func (w *wristbandImport) finish() {
	w.assign()
	for _, id := range slices.Sorted(maps.Keys(w.roles)) {
		w.finishRole(id, w.roles[id])
	}
	w.finishPolicies()
	for _, m := range w.mappings {
		w.finishMapping(m)
	}
}

// assign hands permissions to groups, and both to roles.
func (w *wristbandImport) assign() {
	for _, a := range w.assigned {
		if a.group != "" {
			g, ok := w.groups[a.group]
			if !ok {
				w.b.Dangling(a.at, a.group, "give the file of the groups as permission_groups=FILE", "permissions of group %q, which is not among the permission groups", a.group)
				continue
			}
			g.permissions = append(g.permissions, a.permissions...)
			w.groups[a.group] = g
			continue
		}
		r, ok := w.roles[a.role]
		if !ok {
			w.b.Dangling(a.at, a.role, "", "permissions of role %q, which is not among the roles", a.role)
			continue
		}
		r.assigned = true
		r.permissions = append(r.permissions, a.permissions...)
		r.permissionGroups = append(r.permissionGroups, a.groups...)
	}
}

func (w *wristbandImport) finishRole(id string, r *wristbandRole) {
	r.role.Owner = Root
	if r.ownerType == "TENANT" {
		node, ok := w.tenants[r.owner]
		if !ok {
			w.b.Dangling(r.role.At, id, "export the tenants too", "role %q belongs to tenant %q, which is not among the tenants", id, r.owner)
			w.b.Count.Roles.LeftOut++
			return
		}
		r.role.Owner = node
	} else {
		w.visibility(id, r)
	}
	w.statements(id, r)
	w.ids[id] = w.b.Role(r.role)
}

// visibility is who may be given a role of the application.
func (w *wristbandImport) visibility(id string, r *wristbandRole) {
	what := fmt.Sprintf("the visibility of role %q", id)
	switch r.visibility {
	case "ALL", "ALL_TENANTS":
		r.role.Visibility = "ALL"
	case "NONE", "NO_TENANTS":
		r.role.Visibility = "NONE"
	case "TENANT_INCLUSION_LIST", "INCLUSION_LIST":
		r.role.Visibility, r.role.Include = "INCLUDE", w.nodesOf(r.include, r.role.At, what)
	case "TENANT_EXCLUSION_LIST", "EXCLUSION_LIST":
		r.role.Visibility, r.role.Include = "INCLUDE", w.others(r.exclude, r.role.At, what)
	default:
		w.b.Fault(r.role.At, CodeField, id, "", "tenantVisibility: want ALL, NONE, TENANT_INCLUSION_LIST or TENANT_EXCLUSION_LIST, got %q", r.visibility)
	}
}

// statements flattens the permissions and groups of a role into what it allows.
func (w *wristbandImport) statements(id string, r *wristbandRole) {
	if !r.assigned {
		w.b.Warn(r.role.At, CodeUnmapped, id, "", "the export does not say what role %q allows, so it allows nothing", id)
		return
	}
	own, ok := w.targets(r.boundary, r.role.At, id)
	if !ok {
		return
	}
	w.allow(r, r.permissions, heldOr(own))
	for _, name := range r.permissionGroups {
		g, ok := w.groups[name]
		if !ok {
			w.b.Dangling(r.role.At, id, "give the file of the groups as permission_groups=FILE", "role %q has permission group %q, which is not among them", id, name)
			continue
		}
		targets, ok := w.targets(g.boundary, g.at, name)
		if !ok {
			continue
		}
		both, ok := narrower(own, targets)
		if !ok {
			w.b.Warn(r.role.At, CodeUnmapped, id, "", "role %q and its permission group %q have boundaries of which neither contains the other: the group's permissions are left out", id, name)
			continue
		}
		w.allow(r, g.permissions, heldOr(both))
	}
}

// heldOr answers targets, or without a boundary that of wherever the role is held.
func heldOr(targets []string) []string {
	if targets == nil {
		return []string{"."}
	}
	return targets
}

func (w *wristbandImport) allow(r *wristbandRole, permissions, targets []string) {
	for _, id := range permissions {
		p, ok := w.permissions[id]
		if !ok {
			w.b.Dangling(r.role.At, r.role.Key, "export the predefined permissions too: include_predefined_permissions=true", "role %q has the permission of id %q, which is not among the permissions", r.role.Key, id)
			continue
		}
		for _, target := range targets {
			r.role.Allow = append(r.role.Allow, Statement{p.resource, p.action, target})
		}
	}
}

// targets are those of statements inside a boundary; nil without one.
func (w *wristbandImport) targets(id string, at Place, of string) ([]string, bool) {
	if id == "" {
		return nil, true
	}
	bound, ok := w.boundaries[id]
	if !ok {
		w.b.Dangling(at, of, "give the file of the boundaries as boundaries=FILE", "%q has boundary %q, which is not among the boundaries", of, id)
		return nil, false
	}
	what := fmt.Sprintf("boundary %q", id)
	switch {
	case bound.listed:
		return w.nodesOf(bound.include, bound.at, what), true
	case bound.excluded:
		return w.others(bound.exclude, bound.at, what), true
	}
	switch bound.name {
	case "application":
		return []string{Root}, true
	case "tenant":
		return []string{"."}, true
	case "self":
		return []string{"$self"}, true
	}
	w.b.Fault(bound.at, CodeUnmapped, id, "", "boundary %q is none of application, tenant and self, and lists no tenants", bound.name)
	return nil, false
}

// narrower is the one of two boundaries that lies in the other; false when neither
// is known to.
func narrower(a, b []string) ([]string, bool) {
	all := []string{Root}
	switch {
	case a == nil, slices.Equal(a, all), slices.Equal(a, b):
		return b, true
	case b == nil, slices.Equal(b, all):
		return a, true
	case !slices.ContainsFunc(a, func(target string) bool { return target == "." || target == "$self" || !slices.Contains(b, target) }):
		return a, true
	case !slices.ContainsFunc(b, func(target string) bool { return target == "." || target == "$self" || !slices.Contains(a, target) }):
		return b, true
	}
	return nil, false
}

func (w *wristbandImport) finishPolicies() {
	for _, owner := range slices.Sorted(maps.Keys(w.policies)) {
		p := w.policies[owner]
		node, ok := Root, true
		if !p.application {
			node, ok = w.tenants[owner]
		}
		if !ok {
			w.b.Dangling(p.at, owner, "export the tenants too", "a role assignment policy of tenant %q, which is not among the tenants", owner)
			continue
		}
		if !p.application && len(w.toggles) == 0 {
			w.b.Fault(p.at, CodeField, owner, "give the file of the role assignment policy override toggles as override_toggles=FILE", "a role assignment policy of tenant %q, and nothing that says whether it overrides the application's", owner)
		}
		t := w.b.Tenant(node)
		t.SignupRoles, t.IDPRoles = w.roleIDs(p.signup, p.at, owner), w.roleIDs(p.idp, p.at, owner)
	}
	for _, owner := range slices.Sorted(maps.Keys(w.toggles)) {
		node, ok := w.tenants[owner]
		if !ok {
			w.b.Dangling(w.toggles[owner].at, owner, "export the tenants too", "an override toggle of tenant %q, which is not among the tenants", owner)
			continue
		}
		w.b.Tenant(node).Override = w.toggles[owner].on
	}
}

func (w *wristbandImport) roleIDs(ids []string, at Place, of string) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		role, ok := w.ids[id]
		if !ok {
			w.b.Dangling(at, of, "export the roles too", "the defaults of %q name the role of id %q, which is not among the roles", of, id)
			continue
		}
		out = append(out, role)
	}
	return out
}

// finishMapping makes a rule of a group or role at the tenant's identity provider.
func (w *wristbandImport) finishMapping(m wristbandMapping) {
	node, ok := w.tenants[m.tenant]
	if !ok {
		w.b.Dangling(m.at, m.tenant, "export the tenants too", "a role mapping of tenant %q, which is not among the tenants", m.tenant)
		return
	}
	for _, role := range w.roleIDs(m.roles, m.at, m.tenant) {
		w.b.Implicit(node, "group:"+m.provider+"|"+m.external, Rule{Role: role})
	}
}
