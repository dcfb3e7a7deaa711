package reference

import (
	"strings"
	"unicode"
)

// root is the key of the node above all tenants.
const root = "@root"

// N1: a node covers a path iff it is @root, equals the path, or is a whole-segment prefix of it.
func n1Covers(node, path string) bool {
	return node == root || node == path || strings.HasPrefix(path, node+".")
}

// N1, definitions: a well-formed path is @root, or non-empty segments without `$`, `@`, `*`, white
// space or control characters, joined by dots.
func n1WellFormed(path string) bool {
	if path == root {
		return true
	}
	for segment := range strings.SplitSeq(path, ".") {
		if segment == "" || strings.ContainsFunc(segment, n1Refuses) {
			return false
		}
	}
	return true
}

// N1, definitions: the characters that no segment may hold.
func n1Refuses(r rune) bool {
	return r == '$' || r == '@' || r == '*' || unicode.IsSpace(r) || unicode.Is(unicode.Cc, r)
}

// ancestry is the node and its ancestors, deepest first; they come from splitting its key.
func ancestry(node string) []string {
	var nodes []string
	for node != root {
		nodes = append(nodes, node)
		cut := strings.LastIndexByte(node, '.')
		if cut < 0 {
			break
		}
		node = node[:cut]
	}
	return append(nodes, root)
}

// deeper is the lower one of two nodes on one line of ancestors.
func deeper(a, b string) string {
	if n1Covers(a, b) {
		return b
	}
	return a
}

// N2: tenants are keyed by path; aliases, one step, are applied first.
func n2Alias(rbac map[string]any, name string) string {
	if tenant, ok := textField(rbac, "aliases", name); ok {
		return tenant
	}
	return name
}

// N7: whether a tenant is registered.
func n7Registered(rbac map[string]any, tenant string) bool {
	_, ok := object(rbac["tenants"])[tenant]
	return ok
}

// N8: the deepest registered tenant that covers the path.
func n8Deepest(rbac map[string]any, path string) string {
	for _, node := range ancestry(path) {
		if n7Registered(rbac, node) {
			return node
		}
	}
	return root
}
