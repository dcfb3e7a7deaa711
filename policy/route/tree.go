package route

// node is where a path has got to. Its children are tried from the most to the
// least specific one, so the first route found is the one of the highest rank.
type node struct {
	literal map[string]*node // "" is the trailing slash
	one     *node            // {name}
	here    leaf             // routes whose path ends here
	rest    leaf             // routes whose {name...} begins here
}

// leaf is the routes of one path: one for each method.
type leaf struct {
	methods []methodRoute
	any     *route // "*"
}

type methodRoute struct {
	method string
	route  *route
}

// find is the route of the highest rank that matches segments, or nil. Its cost
// depends on the nodes that match, not on how many there are beside them.
func (n *node) find(segments []string, method string) *route {
	if len(segments) == 0 {
		if r := n.here.pick(method); r != nil {
			return r
		}
		return n.rest.pickSameSlash(method)
	}
	head := segments[0]
	if next := n.literal[head]; next != nil {
		if r := next.find(segments[1:], method); r != nil {
			return r
		}
	}
	if head == "" && len(segments) == 1 { // the trailing slash
		if r := n.here.pickSameSlash(method); r != nil {
			return r
		}
	}
	if head != "" && n.one != nil {
		if r := n.one.find(segments[1:], method); r != nil {
			return r
		}
	}
	return n.rest.pick(method)
}

// pick is the leaf's route for a method.
func (l *leaf) pick(method string) *route {
	var get *route
	for i := range l.methods {
		switch l.methods[i].method {
		case method:
			return l.methods[i].route
		case "GET":
			get = l.methods[i].route
		}
	}
	if method == "HEAD" && get != nil {
		return get
	}
	return l.any
}

// pickSameSlash is pick for a path that is the leaf's but for a trailing slash.
// All routes of a leaf are of one set: sets do not overlap.
func (l *leaf) pickSameSlash(method string) *route {
	if r := l.pick(method); r != nil && r.sameSlash {
		return r
	}
	return nil
}

// insert adds a route under each of its methods. Where a route of the same rank
// is there already it stays, and ambiguous is called with it.
func (n *node) insert(r *route, ambiguous func(there *route)) {
	at := n
	l := (*leaf)(nil)
	for _, s := range r.matched() {
		switch s.kind {
		case stepLiteral:
			at = at.child(s.text)
		case stepOne:
			if at.one == nil {
				at.one = &node{}
			}
			at = at.one
		case stepRest:
			l = &at.rest
		}
	}
	if l == nil {
		l = &at.here
	}
	for _, method := range r.methods {
		if there := l.add(method, r); there != nil {
			ambiguous(there)
		}
	}
}

// child is the node of a literal, made if need be.
func (n *node) child(text string) *node {
	next := n.literal[text]
	if next == nil {
		next = &node{}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		n.literal[text] = next
	}
	return next
}

// add takes a route in, or returns the one that the method has already.
func (l *leaf) add(method string, r *route) (there *route) {
	if method == anyMethod {
		if l.any == nil {
			l.any = r
			return nil
		}
		return l.any
	}
	for _, m := range l.methods {
		if m.method == method {
			return m.route
		}
	}
	l.methods = append(l.methods, methodRoute{method, r})
	return nil
}

// anyMethod in a route's list stands for all methods.
const anyMethod = "*"
