// Package sample is changed by the tests of the tool that changes it.
package sample

import "errors"

// Effect says whether.
type Effect uint8

// The effects.
const (
	Deny Effect = iota
	Allow
)

type answer struct {
	effect Effect
	reason string
	roles  []string
}

var errAge = errors.New("age")

// decide has every operator in it.
func decide(name string, age int, banned bool, roles []string) (answer, error) {
	if age < 0 {
		return answer{reason: "age"}, errAge
	}
	a := answer{effect: Deny, reason: "young", roles: roles}
	if age >= 18 && !banned {
		a.effect = Allow
		a.reason = ""
	}
	switch name {
	case "root":
		a.effect = Deny
	}
	return a, nil
}

// unused is what no test comes by.
func unused(n int) bool { return n > 0 || n == -1 }
