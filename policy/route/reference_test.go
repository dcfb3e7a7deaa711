package route_test

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/rolegate/rolegate/policy/route"
)

// This is the route table as its description reads, slow and literal: every route
// is tried, those that match are ranked. It shares no code with the package and
// works on the document itself.

// candidate is a route that matches a request, and how specifically.
type candidate struct {
	set, id string
	route   map[string]any
	same    bool // trailing_slash
	params  map[string][]string
	rests   map[string]bool
	rank    []int
}

// candidates are all routes that match, in no particular order.
func candidates(doc map[string]any, req route.Request) []candidate {
	var list []candidate
	for _, setName := range slices.Sorted(maps.Keys(doc)) {
		set := doc[setName].(map[string]any)
		for _, item := range set["routes"].([]any) {
			r := item.(map[string]any)
			hosts := texts(r["hosts"])
			if hosts == nil {
				hosts = texts(set["hosts"])
			}
			c := candidate{
				set: setName, id: r["id"].(string), route: r, same: set["trailing_slash"] == "same",
				params: map[string][]string{}, rests: map[string]bool{},
			}
			hostRank, ok1 := rankHost(hosts, req.Host)
			pathRank, ok2 := c.rankPath(r["path"].(string), req.Segments)
			methodRank, ok3 := rankMethod(texts(r["methods"]), req.Method)
			if ok1 && ok2 && ok3 {
				c.rank = append(append(hostRank, pathRank...), methodRank)
				list = append(list, c)
			}
		}
	}
	return list
}

func texts(value any) []string {
	var list []string
	if value != nil {
		for _, item := range value.([]any) {
			list = append(list, item.(string))
		}
	}
	return list
}

// Ranks: smaller is more specific.

func rankHost(hosts []string, host string) ([]int, bool) {
	if len(hosts) == 0 {
		return []int{2, 0}, true
	}
	best, found := []int{3, 0}, false
	for _, h := range hosts {
		rank := []int{0, 0}
		if suffix, wild := strings.CutPrefix(h, "*"); wild {
			if !strings.HasSuffix(host, suffix) || host == suffix {
				continue
			}
			rank = []int{1, -len(h)}
		} else if h != host {
			continue
		}
		if slices.Compare(rank, best) < 0 {
			best, found = rank, true
		}
	}
	return best, found
}

func rankMethod(methods []string, method string) (int, bool) {
	switch {
	case slices.Contains(methods, method):
		return 0, true
	case method == "HEAD" && slices.Contains(methods, "GET"):
		return 1, true
	case slices.Contains(methods, "*"):
		return 2, true
	}
	return 3, false
}

func (c *candidate) rankPath(pattern string, segments []string) ([]int, bool) {
	steps := strings.Split(pattern[1:], "/")
	if c.same {
		steps, segments = withoutSlash(steps), withoutSlash(segments)
	}
	var rank []int
	for i, s := range steps {
		inner, isParam := strings.CutPrefix(s, "{")
		inner = strings.TrimSuffix(inner, "}")
		if name, isRest := strings.CutSuffix(inner, "..."); isParam && isRest {
			if len(segments) == i && !c.same {
				return nil, false
			}
			c.params[name], c.rests[name] = segments[i:], true
			return append(rank, 2), true
		}
		if i >= len(segments) {
			return nil, false
		}
		switch {
		case isParam && segments[i] != "":
			c.params[inner] = segments[i : i+1]
			rank = append(rank, 1)
		case !isParam && segments[i] == s:
			rank = append(rank, 0)
		default:
			return nil, false
		}
	}
	return append(rank, 0), len(segments) == len(steps)
}

func withoutSlash(segments []string) []string {
	if n := len(segments); n > 0 && segments[n-1] == "" {
		return segments[:n-1]
	}
	return segments
}

