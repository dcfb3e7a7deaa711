package policies

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Policy is a policy with its data, as its author would hold it.
type Policy struct {
	Modules    map[string]string // by file name; some import rego.v2
	Data       map[string]any
	Entrypoint string // a reference: data.test.allow
	Vocabulary Vocabulary
}

// Random writes a policy of a few documents, functions and rules that lean on each
// other in every way that Rego has. Most compile; the others are to be passed over.
func Random(r *rand.Rand) Policy {
	w := &writer{r: r}
	if r.IntN(2) == 0 {
		w.chain()
	} else {
		w.web()
	}
	header := "package test\n\n"
	if w.v2 {
		header += "import rego.v2\n\n"
	}
	return Policy{
		Modules: map[string]string{
			"test.rego":  header + strings.Join(w.rules, "\n") + "\n",
			"a.rego":     "package pol.a\n\nok if input.r.m == \"a\"\n",
			"b.rego":     "package pol.b\n\nok if { x := input.r; not x.n }\n",
			"other.rego": "package other\n\ny := input.s\n\nz := y\n",
		},
		Data:       Data(),
		Entrypoint: "data.test.allow",
		Vocabulary: Common(),
	}
}

// Data is the base data of every random policy.
func Data() map[string]any {
	return map[string]any{"base": map[string]any{
		"roles": map[string]any{"a": []any{"a", "b"}, "b": []any{"c"}},
		"names": map[string]any{"header": "x", "member": "m"},
		"x":     "b",
	}}
}

// Common is the vocabulary of every random policy.
func Common() Vocabulary {
	return Vocabulary{
		Paths: [][]any{
			{"l"},
			{"l", 0},
			{"l", 1},
			{"r"},
			{"r", "m"},
			{"r", "n"},
			{"r", "h"},
			{"r", "h", "x"},
			{"r", "h", "m"},
			{"s"},
			{"s", "m"},
			{"s", "x"},
			{"m"},
			{"n"},
			{"k"},
			{"u"},
		},
		Keys:   []string{"m", "n", "h", "x", "a", "b", "r", "s", "l", "k", "u", "z"},
		Leaves: []any{"a", "a", "a", "b", "b", "c", "m", "h", "x", true, false, nil, 1, 0},
	}
}

// writer writes one module from above to below: a rule names only those before it, so
// that nothing is recursive.
type writer struct {
	r         *rand.Rand
	rules     []string
	documents []string   // references that may be read
	functions []function // that may be called
	vars      []string   // in scope
	n         int        // names given
	depth     int        // of closures
	v2        bool       // a rule needs rego.v2
}

type function struct {
	name  string
	arity int
}

func (w *writer) pick(of ...string) string { return of[w.r.IntN(len(of))] }

func (w *writer) one(in int) bool { return w.r.IntN(in) == 0 }

// name gives a new name.
func (w *writer) name(prefix string) string {
	w.n++
	return fmt.Sprint(prefix, w.n)
}

// variable brings a new variable into scope.
func (w *writer) variable() string {
	v := w.name("v")
	w.vars = append(w.vars, v)
	return v
}

func (w *writer) rule(format string, args ...any) {
	w.rules = append(w.rules, fmt.Sprintf(format, args...))
}

// scope runs f with variables, and forgets those and its own.
func (w *writer) scope(vars []string, f func() string) string {
	before := w.vars
	w.vars = append(append([]string{}, before...), vars...)
	text := f()
	w.vars = before
	return text
}

// body is the text of a rule after its head: a value and conditions that may use it.
func (w *writer) body(args ...string) string {
	return w.scope(args, func() string {
		conditions := w.statements(1 + w.r.IntN(2))
		return w.value() + " if { " + conditions + " }"
	})
}

// web writes documents and functions that name any of those before.
func (w *writer) web() {
	w.rule("d := %s", w.input())
	w.documents = append(w.documents, "d", "d"+w.path())
	for range 2 + w.r.IntN(5) {
		if w.one(3) {
			w.function()
		} else {
			w.document()
		}
	}
	w.allow()
}

