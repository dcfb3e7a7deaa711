package world

import "slices"

// growIssuers trusts issuers of each authority, some of them for one node only.
func (w *World) growIssuers(d dice) {
	documents := map[string]any{}
	for _, entry := range []issuer{
		{name: "bundle", authority: "bundle"},
		{name: "roles", authority: "token_roles"},
		{name: "permissions", authority: "token_permissions"},
		{name: "roles-bound", authority: "token_roles", tenant: pick(d, w.tenants...)},
		{name: "permissions-bound", authority: "token_permissions", tenant: pick(d, w.tenants...)},
		{name: "plain"},
		{name: "5"}, // a number is no name, though an evaluator may read data under it
		{name: "", tenant: pick(d, w.tenants...)},
		{name: "odd", authority: pick(d, "token", "BUNDLE", "")},
	} {
		if d.chance(15) {
			continue
		}
		document := map[string]any{}
		if entry.authority != "" || entry.name == "odd" {
			document["authority"] = entry.authority
		}
		if entry.tenant != "" {
			document["tenant"] = entry.tenant
		}
		documents[entry.name] = document
		w.issuers = append(w.issuers, entry)
	}
	w.rbac["issuers"] = documents
}

// growAliases names tenants by other names: also by names of other tenants, and in chains that are not
// followed.
func (w *World) growAliases(d dice) {
	if d.chance(30) {
		return
	}
	aliases := map[string]any{"uuid-1": pick(d, w.tenants...), "uuid-2": "uuid-1", "uuid-3": pick(d, w.places...), "5": pick(d, w.tenants...)}
	if d.chance(15) {
		aliases[pick(d, w.tenants...)] = pick(d, w.tenants...)
	}
	if d.chance(10) {
		aliases[""] = pick(d, w.tenants...)
	}
	for name := range aliases {
		w.aliases = append(w.aliases, name)
	}
	slices.Sort(w.aliases)
	w.rbac["aliases"] = aliases
}

// growExtensions gives some principals results of a user's own rules. The empty principal stands for
// requests without one.
func (w *World) growExtensions(d dice) {
	if d.chance(60) {
		return
	}
	for _, principal := range append(slices.Clone(w.principals), "") {
		results := map[string]any{}
		if d.chance(12) {
			results["deny"] = list(some(d, 2, []string{"custom", "zz-late", "after_hours", "allowed", "explicit_deny"}))
		}
		if d.chance(15) {
			results["allow"] = list(some(d, 1, []string{"on_call"}))
		}
		if d.chance(30) {
			results["candidates"] = w.extensionCandidates(d)
		}
		if d.chance(20) {
			results["valid_until"] = []any{number(d.mark())}
		}
		w.extensions[principal] = results
	}
}

func (w *World) extensionCandidates(d dice) []any {
	var found []any
	for range 1 + d.IntN(2) {
		entry := map[string]any{"role": pick(d, w.roleIDs...), "node": pick(d, w.tenants...)}
		if d.chance(70) {
			entry["windows"] = d.windows(50)
		}
		found = append(found, entry)
	}
	return found
}
