// Package world makes random worlds of the role model, and questions that crowd around their
// boundaries: one seed is one world, one generator state one question. Every feature of the model
// occurs, and so do the names and shapes that break implementations: dots in keys, look-alikes of
// @root, `*` and `$self` as names, 300-character ids, claims of the wrong type.
package world

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/rolegate/rolegate/internal/lab/reference"
)

// root is the key of the node above all tenants.
const root = "@root"

// The instants of a world stand marksEach steps apart on both sides of epoch, in milliseconds, so that
// window edges, expiries and clocks meet often.
const (
	epoch     = 1_767_225_600_000
	step      = 1_000
	marksEach = 4
)

// World is a document of roles and what extends it, with the names that occur in it.
type World struct {
	// Data is the store of an evaluator: rbac, and under lab the results of the extension for each
	// principal, which the module Extension turns into data.authz.
	Data map[string]any

	rbac       map[string]any
	extensions map[string]any

	tenants     []string // registered, @root first
	places      []string // tenants and resource paths
	principals  []string
	memberships []membership
	roleIDs     []string
	roleKeys    []string
	permissions []permission // that statements or the catalog name
	declared    []permission // by the catalog
	held        map[string][]permission
	issuers     []issuer
	aliases     []string
	jtis        []string
}

type membership struct{ node, principal string }

type permission struct{ resource, action string }

type issuer struct{ name, authority, tenant string }

// New is the world of a seed.
func New(seed uint64) *World {
	d := dice{rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
	w := &World{rbac: map[string]any{}, extensions: map[string]any{}, held: map[string][]permission{}}
	w.growTree(d)
	w.growCatalog(d)
	w.growRoles(d)
	w.growRules(d)
	w.growMembers(d)
	w.growIssuers(d)
	w.growAliases(d)
	w.growRevoked(d)
	w.growExtensions(d)
	w.Data = map[string]any{"rbac": w.rbac, "lab": map[string]any{"extensions": w.extensions}}
	return w
}

// RBAC is the document data.rbac of the world.
func (w *World) RBAC() map[string]any {
	return w.rbac
}

// Authz is what data.authz holds for a principal; nil when nothing extends the library for them.
func (w *World) Authz(principal string) map[string]any {
	results, _ := w.extensions[principal].(map[string]any)
	return results
}

// For is the data that the reference needs to answer a question of this world.
func (w *World) For(question map[string]any) reference.Data {
	principal, _ := question["principal"].(string)
	return reference.Data{RBAC: w.rbac, Authz: w.Authz(principal)}
}

// dice is a source of random choices.
type dice struct{ *rand.Rand }

// chance is true in so many of a hundred.
func (d dice) chance(percent int) bool {
	return d.IntN(100) < percent
}

// rare is true in so many of a thousand.
func (d dice) rare(perMille int) bool {
	return d.IntN(1000) < perMille
}

// pick is one of the options, all as likely.
func pick[T any](d dice, options ...T) T {
	return options[d.IntN(len(options))]
}

// some is up to n different ones of the options.
func some[T comparable](d dice, n int, options []T) []T {
	var out []T
	for range d.IntN(n + 1) {
		if one := pick(d, options...); !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}

// mark is an instant at which things begin and end.
func (d dice) mark() int64 {
	return epoch + step*int64(d.IntN(2*marksEach+1)-marksEach)
}

// clock is an instant at, just before or just after a mark.
func (d dice) clock() int64 {
	return d.mark() + int64(d.IntN(3)-1)
}

// number is an integer as JSON has it.
func number(n int64) json.Number {
	return json.Number(strconv.FormatInt(n, 10))
}

// windows is a list of windows: mostly empty, which is always.
func (d dice) windows(percent int) []any {
	windows := []any{}
	if !d.chance(percent) {
		return windows
	}
	for range 1 + d.IntN(2) {
		start := d.mark()
		windows = append(windows, []any{number(start), number(start + step*int64(1+d.IntN(marksEach)))})
	}
	return windows
}

// until is an until-time: 0 is for ever.
func (d dice) until() json.Number {
	if d.chance(30) {
		return number(0)
	}
	return number(d.mark())
}

func list[T any](elements []T) []any {
	out := make([]any, 0, len(elements))
	for _, element := range elements {
		out = append(out, element)
	}
	return out
}