// document writes a document that later rules may read.
func (w *writer) document() {
	d := w.name("d")
	switch w.r.IntN(16) {
	case 0, 1, 2:
		w.rule("%s := %s", d, w.input())
	case 3, 4:
		w.rule("%s := %s", d, w.body())
	case 5:
		w.rule("%s := %s else := %s", d, w.body(), w.pick(w.input(), `{"m": "a"}`, w.body()))
	case 6:
		w.rule("default %s := %s", d, w.pick(`{"m": "a"}`, `"a"`, "false", "[x | x := input.n]", "{y | y = input.r; y = input.s}"))
		w.rule("%s := %s", d, w.body())
	case 7:
		w.rule("%s := %s", d, w.body())
		w.rule("%s := %s", d, w.body())
	case 8, 9:
		w.rule("%s := %s if { some y in %s; %s }", d, "x", w.pick("[1, 2]", `["a", "b"]`, "input.l", `["a"]`), w.assignVarying())
	case 10:
		w.rule("%s contains %s", d, w.body())
		w.documents = append(w.documents, d+"["+w.input()+"]")
	case 11:
		w.rule("%s[%s] := %s", d, w.input(), w.body())
		w.documents = append(w.documents, d+"["+w.input()+"]", d+".a", d+".a.m")
	case 12:
		w.rule("%s.a := %s", d, w.input())
		w.rule("%s.b.c := %s", d, w.body())
		w.documents = append(w.documents, d+".a", d+".b.c", d+".b", d+"["+w.input()+"]")
	case 13:
		w.rule("%s := %s", d, w.pick(`"m"`, `"x"`, "0"))
		w.documents = append(w.documents, "input.r["+d+"]", "input.r.h["+d+"]")
	default:
		w.rule("%s if { %s }", d, w.scope(nil, func() string { return w.statements(1 + w.r.IntN(2)) }))
	}
	w.documents = append(w.documents, d, d+w.path())
}

// assignVarying gives x a value that may differ from one y to the next.
func (w *writer) assignVarying() string {
	call := fmt.Sprintf("object.get(%s, %s, %s)", w.input(), w.pick("y", `"m"`), w.input())
	for _, f := range w.functions {
		if f.arity == 1 && !w.one(3) {
			call = f.name + "(y)"
		}
	}
	return "x := " + w.pick(call, w.pick(w.documents...)+" with input.k as y")
}

// function writes a function that later rules may call.
func (w *writer) function() {
	f := w.name("f")
	arity := 1
	switch w.r.IntN(13) {
	case 0, 1, 2:
		w.rule("%s(x) := x%s", f, w.path())
	case 3, 4:
		w.rule("%s(x) := %s", f, w.body("x"))
	case 5, 6:
		w.rule("%s(x) := %s if { x == %s } else := %s", f, w.input(), w.pick("1", `"a"`, w.input()), w.pick(w.input(), "x"+w.path(), "{}"))
	case 7:
		w.rule("default %s(_) := %s", f, w.pick(`{"m": "a"}`, `"a"`))
		w.rule("%s(x) := %s", f, w.body("x"))
	case 8:
		w.rule("%s(x) := %s", f, w.body("x"))
		w.rule("%s(x) := %s", f, w.body("x"))
	case 9:
		w.rule("%s([x, y]) := %s", f, w.pick("x", "y.m", "x.h"))
	case 10:
		arity = 2
		w.rule("%s(x, y) := %s if %s", f, w.pick("x", "y.m", "x.h", "x[y]"), w.pick("x.m == y", "not y.m", "not x.h", "x == y"))
	case 11:
		w.rule("%s(x) := %s[x]", f, w.input())
	default:
		w.rule("%s(x) if { %s }", f, w.scope([]string{"x"}, func() string { return w.statements(1) }))
	}
	w.functions = append(w.functions, function{f, arity})
}

// allow writes the rules that are asked. They mostly ask for what was written last.
func (w *writer) allow() {
	if w.one(3) {
		w.rule("default allow := %s", w.pick("false", `"a"`))
	}
	last := w.documents[len(w.documents)-1]
	conditions := func(n int) string { return w.scope(nil, func() string { return w.statements(n) }) }
	switch w.r.IntN(8) {
	case 0:
		w.rule("allow := %s", w.body())
	case 1:
		w.rule("allow if { %s }", conditions(1))
		w.rule("allow if { %s }", conditions(2))
	case 2:
		w.rule("allow := %s else := %s", w.body(), w.body())
	case 3, 4:
		w.rule("allow if %s", w.pick(last+` == "a"`, last+".m", "not "+last, "not "+last+".m"))
	case 5:
		w.rule("allow := %s", last)
	default:
		w.rule("allow if { %s }", conditions(1+w.r.IntN(3)))
	}
}
