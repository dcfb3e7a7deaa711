package strict

import (
	"fmt"
	"slices"

	"github.com/agnivade/levenshtein"
)

// Nearest answers the name that was probably meant by word, "" when none is near:
// at most a third of the longer one's characters differ. Two neighbors that changed
// places are one difference.
func Nearest(word string, names []string) string {
	best, least := "", 0
	for _, name := range slices.Sorted(slices.Values(names)) {
		d := distance(word, name)
		if d > max(1, max(len(word), len(name))/3) {
			continue
		}
		if best == "" || d < least {
			best, least = name, d
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

func distance(a, b string) int {
	if len(a) == len(b) {
		for i := range len(a) - 1 {
			if a[i] != b[i] {
				if a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:] {
					return 1
				}
				break
			}
		}
	}
	return levenshtein.ComputeDistance(a, b)
}
