package world

import (
	"slices"
	"strings"
)

// longName is as long as a name is likely to be tried.
const longName = 300

// segments are the names of nodes. All but the last four are well formed; those may be registered (no
// code of validation refuses them), but no path through them is well formed.
func segments() []string {
	return []string{
		"a", "ab", "acme", "eu", "x-1", "root", "ünï", "\uff20root", "a\u200bb", strings.Repeat("n", longName),
		"a$b", "s p", "n\u00a0b", "c\u0001",
	}
}

// growTree registers tenants below @root and names resource paths below them.
func (w *World) growTree(d dice) {
	names := segments()
	wellFormed := names[:len(names)-4]
	w.tenants = []string{root}
	for range 4 + d.IntN(6) {
		parent := pick(d, w.tenants...)
		name := pick(d, wellFormed...)
		if d.rare(15) {
			name = pick(d, names...)
		}
		node := below(parent, name)
		if strings.Count(node, ".") > 4 || slices.Contains(w.tenants, node) {
			continue
		}
		w.tenants = append(w.tenants, node)
	}
	w.places = slices.Clone(w.tenants)
	for range 6 {
		w.places = append(w.places, below(pick(d, w.places...), pick(d, wellFormed...)))
	}
	registered := map[string]any{}
	for _, node := range w.tenants {
		registered[node] = map[string]any{}
	}
	if d.rare(20) { // an ancestor that nobody registered
		delete(registered, pick(d, w.tenants...))
	}
	w.rbac["tenants"] = registered
}

// below is a node's child.
func below(node, name string) string {
	if node == root {
		return name
	}
	return node + "." + name
}

// covers is a node at or above a place.
func covers(node, place string) bool {
	return node == root || node == place || strings.HasPrefix(place, node+".")
}

// under are the places at or below a node.
func (w *World) under(node string) []string {
	var found []string
	for _, place := range w.places {
		if covers(node, place) {
			found = append(found, place)
		}
	}
	return found
}

// above are the tenants at or above a place; there is always @root.
func (w *World) above(place string) []string {
	var found []string
	for _, node := range w.tenants {
		if covers(node, place) {
			found = append(found, node)
		}
	}
	return found
}

// near is a tenant about which a question at a node is worth asking.
func (w *World) near(d dice, node string) string {
	var lower []string
	for _, tenant := range w.tenants {
		if covers(node, tenant) {
			lower = append(lower, tenant)
		}
	}
	switch n := d.IntN(20); {
	case n < 11 && len(lower) > 0:
		return pick(d, lower...)
	case n < 16:
		return node
	case n < 18:
		return pick(d, w.above(node)...)
	default:
		return pick(d, w.tenants...)
	}
}