// winner is the most specific candidate; rivals of equal rank are an error.
func winner(list []candidate) (*candidate, error) {
	if len(list) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return slices.Compare(a.rank, b.rank) })
	if len(list) > 1 && slices.Compare(list[0].rank, list[1].rank) == 0 {
		return nil, fmt.Errorf("%s:%s and %s:%s are of equal rank %v", list[0].set, list[0].id, list[1].set, list[1].id, list[0].rank)
	}
	return &list[0], nil
}

// reference is what Resolve must answer.
func reference(doc map[string]any, req route.Request) route.Match {
	c, err := winner(candidates(doc, req))
	if err != nil {
		return route.Match{Error: err.Error()}
	}
	if c == nil {
		return route.Match{Error: "no_route"}
	}
	m := route.Match{Set: c.set, ID: c.id, Public: c.route["public"] == true, RolesAny: texts(c.route["roles_any"])}
	at, _ := c.route["at"].(string)
	relative := strings.HasPrefix(at, ".")
	var place string
	for _, f := range []struct {
		key string
		to  *string
	}{{"resource", &m.Resource}, {"action", &m.Action}, {"tenant", &m.Tenant}, {"at", &place}, {"owner", &m.Owner}} {
		text, _ := c.route[f.key].(string)
		value, missing := c.fill(f.key, text, req)
		if missing != "" {
			return route.Match{Error: "route_incomplete", Missing: missing}
		}
		*f.to = value
	}
	if m.Action != "" && m.Resource == "" {
		m.Resource = "-"
	}
	m.Path = place
	if relative {
		tenant := m.Tenant
		if req.Alias != nil {
			if other, known := req.Alias(tenant); known {
				tenant = other
			}
		}
		m.Path = tenant + place
		if tenant == "@root" {
			m.Path = place[1:]
		}
	}
	for name, segments := range c.params {
		if m.Params == nil {
			m.Params = map[string]string{}
		}
		m.Params[name] = strings.Join(segments, "/")
	}
	return m
}

// fill replaces each placeholder of a template.
func (c *candidate) fill(key, text string, req route.Request) (value, missing string) {
	if text == "" {
		return "", ""
	}
	whole := regexp.MustCompile(`^\{(claim|ext)\.[^}]*\}$`).MatchString(text)
	value = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllStringFunc(text, func(placeholder string) string {
		name := strings.TrimSuffix(placeholder[1:len(placeholder)-1], "...")
		var values []string
		kind, inner, _ := strings.Cut(name, ".")
		readers := map[string]func(string) (string, bool){
			"claim": req.Claim, "ext": req.Extension, "query": req.Query, "header": req.Header,
		}
		switch read, known := readers[kind]; {
		case name == "host":
			values = []string{req.Host}
		case name == "subject.id":
			values = []string{req.SubjectID}
		case known && inner != "":
			if read != nil {
				v, _ := read(inner)
				values = []string{v}
			}
		default:
			values = c.params[name]
			if c.rests[name] {
				values = withoutSlash(values)
			}
		}
		if key == "tenant" || key == "at" {
			escaped := make([]string, len(values))
			for i, v := range values {
				escaped[i] = escapeSlowly(v, whole && key == "tenant")
			}
			values = escaped
		}
		joined := strings.Join(values, ".")
		if joined == "" {
			missing = cmp.Or(missing, name)
		}
		return joined
	})
	return value, missing
}

// escapeSlowly is the escape as its description reads.
func escapeSlowly(value string, keepDots bool) string {
	var b strings.Builder
	for _, s := range strings.SplitAfter(value, "") {
		r := []rune(s)
		broken := len(s) == 1 && s[0] >= 0x80
		switch {
		case s == "":
		case broken, strings.ContainsAny(s, "%@*$"), s == "." && !keepDots, unicode.IsSpace(r[0]), unicode.IsControl(r[0]):
			for i := range len(s) {
				fmt.Fprintf(&b, "%%%02X", s[i])
			}
		default:
			b.WriteString(s)
		}
	}
	return b.String()
}
