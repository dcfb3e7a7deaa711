package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolegate/rolegate/policy"
)

// names is what exists in the data, so that what does not is never taken for a no.
// It decides nothing.
type names struct {
	rbac  map[string]any
	alias func(string) (string, bool)
}

func newNames(view policy.View) names {
	rbac, _ := view.Snapshot().Data()["rbac"].(map[string]any)
	return names{rbac: rbac, alias: view.Alias}
}

func (n names) object(path ...string) map[string]any {
	at := n.rbac
	for _, name := range path {
		at, _ = at[name].(map[string]any)
	}
	return at
}

// node is the tenant that a name stands for.
func (n names) node(tenant string) string {
	if to, ok := n.alias(tenant); ok {
		return to
	}
	return tenant
}

func (n names) tenant(name string) error {
	tenants := n.object("tenants")
	if _, ok := tenants[n.node(name)]; ok || len(tenants) == 0 {
		return nil
	}
	return unknownName("tenant", name, keys(tenants, n.object("aliases")), few("tenants", keys(tenants)))
}

// subject wants a record, somewhere.
func (n names) subject(id string) error {
	members := n.object("members")
	known := []string{}
	for node := range members {
		records := n.object("members", node)
		if _, ok := records[id]; ok {
			return nil
		}
		known = append(known, keys(records)...)
	}
	if len(members) == 0 {
		return nil
	}
	return unknownName("member", id, known, "a subject at the command line is one with a record in data.rbac.members")
}

func (n names) permission(resource, action string) error {
	var known []string
	if catalog := n.object("catalog"); catalog != nil {
		for r := range catalog {
			for a := range n.object("catalog", r) {
				known = append(known, r+":"+a)
			}
		}
		if _, ok := n.object("catalog", resource)[action]; ok {
			return nil
		}
		return unknownName("permission", resource+":"+action, known, fmt.Sprintf("the catalog declares %d", len(known)))
	}
	// Without a catalog, what no role speaks of cannot be meant.
	for role := range n.object("roles") {
		for _, side := range [...]string{"allow", "deny"} {
			for r := range n.object("roles", role, side) {
				for a := range n.object("roles", role, side, r) {
					if (r == resource || r == "*") && (a == action || a == "*") {
						return nil
					}
					known = append(known, r+":"+a)
				}
			}
		}
	}
	if len(n.object("roles")) == 0 {
		return nil
	}
	return unknownName("permission", resource+":"+action, known, "no role speaks of it")
}

// record is the deepest record of a subject at place or above it, nil when there is
// none, and its node.
func (n names) record(id, place string) (node string, record map[string]any) {
	for node := place; ; {
		if record, ok := n.object("members", node)[id].(map[string]any); ok {
			return node, record
		}
		if node == "@root" {
			return "", nil
		}
		if i := strings.LastIndex(node, "."); i >= 0 {
			node = node[:i]
		} else {
			node = "@root"
		}
	}
}

func keys(objects ...map[string]any) []string {
	var all []string
	for _, o := range objects {
		for k := range o {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return all
}

// few names some of what there is.
func few(kind string, names []string) string {
	const most = 8
	if len(names) <= most {
		return kind + ": " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s: %s and %d more", kind, strings.Join(names[:most], ", "), len(names)-most)
}
