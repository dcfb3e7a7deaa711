// Package faults breaks what a real rolegate behind a real Envoy depends on, again and
// again, while many ask; and checks from outside, in the application, that nothing is
// let through which should not be.
package faults

import (
	"encoding/json"
	"strconv"
)

// The worlds: what is granted to each member turns from world to world. A world is a
// bundle's data; each allow shows the number of the world that it is of.
const (
	members = 12
	// always is a member who may read in every world, never one who may do nothing.
	always = 0
	never  = 1
)

// action is what a request does.
type action int

const (
	read action = iota
	write
	slow // a question whose evaluation does not end
	pay  // an amount that stands in the body
	note // a text that is the body
)

func (a action) String() string { return [...]string{"read", "write", "slow", "pay", "note"}[a] }

// member is a member's id.
func member(i int) string { return "m" + strconv.Itoa(i) }

// granted is the truth, for the bundles and for the checker.
func granted(world int64, member int, a action) bool {
	switch {
	case a == slow || member == never:
		return false
	case member == always && a == read:
		return true
	default:
		return (world+2*int64(member)+int64(a))%3 != 0 // of three members two, in three worlds each
	}
}

// document is the data of a world's bundle.
func document(world int64) ([]byte, error) {
	grants := map[string]map[string]bool{}
	for m := range members {
		grants[member(m)] = map[string]bool{}
		for _, a := range []action{read, write, pay, note} {
			if granted(world, m, a) {
				grants[member(m)][a.String()] = true
			}
		}
	}
	return json.Marshal(map[string]any{"world": map[string]any{"number": world, "grants": grants}})
}
