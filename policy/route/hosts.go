package route

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// hosts is the tree of each host that routes name.
type hosts struct {
	exact    map[string]*node
	wildcard map[string]*node // by what follows the "*": ".example.com"
	any      *node
}

// find is the route of the highest rank, or nil: host exact, then the longest
// wildcard, then any.
func (h *hosts) find(host string, segments []string, method string) *route {
	if n := h.exact[host]; n != nil {
		if r := n.find(segments, method); r != nil {
			return r
		}
	}
	if len(h.wildcard) > 0 {
		for i := 1; i < len(host); i++ {
			if host[i] != '.' {
				continue
			}
			if n := h.wildcard[host[i:]]; n != nil {
				if r := n.find(segments, method); r != nil {
					return r
				}
			}
		}
	}
	if h.any != nil {
		return h.any.find(segments, method)
	}
	return nil
}

// group is routes that are reached by the same hosts; no hosts: by any.
type group struct {
	hosts  []string
	routes []*route
}

// plant builds the trees of groups. Hosts with the same routes share one tree, so
// that a set with fifty hosts costs one. ambiguous is called for every two routes
// of one rank.
func plant(groups []group, ambiguous func(first, second *route)) hosts {
	routesOf := map[string][]int{} // host to indices of groups
	var order []string
	for i, g := range groups {
		for _, host := range keysOf(g.hosts) {
			if routesOf[host] == nil {
				order = append(order, host)
			}
			routesOf[host] = append(routesOf[host], i)
		}
	}
	planted := map[string]*node{} // by the list of groups
	h := hosts{exact: map[string]*node{}, wildcard: map[string]*node{}}
	for _, host := range order {
		var signature []byte
		for _, i := range routesOf[host] {
			signature = binary.AppendUvarint(signature, uint64(i))
		}
		n := planted[string(signature)]
		if n == nil {
			n = &node{}
			planted[string(signature)] = n
			for _, i := range routesOf[host] {
				for _, r := range groups[i].routes {
					n.insert(r, func(there *route) { ambiguous(there, r) })
				}
			}
		}
		switch {
		case host == anyHost:
			h.any = n
		case host[0] == '*':
			h.wildcard[host[1:]] = n
		default:
			h.exact[host] = n
		}
	}
	return h
}

// anyHost is the key of what answers to every host.
const anyHost = ""

// keysOf is a list of hosts as keys: no hosts is any.
func keysOf(list []string) []string {
	if len(list) == 0 {
		return []string{anyHost}
	}
	return list
}

// covers says whether every host that narrow stands for is one of wide's.
func covers(wide, narrow string) bool {
	switch {
	case wide == anyHost || wide == narrow:
		return true
	case narrow == anyHost || wide[0] != '*':
		return false
	}
	// *.example.com covers a.example.com and *.a.example.com.
	return len(narrow) >= len(wide) && strings.HasSuffix(narrow, wide[1:])
}

// checkHost refuses what no canonical host can be, or a wildcard stand for.
func checkHost(host string) *fault {
	if host == "*" {
		return &fault{`"*" is not a host`, "leave hosts out for any host"}
	}
	if strings.HasPrefix(host, "[") {
		return checkIPv6(host)
	}
	name := strings.TrimPrefix(host, "*.")
	switch {
	case name == "":
		return &fault{fmt.Sprintf("%q is not a host", host), ""}
	case strings.Contains(name, ":") && !strings.Contains(name, "/"):
		return &fault{fmt.Sprintf("%q: routes know no ports", host), "leave the port out; an IPv6 address stands in brackets"}
	case strings.HasSuffix(name, "."):
		return &fault{fmt.Sprintf("%q ends with a dot", host), "leave it out"}
	case strings.ToLower(name) != name:
		return &fault{fmt.Sprintf("%q: hosts are in lower case", host), fmt.Sprintf("write %q", strings.ToLower(host))}
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.ContainsFunc(label, notInLabel) {
			return &fault{fmt.Sprintf("%q is not a host", host), "a name such as api.example.com, or *.example.com"}
		}
	}
	return nil
}

func notInLabel(r rune) bool {
	return r != '-' && r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
}

func checkIPv6(host string) *fault {
	addr, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
	if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(host, "]") {
		return &fault{fmt.Sprintf("%q is not an IPv6 address in brackets", host), ""}
	}
	if canonical := "[" + addr.String() + "]"; canonical != host {
		return &fault{fmt.Sprintf("%q is not written in its shortest form", host), fmt.Sprintf("write %q", canonical)}
	}
	return nil
}
