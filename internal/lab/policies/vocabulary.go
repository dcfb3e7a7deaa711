package policies

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Vocabulary is what inputs are made of. Keys and Leaves must not be empty.
type Vocabulary struct {
	Paths [][]any // of members that a policy names, none empty; elements are strings, or ints for elements of arrays
	// Members are paths that a policy reads below something that has another name than
	// the input; none empty; there may be none.
	Members [][]any
	Keys    []string
	Leaves  []any // strings, booleans, numbers, nil
}

// Input makes an input document: most of the paths with something at them, and some
// members that nobody asked for.
func (v Vocabulary) Input(r *rand.Rand) any {
	if r.IntN(60) == 0 {
		return v.Leaf(r)
	}
	var doc any = map[string]any{}
	for range r.IntN(3) {
		doc = put(doc, []any{v.key(r)}, v.Value(r, 2))
	}
	for _, path := range v.Paths {
		if r.IntN(4) == 0 {
			continue
		}
		doc = put(doc, path, v.at(r))
	}
	return doc
}

// at makes the value at a path that is read: often a leaf, for leaves are compared.
func (v Vocabulary) at(r *rand.Rand) any {
	switch n := r.IntN(12); {
	case n < 5:
		return v.Leaf(r)
	case n < 7:
		return v.Value(r, 2)
	default:
		return v.object(r)
	}
}

// object has members that are read, with leaves.
func (v Vocabulary) object(r *rand.Rand) any {
	var object any = map[string]any{}
	for range 1 + r.IntN(2) {
		object = put(object, []any{v.key(r)}, v.Leaf(r))
	}
	for _, path := range v.Members {
		if r.IntN(3) > 0 {
			object = put(object, path, v.Leaf(r))
		}
	}
	return object
}

// Leaf is a scalar.
func (v Vocabulary) Leaf(r *rand.Rand) any { return v.Leaves[r.IntN(len(v.Leaves))] }

func (v Vocabulary) key(r *rand.Rand) string { return v.Keys[r.IntN(len(v.Keys))] }

// Value makes any value, at most depth deep.
func (v Vocabulary) Value(r *rand.Rand, depth int) any {
	switch n := r.IntN(10); {
	case depth > 0 && n < 4:
		object := map[string]any{}
		for range r.IntN(4) {
			object[v.key(r)] = v.Value(r, depth-1)
		}
		return object
	case depth > 0 && n == 4:
		array := []any{}
		for range r.IntN(4) {
			array = append(array, v.Value(r, depth-1))
		}
		return array
	default:
		return v.Leaf(r)
	}
}

// Mutate answers a document that differs from in at one place, or not at all. in is not changed.
func (v Vocabulary) Mutate(r *rand.Rand, in any) any {
	if len(v.Paths) > 0 && r.IntN(3) == 0 {
		path := v.Paths[r.IntN(len(v.Paths))]
		if len(v.Members) > 0 && r.IntN(2) == 0 {
			path = slices.Concat(path, v.Members[r.IntN(len(v.Members))])
		}
		return v.mutateAt(r, in, path)
	}
	switch in := in.(type) {
	case map[string]any:
		return v.mutateObject(r, in)
	case []any:
		array := slices.Clone(in)
		if len(array) == 0 || r.IntN(3) == 0 {
			return append(array, v.Value(r, 1))
		}
		i := r.IntN(len(array))
		array[i] = v.Mutate(r, array[i])
		return array
	default:
		return v.Value(r, 1)
	}
}

func (v Vocabulary) mutateObject(r *rand.Rand, in map[string]any) any {
	object := maps.Clone(in)
	keys := slices.Sorted(maps.Keys(object))
	what := r.IntN(7)
	if len(keys) == 0 || what == 0 {
		object[v.key(r)] = v.Value(r, 2)
		return object
	}
	k := keys[r.IntN(len(keys))]
	switch what {
	case 1:
		delete(object, k)
	case 2:
		object[k] = v.Value(r, 1)
	default:
		object[k] = v.Mutate(r, object[k])
	}
	return object
}

// mutateAt changes the value at a path, or the members below it; or makes it that of
// another path, for values are compared with each other.
func (v Vocabulary) mutateAt(r *rand.Rand, in any, path []any) any {
	if other, ok := find(in, v.Paths[r.IntN(len(v.Paths))]); ok && r.IntN(4) == 0 {
		return put(in, path, other)
	}
	switch old, ok := find(in, path); {
	case ok && r.IntN(4) == 0:
		return without(in, path)
	case ok && r.IntN(2) == 0:
		return put(in, path, v.Mutate(r, old))
	default:
		return put(in, path, v.at(r))
	}
}

// find answers what stands at a path.
func find(doc any, path []any) (any, bool) {
	for _, k := range path {
		switch at := doc.(type) {
		case map[string]any:
			key, isKey := k.(string)
			below, ok := at[key]
			if !isKey || !ok {
				return nil, false
			}
			doc = below
		case []any:
			i, ok := k.(int)
			if !ok || i >= len(at) {
				return nil, false
			}
			doc = at[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// put answers doc with a value at a path, over whatever is in its way.
func put(doc any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	switch k := path[0].(type) {
	case string:
		object, _ := doc.(map[string]any)
		object = maps.Clone(object)
		if object == nil {
			object = map[string]any{}
		}
		object[k] = put(object[k], path[1:], value)
		return object
	case int:
		array, _ := doc.([]any)
		array = slices.Clone(array)
		for len(array) <= k {
			array = append(array, nil)
		}
		array[k] = put(array[k], path[1:], value)
		return array
	default:
		return doc
	}
}

// without answers doc without the member at a path. Elements of arrays are nulled: the
// others keep their places.
func without(doc any, path []any) any {
	parent, ok := find(doc, path[:len(path)-1])
	if !ok {
		return doc
	}
	switch parent := parent.(type) {
	case map[string]any:
		object := maps.Clone(parent)
		if key, ok := path[len(path)-1].(string); ok {
			delete(object, key)
		}
		return put(doc, path[:len(path)-1], object)
	case []any:
		if i, ok := path[len(path)-1].(int); ok && i == len(parent)-1 {
			return put(doc, path[:len(path)-1], slices.Clone(parent[:i]))
		}
		return put(doc, path, nil)
	default:
		return doc
	}
}
