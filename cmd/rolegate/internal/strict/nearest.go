package strict

import (
	"fmt"
	"slices"

	"github.com/agnivade/levenshtein"
)

// Nearest answers the name that was probably meant by word, "" when none is near:
// at most a third of the longer one's characters differ, or two swapped ones.
func Nearest(word string, names []string) string {
	best, distance := "", 0
	for _, name := range slices.Sorted(slices.Values(names)) {
		d := levenshtein.ComputeDistance(word, name)
		longer := max(len(word), len(name))
		if d > max(longer/3, min(2, longer/2)) {
			continue
		}
		if best == "" || d < distance {
			best, distance = name, d
		}
	}
	return best
}

// didYouMean is a hint at the nearest name, "" when none is near.
func didYouMean(word string, names []string) string {
	if name := Nearest(word, names); name != "" {
		return fmt.Sprintf("did you mean %q?", name)
	}
	return ""
}
