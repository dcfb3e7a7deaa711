package cases

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// satisfies says whether an answer is what a case expects. Of an object only the keys
// that are expected are compared; lists are compared as sets.
func satisfies(op string, got, want any) bool {
	switch op {
	case "decide":
		expected, ok := want.(map[string]any)
		answer, isObject := got.(map[string]any)
		if !ok || !isObject {
			return false
		}
		return len(differing(expected, answer)) == 0
	case "validate", "validate_change":
		if bounds, ok := want.(map[string]any); ok {
			return within(got, bounds)
		}
	}
	return equal(got, want)
}

// within compares with {"has": […], "not": […]}.
func within(got any, bounds map[string]any) bool {
	found, ok := got.([]any)
	if !ok {
		return false
	}
	contains := func(want any) bool {
		return slices.ContainsFunc(found, func(v any) bool { return equal(v, want) })
	}
	for key, v := range bounds {
		list, ok := v.([]any)
		switch {
		case !ok:
			return false
		case key == "has" && !every(list, contains), key == "not" && slices.ContainsFunc(list, contains):
			return false
		case key != "has" && key != "not":
			return false
		}
	}
	return true
}

func every(list []any, f func(any) bool) bool {
	return !slices.ContainsFunc(list, func(v any) bool { return !f(v) })
}

// equal compares two JSON values, lists as sets and numbers by value.
func equal(a, b any) bool { return canonical(a) == canonical(b) }

// canonical is a text that two equal values share.
func canonical(v any) string {
	switch v := v.(type) {
	case []any:
		texts := make([]string, len(v))
		for i, element := range v {
			texts[i] = canonical(element)
		}
		slices.Sort(texts)
		return fmt.Sprintf("[%q]", slices.Compact(texts))
	case map[string]any:
		var text strings.Builder
		text.WriteString("{")
		for _, key := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&text, "%q:%q,", key, canonical(v[key]))
		}
		return text.String() + "}"
	case json.Number:
		if r, ok := new(big.Rat).SetString(string(v)); ok {
			return r.RatString()
		}
		return string(v)
	case string:
		return fmt.Sprintf("%q", v)
	default:
		return fmt.Sprint(v)
	}
}

// differing names the keys of a decision that are not as expected, sorted.
func differing(want, got map[string]any) []string {
	var keys []string
	for key, v := range want {
		if !equal(got[key], v) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Differences says in lines what was wanted and what came: of an object, only where they
// differ.
func (r Result) Differences() []string {
	want, isObject := r.Want.(map[string]any)
	got, _ := r.Got.(map[string]any)
	if !isObject || got == nil {
		return []string{"want " + oneLine(r.Want), "got  " + oneLine(r.Got)}
	}
	var lines []string
	for _, d := range differing(want, got) {
		value, there := got[d]
		text := "nothing"
		if there {
			text = oneLine(value)
		}
		lines = append(lines, fmt.Sprintf("%s: want %s, got %s", d, oneLine(want[d]), text))
	}
	return lines
}

func oneLine(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
