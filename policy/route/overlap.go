package route

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxOverlaps bounds how many pairs of sets are reported: with thousands of sets
// that all own "/", every pair overlaps, and the first hundred tell it all.
const maxOverlaps = 100

// claim is a prefix below a host key that a set owns.
type claim struct {
	set          int // index
	host, prefix string
}

// owners are the sets that own prefixes of one host key.
type owners struct {
	sets     map[string][]int // prefix to indices of sets
	prefixes []string         // sorted: those that begin with one another stand together
}

// overlaps reports sets of which one host can match both, and a prefix of one
// begins with a prefix of the other. Each pair is reported once, at the later set.
// It compares what stands together, not every pair: ten thousand sets are fine.
func (p *parser) overlaps(sets []*set) {
	var claims []claim
	byHost := map[string]*owners{}
	for i, s := range sets {
		if !s.whole {
			continue
		}
		for _, host := range keysOf(s.hosts) {
			o := byHost[host]
			if o == nil {
				o = &owners{sets: map[string][]int{}}
				byHost[host] = o
			}
			for _, prefix := range s.prefixes {
				o.sets[prefix] = append(o.sets[prefix], i)
				claims = append(claims, claim{i, host, prefix})
			}
		}
	}
	for _, o := range byHost {
		o.prefixes = slices.Sorted(maps.Keys(o.sets))
	}

	type pair struct{ first, second int }
	seen := map[pair]bool{}
	for _, c := range claims {
		for _, rival := range rivals(byHost, c) {
			first, second := rival, c
			if first.set > second.set {
				first, second = second, first
			}
			if key := (pair{first.set, second.set}); !seen[key] {
				if len(seen) == maxOverlaps {
					return
				}
				seen[key] = true
				p.overlap(sets, first, second)
			}
		}
	}
}

// rivals are the claims of other sets that c meets. Whatever two host keys have in
// common is one of the two, so looking from each key at itself and at the wider
// ones finds every overlap.
func rivals(byHost map[string]*owners, c claim) []claim {
	var list []claim
	for _, host := range widerHosts(c.host) {
		o := byHost[host]
		if o == nil {
			continue
		}
		for _, prefix := range o.related(c.prefix) {
			for _, i := range o.sets[prefix] {
				if i != c.set && len(list) <= maxOverlaps {
					list = append(list, claim{i, host, prefix})
				}
			}
		}
	}
	return list
}

func (p *parser) overlap(sets []*set, first, second claim) {
	a, b := sets[first.set], sets[second.set]
	at := place{a.name + ":" + b.name, []string{
		b.name, "prefixes", strconv.Itoa(slices.Index(b.prefixes, second.prefix)),
	}}
	p.report(CodeSetOverlap, at,
		fmt.Sprintf("sets %q and %q overlap: %s and %s", a.name, b.name, first, second),
		"a path of a host belongs to one set: make the prefixes or the hosts disjoint")
}

// String is "api.example.com/v1/", or "/v1/ on any host".
func (c claim) String() string {
	if c.host == anyHost {
		return c.prefix + " on any host"
	}
	return c.host + c.prefix
}

// related are the prefixes that begin with prefix, and those it begins with.
func (o *owners) related(prefix string) []string {
	var list []string
	for end := 1; end < len(prefix); end++ {
		if o.sets[prefix[:end]] != nil {
			list = append(list, prefix[:end])
		}
	}
	i, _ := slices.BinarySearch(o.prefixes, prefix)
	for ; i < len(o.prefixes) && strings.HasPrefix(o.prefixes[i], prefix); i++ {
		list = append(list, o.prefixes[i])
	}
	return list
}

// widerHosts are the keys that cover a key, itself first, any host last.
func widerHosts(host string) []string {
	list := []string{host}
	for i := 1; i < len(host); i++ {
		if wild := "*" + host[i:]; host[i] == '.' && wild != host {
			list = append(list, wild)
		}
	}
	if host != anyHost {
		list = append(list, anyHost)
	}
	return list
}
