package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// shownBytes is how much of a body Envoy shows rolegate.
const shownBytes = 256

// mostAmount is the most that the policy lets anybody pay; less passes.
const mostAmount = 100

// forbiddenWord is what no note may hold.
const forbiddenWord = "forbidden"

// body is the body of a request.
type body struct {
	kind string // content type
	text string
	sins string // why it must not pass; "" when it may, if it is shown whole
	// chunked leaves its length out; lie has the client say that it is not cut.
	chunked, lie bool
}

// anyBody makes a body for what is asked. Of those that are too long the part that is
// shown is innocent, and mostly whole by itself.
func anyBody(r *rand.Rand, a action) *body {
	b := &body{kind: "application/json", chunked: r.IntN(2) == 0, lie: r.IntN(4) == 0}
	size := []int{40, shownBytes - 1, shownBytes, shownBytes + 1, 2 * shownBytes, 100 * shownBytes}[r.IntN(6)]
	if a == note {
		b.kind = "text/plain"
		b.text = pad("a note", size, "")
		if r.IntN(2) == 0 {
			b.text, b.sins = pad("a note", size, forbiddenWord), "holds the word"
		}
		return b
	}
	little, much := fmt.Sprintf(`"amount": %d`, r.IntN(mostAmount)), fmt.Sprintf(`"amount": %d`, mostAmount+r.IntN(mostAmount))
	switch r.IntN(5) {
	case 0, 1:
		b.text = pad("{"+little, size, "}")
	case 2:
		b.text, b.sins = pad("{"+much, size, "}"), "pays too much"
	case 3: // the last of two counts
		b.text, b.sins = pad("{"+little, size, ", "+much+"}"), "pays too much at its end"
	default: // a whole document, and another after it
		b.text, b.sins = pad("{"+little+"}", size, "{"+much+"}"), "pays a second time"
	}
	return b
}

// pad puts spaces between two texts until there are size bytes, or more of themselves.
func pad(begin string, size int, end string) string {
	return begin + strings.Repeat(" ", max(0, size-len(begin)-len(end))) + end
}
