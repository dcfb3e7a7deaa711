package policies

import (
	"fmt"
	"strings"
)

// maxNesting bounds closures within closures.
const maxNesting = 2

func (w *writer) statements(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = w.statement()
	}
	return strings.Join(list, "; ")
}

// statement writes one expression of a body; what it binds comes into scope.
func (w *writer) statement() string {
	switch n := w.r.IntN(28); {
	case n < 6:
		return w.assignment()
	case n < 10:
		return fmt.Sprintf("%s %s %s", w.value(), w.pick("==", "==", "==", "!=", "=", "<"), w.value())
	case n < 12:
		return fmt.Sprintf("%s == %s", w.value(), w.pick(`"a"`, `"b"`))
	case n < 14:
		return "not " + w.value()
	case n < 15:
		return fmt.Sprintf("not %s == %s", w.value(), w.value())
	case n < 16:
		return w.value()
	case n < 17:
		in, v := w.value(), w.variable()
		return fmt.Sprintf("some %s in %s", v, in)
	case n < 18:
		in, k, v := w.value(), w.variable(), w.variable()
		return fmt.Sprintf("some %s, %s in %s; %s == %s", k, v, in, v, w.value())
	case n < 19:
		in, p, v := w.value(), w.variable(), w.variable()
		return fmt.Sprintf("walk(%s, [%s, %s])", in, p, v)
	case n < 20:
		in, v := w.value(), w.name("v")
		text := fmt.Sprintf("[%s, %s] = %s", v, w.value(), in)
		w.vars = append(w.vars, v)
		return text
	case n < 22:
		return w.with()
	case n < 23:
		return w.alternative()
	case n < 25:
		return w.chosenKey()
	default:
		return w.closure()
	}
}

func (w *writer) assignment() string {
	value := w.value()
	if w.one(6) { // no declaration: values may meet in the variable
		v := w.variable()
		return fmt.Sprintf("%s = %s; %s = %s", v, value, v, w.value())
	}
	v := w.variable()
	return fmt.Sprintf("%s := %s", v, value)
}

// chosenKey reads a member under a key that is one of few, known before or only after.
func (w *writer) chosenKey() string {
	of := w.pick(w.input(), w.argument())
	keys := w.pick(`["m", "x"]`, `["m"]`, `["h", 0]`, `{"m", "n"}`, `data.base.roles.a`, `data.base.names`, `{"a": "m"}`, `{input.k: "m", "a": "x"}`, `{input.k, "m"}`)
	k, v := w.name("k"), w.name("v")
	defer func() { w.vars = append(w.vars, v) }()
	condition := w.pick(fmt.Sprintf("to_number(%s) >= 0", v), v, fmt.Sprintf("%s != 1", v), "not "+v+".m")
	switch w.r.IntN(6) {
	case 4:
		return fmt.Sprintf("some %s; %s[%s]; not %s %s %s; %s := %s[%s]; %s", k, w.input(), k, k, w.pick("=", "=="), w.pick(`"m"`, "data.base.names.member"), v, of, k, condition)
	case 5:
		return fmt.Sprintf("some %s; %s[%s]; count([1 | %s = \"m\"]) == 0; %s := %s[%s]; %s", k, w.input(), k, k, v, of, k, condition)
	case 0:
		return fmt.Sprintf("%s := %s[%s]; %s := %s[%s]; %s", k, keys, w.pick("_", "0", "input.k", `"a"`, `"m"`), v, of, k, condition)
	case 1:
		return fmt.Sprintf("some %s; %s := %s[%s]; %s; %s = %s[_]", k, v, of, k, condition, k, keys)
	case 2:
		return fmt.Sprintf("some %s; %s := %s[%s]; %s; %s = \"m\"", k, v, of, k, condition, k)
	default:
		return fmt.Sprintf("some %s in %s; %s := %s[%s]; %s", k, keys, v, of, k, condition)
	}
}

// closure writes a body within the body.
func (w *writer) closure() string {
	if w.depth >= maxNesting {
		return w.assignment()
	}
	w.depth++
	defer func() { w.depth-- }()
	if w.one(3) {
		in, k, v := w.value(), w.name("v"), w.name("v")
		body := w.scope([]string{k, v}, func() string { return w.statements(1) })
		return fmt.Sprintf("every %s, %s in %s { %s }", k, v, in, body)
	}
	comprehension := w.scope(nil, func() string {
		body := w.statements(1 + w.r.IntN(2))
		head := w.value()
		return w.pick("["+head+" | "+body+"]", "{"+head+" | "+body+"}", `{"m": `+head+" | "+body+"}", "count(["+head+" | "+body+"])")
	})
	return w.variable() + " := " + comprehension
}

