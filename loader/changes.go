package loader

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// changes says in words what is new in a bundle, for whoever just saved a file.
// before is nil for a bundle that is new itself.
func changes(before, after *bundle) []string {
	if before == nil {
		return []string{after.name + " is new"}
	}
	var words []string
	files := maps.Clone(before.sums)
	maps.Copy(files, after.sums)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		old, was := before.sums[name]
		sum, is := after.sums[name]
		switch {
		case kindOf(name) == kindData: // told by what is in it
		case !is:
			words = append(words, after.prefix+name+" removed")
		case !was:
			words = append(words, after.prefix+name+" added")
		case old != sum:
			words = append(words, after.prefix+name+" changed")
		}
	}
	return append(words, dataChanges(before.data, after.data)...)
}

// dataChanges goes one level into data.rbac and data.routes.
func dataChanges(before, after map[string]any) (words []string) {
	for _, name := range differing(before, after) {
		switch name {
		case "rbac":
			was, is := objectOf(before[name]), objectOf(after[name])
			for _, part := range differing(was, is) {
				words = append(words, "rbac/"+part+" changed"+roleChanges(part, objectOf(was[part]), objectOf(is[part])))
			}
		case "routes":
			was, is := objectOf(before[name]), objectOf(after[name])
			for _, set := range differing(was, is) {
				words = append(words, "routes/"+set+" changed")
			}
		default:
			words = append(words, name+" changed")
		}
	}
	return words
}

// roleChanges counts what differs in one part of data.rbac.
func roleChanges(part string, before, after map[string]any) string {
	names := differing(before, after)
	entries := len(names)
	leaves := 0
	for _, name := range names {
		was, is := objectOf(before[name]), objectOf(after[name])
		switch part {
		case "roles":
			leaves += deepChanges(2, objectOf(was["allow"]), objectOf(is["allow"])) + deepChanges(2, objectOf(was["deny"]), objectOf(is["deny"]))
		case "members", "catalog":
			leaves += len(differing(was, is))
		}
	}
	switch part {
	case "roles":
		if leaves > 0 {
			return ": " + count(entries, "role") + ", " + count(leaves, "statement")
		}
		return ": " + count(entries, "role")
	case "tenants":
		return ": " + count(entries, "tenant")
	case "members":
		return ": " + count(leaves, "member") + " of " + count(entries, "tenant")
	case "catalog":
		return ": " + count(leaves, "permission")
	case "issuers", "aliases", "api_keys":
		return ": " + count(entries, "entry")
	default:
		return ""
	}
}

// deepChanges counts the members that differ some levels down.
func deepChanges(levels int, before, after map[string]any) int {
	names := differing(before, after)
	if levels == 1 {
		return len(names)
	}
	n := 0
	for _, name := range names {
		n += deepChanges(levels-1, objectOf(before[name]), objectOf(after[name]))
	}
	return n
}

// differing lists the names whose values are not the same in both objects.
func differing(before, after map[string]any) (names []string) {
	for name, v := range before {
		if w, ok := after[name]; !ok || !same(v, w) {
			names = append(names, name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, cmp.Compare)
	return names
}

// same compares decoded values; [reflect.DeepEqual] takes several times as long,
// and there may be a million members.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, same)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	default:
		return scalar(b) && a == b
	}
}

func scalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	default:
		return true
	}
}

func objectOf(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

// count is "1 role", "2 roles", "2 entries".
func count(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
