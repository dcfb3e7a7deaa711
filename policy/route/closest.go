package route

import (
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// maxCompared bounds what is compared letter by letter: the cost is the product
// of the lengths, and names of documents are short.
const maxCompared = 64

// closest is the candidate that name is most likely a misspelling of, or "". Of
// equally close ones the first in the list.
func closest(name string, candidates []string) string {
	best, bestDistance := "", 1+max(1, utf8.RuneCountInString(name)/3)
	for _, c := range candidates {
		if d := distance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the edit distance; of long strings, whether they differ at all.
func distance(a, b string) int {
	if a == b {
		return 0
	}
	if len(a) > maxCompared || len(b) > maxCompared {
		return maxCompared
	}
	return levenshtein.ComputeDistance(a, b)
}
