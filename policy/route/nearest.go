package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Public lists the routes that need no subject, as "GET /healthz (set:id)", in the
// order of the document.
func (t *Table) Public() []string {
	return t.list(func(r *route) bool { return r.public })
}

// Incomplete lists the routes that ask the role library nothing: no action, no
// roles_any, and not public. It denies all of them, so the author may have
// forgotten something, unless a policy of their own goes by the id.
func (t *Table) Incomplete() []string {
	return t.list(func(r *route) bool { return !r.public && len(r.action.parts) == 0 && len(r.rolesAny) == 0 })
}

func (t *Table) list(wanted func(*route) bool) []string {
	if t == nil {
		return nil
	}
	var list []string
	for _, r := range t.routes {
		if wanted(r) {
			list = append(list, r.String())
		}
	}
	return list
}

// asks is the route's methods and path.
func (r *route) asks() string { return strings.Join(r.methods, ",") + " " + r.pattern.text }

// String is "GET /v1/{tenant}/documents (set:id)".
func (r *route) String() string { return fmt.Sprintf("%s (%s)", r.asks(), r.subject()) }

// Nearest lists at most n routes that a request nearly takes, the nearest first,
// each with what differs: "GET /healthz (set:id): other method". It is for
// explanations: its cost grows with the table.
func (t *Table) Nearest(req Request, n int) []string {
	if t == nil || n <= 0 {
		return nil
	}
	type near struct {
		cost int
		text string
	}
	var list []near
	for _, r := range t.routes {
		if cost, differs := r.nearness(&req); cost < tooFar {
			list = append(list, near{cost, r.String() + differs})
		}
	}
	slices.SortFunc(list, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.text, b.text))
	})
	var texts []string
	for _, l := range list[:min(n, len(list))] {
		texts = append(texts, l.text)
	}
	return texts
}

// What a difference costs in Nearest.
const (
	costMethod  = 1
	costSlash   = 1 // a trailing slash
	costLetter  = 2 // of a segment that is near
	costSegment = 4 // one too many, or too few
	costHost    = 6
	costOther   = 8 // a segment that is not near
	tooFar      = 12
)

// nearness is what separates a request from the route, and says it.
func (r *route) nearness(req *Request) (cost int, differs string) {
	var words []string
	if cost = r.pathCost(req.Segments); cost > 0 {
		words = append(words, "path")
	}
	if !slices.ContainsFunc(keysOf(r.hosts), func(h string) bool { return covers(h, req.Host) }) {
		cost += costHost
		words = append(words, "host")
	}
	if !r.takesMethod(req.Method) {
		cost += costMethod
		words = append(words, "method")
	}
	if words == nil {
		return cost, ""
	}
	return cost, ": other " + strings.Join(words, " and ")
}

func (r *route) takesMethod(method string) bool {
	return slices.ContainsFunc(r.methods, func(m string) bool {
		return m == anyMethod || m == method || m == "GET" && method == "HEAD"
	})
}

// pathCost compares segment by segment. A path that shares no literal with the
// route's is too far, however short it is.
func (r *route) pathCost(segments []string) int {
	cost, shared := 0, false
	steps := r.matched()
	if n := len(segments); r.sameSlash && n > 0 && segments[n-1] == "" {
		segments = segments[:n-1]
	}
	if n := len(steps) - 1; n >= 0 && steps[n].kind == stepRest {
		if len(segments) <= n && !r.sameSlash {
			cost += costSlash
		}
		steps, segments = steps[:n], segments[:min(n, len(segments))]
	}
	both := min(len(steps), len(segments))
	for i, s := range steps[:both] {
		c := s.cost(segments[i])
		if cost += c; cost >= tooFar {
			return tooFar
		}
		shared = shared || s.kind == stepLiteral && c < costOther
	}
	for _, s := range steps[both:] {
		cost += costOfOne(s.kind == stepLiteral && s.text == "")
	}
	for _, segment := range segments[both:] {
		cost += costOfOne(segment == "")
	}
	if cost > 0 && !shared {
		return tooFar
	}
	return cost
}

// costOfOne is the cost of one segment that the other path lacks.
func costOfOne(slash bool) int {
	if slash {
		return costSlash
	}
	return costSegment
}

// cost is what separates one segment from the step.
func (s step) cost(segment string) int {
	switch {
	case s.kind == stepOne && segment == "":
		return costSegment
	case s.kind == stepOne || s.text == segment:
		return 0
	}
	if closest(segment, []string{s.text}) == "" {
		return costOther
	}
	return min(costOther, costLetter*distance(s.text, segment))
}
