package route

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Parse reads data.routes as JSON decodes it. It is strict: unknown keys, wrong
// types, templates that can never be filled in, sets that overlap and routes
// whose order would be chance are problems. All are reported, sorted by place; with
// any the table is nil. A nil or empty document is a table that matches nothing.
func Parse(doc map[string]any) (*Table, []Problem) {
	p := &parser{}
	var sets []*set
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		sets = append(sets, p.set(name, doc[name]))
	}
	p.overlaps(sets)
	t := &Table{}
	var groups []group
	for _, s := range sets {
		groups = append(groups, s.groups()...)
		t.routes = append(t.routes, s.routes...)
	}
	t.hosts = p.plant(groups)
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, compareProblems)
		return nil, p.problems
	}
	return t, nil
}

// set is one named set. Of a faulty document it holds what could be read.
type set struct {
	name      string
	hosts     []string // nil: any
	prefixes  []string
	sameSlash bool
	routes    []*route
	// whole: hosts and prefixes were read without a problem, so that what is
	// compared with them is not blamed for it.
	whole bool
}

// groups are the set's routes by the hosts that reach them.
func (s *set) groups() []group {
	var groups []group
	indexOf := map[string]int{}
	for _, r := range s.routes {
		key := strings.Join(r.hosts, " ")
		i, known := indexOf[key]
		if !known {
			i = len(groups)
			indexOf[key] = i
			groups = append(groups, group{hosts: r.hosts})
		}
		groups[i].routes = append(groups[i].routes, r)
	}
	return groups
}

func (p *parser) set(name string, value any) *set {
	s := &set{name: name}
	at := place{name, []string{name}}
	obj, ok := p.object(at, value, "hosts", "prefixes", "trailing_slash", "routes")
	if !ok {
		return s
	}
	hosts, ok1 := p.someStrings(at.in("hosts"), obj, checkHost)
	prefixes, ok2 := p.someStrings(at.in("prefixes"), obj, checkPrefix)
	if _, present := obj["prefixes"]; !present {
		p.report(CodeBadShape, at, `"prefixes" is missing`, `the paths that the set owns, such as ["/v1/"]; ["/"] owns all`)
		ok2 = false
	}
	s.hosts, s.prefixes, s.whole = hosts, prefixes, ok1 && ok2
	s.sameSlash = p.sameSlash(at.in("trailing_slash"), obj)
	routes, present := obj["routes"]
	if !present {
		p.report(CodeBadShape, at, `"routes" is missing`, "an empty list owns the prefixes without serving them")
		return s
	}
	list, ok := routes.([]any)
	if !ok {
		p.report(CodeBadShape, at.in("routes"), "want a list of routes, have "+kindOf(routes), "")
		return s
	}
	byID := map[string]int{}
	for i, item := range list {
		r := p.route(s, at.in("routes").item(i), i, item)
		if r == nil {
			continue
		}
		if first, taken := byID[r.id]; taken && r.id != "" {
			p.report(CodeBadShape, place{r.subject(), at.in("routes").item(i).in("id").path},
				fmt.Sprintf("id %q is the id of route %d too", r.id, first), "")
			continue
		}
		byID[r.id] = i
		s.routes = append(s.routes, r)
	}
	return s
}

// sameSlash reads trailing_slash.
func (p *parser) sameSlash(at place, obj map[string]any) bool {
	mode, present := p.text(at, obj)
	switch {
	case !present || mode == "own":
		return false
	case mode == "same":
		return true
	}
	p.report(CodeBadShape, at, fmt.Sprintf("unknown word %q", mode), `"own" (the default): it is another path; "same": it makes no difference`)
	return false
}

// route reads one route; nil when the document does not say what it matches.
func (p *parser) route(s *set, at place, index int, value any) *route {
	r := &route{set: s.name, index: index, sameSlash: s.sameSlash}
	at.subject = r.subject()
	obj, ok := p.object(at, value, "id", "methods", "path", "hosts", "public", "roles_any",
		"resource", "action", "tenant", "at", "owner")
	if !ok {
		return nil
	}
	if r.id, ok = p.required(at.in("id"), obj); ok {
		at.subject = r.subject()
	}
	r.public = p.bool(at.in("public"), obj)
	r.rolesAny, _ = p.strings(at.in("roles_any"), obj, checkRole)
	var ok1, ok2 bool
	r.hosts, ok1 = p.someStrings(at.in("hosts"), obj, checkHost)
	r.methods, ok2 = p.methods(at, obj)
	path, ok := p.required(at.in("path"), obj)
	if !ok {
		return nil
	}
	pattern, wrong := parsePattern(path)
	if !p.check(at.in("path"), wrong) {
		return nil
	}
	r.pattern = pattern
	p.templates(r, at, obj)
	if s.whole {
		p.inside(s, r, at)
	}
	if r.hosts == nil {
		r.hosts = s.hosts
	}
	if !ok1 || !ok2 {
		return nil
	}
	return r
}