// with replaces a part of the input, the data or a function below one expression.
func (w *writer) with() string {
	what := w.reference()
	if len(w.functions) > 0 && w.one(2) {
		what = w.call()
	}
	targets := []string{"input", "input.r", "input.m", "input.r.m", "input.r.h.x", "input.l", "data.base.x", "data.base.names"}
	for _, d := range w.documents {
		if !strings.ContainsAny(d, ".[") {
			targets = append(targets, d)
		}
	}
	as := w.value()
	target := w.pick(targets...)
	if len(w.functions) > 1 && w.one(3) {
		target, as = w.functions[0].name, w.functions[1].name
	}
	switch w.r.IntN(4) {
	case 0:
		return fmt.Sprintf("not %s with %s as %s", what, target, as)
	case 1:
		v := w.name("v")
		text := fmt.Sprintf("%s := %s with %s as %s", v, what, target, as)
		w.vars = append(w.vars, v)
		return text
	default:
		return fmt.Sprintf("%s with %s as %s", what, target, as)
	}
}

// alternative writes what only rego.v2 has.
func (w *writer) alternative() string {
	w.v2 = true
	closed := func() string { return w.scope(nil, w.simple) }
	switch w.r.IntN(4) {
	case 0:
		return fmt.Sprintf("not { %s; %s }", closed(), closed())
	case 1:
		return fmt.Sprintf("(%s and not %s) or %s", closed(), w.value(), closed())
	default:
		return fmt.Sprintf("%s or %s", closed(), closed())
	}
}

// simple is a condition that binds nothing.
func (w *writer) simple() string {
	return w.pick(w.value(), fmt.Sprintf("%s == %s", w.value(), w.value()), fmt.Sprintf(`%s == "a"`, w.value()))
}

// input is a reference into the input.
func (w *writer) input() string {
	return w.pick("input", "input.r", "input.r", "input.r", "input.r.h", "input.r.m", "input.r.m", "input.r.n", "input.m", "input.m", "input.n",
		"input.s", "input.s.x", "input.l", "input.l[0]", "input.l[1]", "input.k", "input.r.h.x", "input.u")
}

// path is what may follow a variable or a document.
func (w *writer) path() string {
	return w.pick(".m", ".m", ".n", ".h", ".x", ".h.x", "[0]", "[input.k]", "", ".r", ".r.m")
}

// reference is a reference to a document that was written, or that stands elsewhere.
func (w *writer) reference() string {
	if w.one(5) {
		return w.pick("data.base.roles[input.u]", "data.base.names.header", "input.r.h[data.base.names.header]", "input.r[data.base.names.member]",
			"data.pol[input.m].ok", "data.pol.a.ok", "data.other.z", "data.other", "data.other.z.x", "data.base.x")
	}
	if n := len(w.documents); n > 4 && !w.one(3) { // the newest lean on the others
		return w.pick(w.documents[n-4:]...)
	}
	return w.pick(w.documents...)
}

func (w *writer) call() string {
	f := w.functions[w.r.IntN(len(w.functions))]
	args := make([]string, f.arity)
	for i := range args {
		args[i] = w.pick(w.input(), w.argument(), w.argument(), w.pick(`"m"`, `"h"`, "data.base.names.member"))
	}
	return fmt.Sprintf("%s(%s)", f.name, strings.Join(args, ", "))
}

// argument is a value that calls nothing.
func (w *writer) argument() string {
	if len(w.vars) > 0 && !w.one(4) {
		return w.pick(w.vars...) + w.pick("", w.path())
	}
	return w.pick(w.input(), w.reference())
}

func (w *writer) value() string {
	switch n := w.r.IntN(24); {
	case n < 8 && len(w.vars) > 0:
		return w.pick(w.vars...) + w.path()
	case n < 10:
		return w.input()
	case n < 15:
		return w.reference()
	case n < 18 && len(w.functions) > 0:
		return w.call()
	case n < 20:
		return fmt.Sprintf("object.get(%s, %s, %s)", w.argument(), w.pick(`"m"`, `"h"`, `["h", "x"]`, `"x"`, "input.k", `["r", "m"]`, "data.base.names.member"),
			w.pick(`"a"`, "{}", `{"x": "a"}`, `{"m": input.n}`, w.argument()))
	case n < 21:
		return w.builtin()
	default:
		return w.pick(`"a"`, `"b"`, "true", "1", `"m"`)
	}
}

func (w *writer) builtin() string {
	x := w.argument()
	return w.pick(
		fmt.Sprintf("[%s, %s]", x, w.argument()), fmt.Sprintf(`{"m": %s}`, x), fmt.Sprintf("{%s}", x), fmt.Sprintf(`{"m": %s}.m`, x),
		fmt.Sprintf(`$"a{%s}"`, x), fmt.Sprintf("count(%s)", x), fmt.Sprintf("type_name(%s)", x), fmt.Sprintf("is_object(%s)", x),
		fmt.Sprintf("is_string(%s)", x), fmt.Sprintf("to_number(%s)", x), fmt.Sprintf("object.union(%s, %s)", x, w.argument()),
		fmt.Sprintf("object.keys(%s)", x), fmt.Sprintf(`startswith(%s, "a")`, x), fmt.Sprintf("%s in %s", x, w.argument()),
		fmt.Sprintf(`concat("", [%s, "a"])`, x), fmt.Sprintf(`json.patch(%s, [{"op": "add", "path": "/m", "value": "a"}])`, x),
	)
}
