package policies

import (
	"maps"
	"slices"
)

// Neighbors lists documents that differ from in at one place: without it, or with another
// value there, of each kind that a policy may tell apart; and those with something at a
// place that is named and not there. in is not changed.
func (v Vocabulary) Neighbors(in any) []any {
	var list []any
	var walk func(path []any, at any)
	walk = func(path []any, at any) {
		for _, value := range []any{false, true, nil, "z", 1, map[string]any{}, map[string]any{"z": "z"}, []any{}, []any{"z"}} {
			list = append(list, put(in, path, value))
		}
		if len(path) > 0 {
			list = append(list, without(in, path))
		}
		switch at := at.(type) {
		case map[string]any:
			list = append(list, put(in, append(slices.Clone(path), "z"), "z"))
			for _, k := range slices.Sorted(maps.Keys(at)) {
				walk(append(slices.Clone(path), k), at[k])
			}
		case []any:
			list = append(list, put(in, append(slices.Clone(path), len(at)), "z"))
			for i := range at {
				walk(append(slices.Clone(path), i), at[i])
			}
		}
	}
	walk(nil, in)
	named := slices.Clone(v.Paths)
	for _, path := range v.Paths {
		for _, members := range v.Members {
			named = append(named, slices.Concat(path, members))
		}
	}
	for _, path := range named {
		if _, ok := find(in, path); !ok {
			list = append(list, put(in, path, false), put(in, path, "z"), put(in, path, map[string]any{}))
		}
	}
	return list
}