func checkRole(role string) *fault {
	if role == "" {
		return &fault{"want a role, have an empty string", ""}
	}
	return nil
}

// subject is how problems name a route.
func (r *route) subject() string { return r.set + ":" + r.name() }

// name is the route's id, or its index when it has none.
func (r *route) name() string {
	if r.id == "" {
		return strconv.Itoa(r.index)
	}
	return r.id
}

// templates reads the values that make the question.
func (p *parser) templates(r *route, at place, obj map[string]any) {
	for _, f := range []field{fieldResource, fieldAction, fieldTenant, fieldAt, fieldOwner} {
		text, ok := p.text(at.in(string(f)), obj)
		if !ok {
			continue
		}
		t, wrong := parseTemplate(f, text, r.pattern.params)
		if !p.check(at.in(string(f)), wrong) {
			continue
		}
		*r.template(f) = t
	}
	if len(r.action.parts) > 0 && obj["resource"] == nil {
		r.resource = template{parts: []part{{source: literal, text: noResource}}}
	}
	if r.at.relative && obj["tenant"] == nil {
		p.report(CodeBadShape, at.in("at"), "a place that begins with . is below the tenant, and the route names none", `add "tenant"`)
	}
}

// noResource is the resource of a question that names only an action.
const noResource = "-"

func (r *route) template(f field) *template {
	switch f {
	case fieldResource:
		return &r.resource
	case fieldAction:
		return &r.action
	case fieldTenant:
		return &r.tenant
	case fieldAt:
		return &r.at
	case fieldOwner:
		return &r.owner
	}
	return nil
}

func (p *parser) methods(at place, obj map[string]any) (list []string, ok bool) {
	if _, present := obj["methods"]; !present {
		p.report(CodeBadShape, at, `"methods" is missing`, `names such as ["GET"], or ["*"] for all`)
		return nil, false
	}
	at = at.in("methods")
	list, ok = p.someStrings(at, obj, checkMethod)
	if len(list) > 1 && slices.Contains(list, anyMethod) {
		p.report(CodeBadShape, at, `"*" is all methods already`, `leave the others out`)
		return nil, false
	}
	return list, ok
}

func checkMethod(method string) *fault {
	if method == anyMethod {
		return nil
	}
	upper := strings.ToUpper(method)
	if method != upper {
		return &fault{fmt.Sprintf("%q: methods are case-sensitive, and in upper case", method), fmt.Sprintf("write %q", upper)}
	}
	if method == "" || strings.ContainsFunc(method, notInMethod) {
		return &fault{fmt.Sprintf("%q is not a method", method), `names such as ["GET"], or ["*"] for all`}
	}
	return nil
}

func notInMethod(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_", r)
}

func checkPrefix(prefix string) *fault {
	if strings.ContainsAny(prefix, "{}*") {
		return &fault{fmt.Sprintf("%q: a prefix is literal", prefix), "end it before the first placeholder"}
	}
	return checkPathText(prefix)
}

// inside checks that a set owns what its route matches.
func (p *parser) inside(s *set, r *route, at place) {
	owned := slices.ContainsFunc(s.prefixes, func(prefix string) bool {
		return strings.HasPrefix(r.pattern.text, prefix) || r.sameSlash && r.pattern.text+"/" == prefix
	})
	if !owned {
		p.report(CodeOutsideSet, at.in("path"),
			fmt.Sprintf("path %q begins with no prefix of set %q", r.pattern.text, s.name), "its prefixes: "+strings.Join(s.prefixes, ", "))
	}
	for _, host := range r.hosts {
		wide := func(h string) bool { return covers(h, host) }
		if !slices.ContainsFunc(keysOf(s.hosts), wide) {
			p.report(CodeOutsideSet, at.in("hosts"),
				fmt.Sprintf("host %q is none of set %q", host, s.name), "its hosts: "+strings.Join(s.hosts, ", "))
		}
	}
}

// plant builds the trees and reports routes of equal rank: each with the first of
// them, so that ten copies of a route are nine problems and not forty-five.
func (p *parser) plant(groups []group) hosts {
	type pair struct{ first, second *route }
	seen := map[pair]bool{}
	return plant(groups, func(first, second *route) {
		if first.index > second.index {
			first, second = second, first
		}
		// Routes of two sets meet only where the sets overlap, which is reported.
		if first.set != second.set || seen[pair{first, second}] {
			return
		}
		seen[pair{first, second}] = true
		at := place{first.subject() + ":" + second.name(), []string{second.set, "routes", strconv.Itoa(second.index)}}
		p.report(CodeAmbiguous, at,
			fmt.Sprintf("routes %q (%s) and %q (%s) can match one request, and neither is more specific",
				first.name(), first.asks(), second.name(), second.asks()),
			"change the path, the methods or the hosts of one")
	})
}
