package doctor

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// child answers what stands below v under names; nil when nothing does. Envoy's documents
// are read as they are, because decoding them by their types would refuse every
// extension that this program was not built with.
func child(v any, names ...string) any {
	for _, name := range names {
		v = members(v)[name]
	}
	return v
}

func members(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any, name string) []any {
	l, _ := child(v, name).([]any)
	return l
}

func text(v any, names ...string) string {
	s, _ := child(v, names...).(string)
	return s
}

func truth(v any, name string) bool {
	b, _ := child(v, name).(bool)
	return b
}

func typeOf(v any) string {
	_, name, _ := strings.Cut(text(v, "@type"), "/")
	return name
}

func isType(v any, name string) bool { return typeOf(v) == name }

// each calls f for every object in v, in the order of their keys.
func each(v any, f func(v any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			each(v[key], f)
		}
	case []any:
		for _, element := range v {
			each(element, f)
		}
	}
}

// ofType answers the objects of a type in v, but not those of the bootstrap: what is
// configured there stands among the others once more.
func ofType(v any, name string) []any {
	var found []any
	if top := list(v, "configs"); top != nil {
		for _, config := range top {
			if !strings.HasSuffix(typeOf(config), ".BootstrapConfigDump") {
				found = append(found, ofType(config, name)...)
			}
		}
		return found
	}
	each(v, func(v any) {
		if isType(v, name) {
			found = append(found, v)
		}
	})
	return found
}

func compact(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(raw)
}
