package rbac

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rolegate/rolegate/policy"
)

// World is what members refer to: the tenants and the roles of all bundles
// together. Its maps are read, never changed.
type World struct {
	tenants map[string]any
	roles   map[string]any
}

// NewWorld reads the whole document data.rbac.
func NewWorld(doc any) World {
	return World{tenants: object(doc, "tenants"), roles: object(doc, "roles")}
}

// Members checks the members' records in a part of the document data.rbac, as one
// bundle gives it. The work grows with the records and their grants only.
func (w World) Members(doc any) []Fault {
	var out collector
	nodes := object(doc, "members")
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		if _, ok := w.tenants[node]; !ok {
			out.add(Fault{AtKey: true, Problem: policy.Problem{
				Code: CodeUnknownTenant, Subject: node, Path: []string{"rbac", "members", node},
				Message: fmt.Sprintf("there are members of %q, which is not a tenant", node),
				Hint:    DidYouMean(node, slices.Sorted(maps.Keys(w.tenants))),
			}})
		}
		records, _ := nodes[node].(map[string]any)
		for principal, record := range records {
			w.member(&out, node, principal, record)
		}
	}
	return out.done()
}

// member checks one record. It looks at nothing but the record and the world, so
// that records may come from a stream as well.
func (w World) member(out *collector, node, principal string, record any) {
	r, ok := record.(map[string]any)
	if !ok {
		return // of the wrong shape, which Shape says
	}
	// The path is made only for a fault: there are millions of records, few of them wrong.
	fault := func(code string, atKey bool, hint, message string, below ...string) {
		out.add(Fault{AtKey: atKey, Problem: policy.Problem{
			Code: code, Subject: node + ":" + principal,
			Path:    append([]string{"rbac", "members", node, principal}, below...),
			Message: message, Hint: hint,
		}})
	}
	if kind, ok := r["kind"]; ok && !isKind(kind) {
		text, _ := kind.(string)
		fault(CodeKind, false, DidYouMean(text, kinds()), "kind: want one of user, m2m, api_key, external, got "+Kind(kind), "kind")
	}
	v, ok := r["grants"]
	if !ok {
		return
	}
	grants, ok := v.(map[string]any)
	if !ok {
		fault(CodeShape, false, "", "grants: want an object of roles with their windows, got "+Kind(v), "grants")
		return
	}
	for role, windows := range grants {
		if why := badWindows(windows); why != "" {
			fault(CodeWindow, false, "", fmt.Sprintf("the windows of %q: %s", role, why), "grants", role)
		}
		definition, ok := w.roles[role]
		switch {
		case !ok:
			fault(CodeUnknownRole, true, w.nearRole(role), fmt.Sprintf("role %q does not exist", role), "grants", role)
		case !visible(definition, node):
			fault(CodeNotVisible, true, "", fmt.Sprintf("role %q is not visible at %q", role, node), "grants", role)
		}
	}
}

// nearRole looks through few roles only: it is asked once per fault.
func (w World) nearRole(role string) string {
	const few = 10_000
	if len(w.roles) > few {
		return ""
	}
	return DidYouMean(role, slices.Sorted(maps.Keys(w.roles)))
}

// visible says whether a role, as data.rbac.roles has it, is visible at a node
// (N12). What is no role at all is of the wrong shape, and that is said elsewhere.
func visible(role any, node string) bool {
	r, ok := role.(map[string]any)
	if !ok {
		return true
	}
	owner, _ := r["owner"].(string)
	if owner == node {
		return true
	}
	if owner != Root {
		return false
	}
	switch r["visibility"] {
	case nil, "ALL":
		return true
	case "INCLUDE":
		include, _ := r["include"].(map[string]any)
		return include[node] == true
	default:
		return false
	}
}
