package policies

// chain hands one part of the input from rule to rule, in another way at each step, and
// then uses a part of what arrives: the ways in which a value can get a name, end to end.
func (w *writer) chain() {
	at := w.input()
	for range 1 + w.r.IntN(4) {
		at = w.link(at)
	}
	if w.one(4) {
		w.rule("default allow := false")
	}
	switch w.r.IntN(9) {
	case 0:
		w.rule("allow := %s", at)
	case 1:
		w.rule("allow if %s == %s", at, w.pick(w.input(), `{"m": "a"}`))
	case 2:
		w.rule("allow if not %s", at)
	case 3, 4:
		w.rule("allow if not %s%s", at, w.pick(".m", ".h", ".h.x"))
	case 5:
		w.rule("allow if { x := %s; y := x%s; %s }", at, w.pick("", ".m", ".h"), w.pick(`y == "a"`, "not y.x", "is_object(y)", "y"))
	default:
		w.rule("allow if %s%s == %s", at, w.pick(".m", ".m", ".h.x"), w.pick(`"a"`, `"a"`, "input.m"))
	}
}

// link gives what stands at a reference a new name, and answers that.
func (w *writer) link(at string) string {
	d, f := w.name("d"), w.name("f")
	other := w.pick("input.s", "input.r", "input.s", "input.r.h", `{"m": "a"}`, `{"m": input.n}`)
	condition := w.pick(`input.m == "a"`, "input.n", "not input.k", `input.u != "a"`, "to_number(input.n) > 0", "not "+at+".n", at+".m")
	switch w.r.IntN(28) {
	case 0:
		w.rule("%s := %s", d, at)
	case 1:
		w.rule("%s := %s if %s", d, at, condition)
	case 2:
		w.rule("%s := %s if { %s } else := %s", d, at, condition, other)
	case 3:
		w.rule("default %s := %s\n%s := %s if %s", d, `{"m": "a"}`, d, at, condition)
	case 4:
		w.rule("%s := %s if %s\n%s := %s if %s", d, at, condition, d, other, w.pick("input.m", "not input.m", "input.u"))
	case 5:
		w.rule("%s(x) := x\n%s := %s(%s)", f, d, f, at)
	case 6:
		w.rule("%s(x) := x%s if %s\n%s := %s(%s)", f, w.pick(".h", ".m", ""), w.pick("x.m", "not x.n", "true", condition), d, f, at)
	case 7, 8:
		w.rule("%s(y) := %s if { y == 1 } else := %s\n%s := x if { some y in [1, 2]; x := %s(y) }", f, at, other, d, f)
	case 9:
		w.rule("default %s(_) := {\"m\": \"a\"}\n%s(y) := %s if y == 1\n%s := x if { some y in %s; x := %s(y) }", f, f, at, d, w.pick("[1, 2]", "[1]", "input.l"), f)
	case 10:
		w.rule("%s := object.get(%s, %s, %s)", d, at, w.pick(`"m"`, `"h"`, `["h", "x"]`), other)
	case 11:
		w.rule("%s := x if { some k in %s; x := object.get(%s, k, %s) }", d, w.pick(`["h"]`, `["h", "m"]`, "input.l"), at, other)
	case 12:
		w.rule("%s := x if x := %s with %s as %s", d, at, w.pick("input.r", "input.r.m", "input", "input.s.x"), w.pick("input.s", "input.n", other))
	case 13:
		w.rule("%s := x if { some y in %s; x := %s with input.%s as y }", d, w.pick(`["a", "b"]`, "[1, 2]"), at, w.pick("m", "n", "k"))
	case 14:
		w.rule("%s := x if { x = %s; y = x; z = y%s }", d, at, w.pick("", ".m"))
	case 15:
		w.rule("%s := x if { x = %s; x = %s }", d, at, other)
	case 16:
		w.rule("%s := x if { some x in %s }", d, w.pick("["+at+"]", "{"+at+"}", "["+at+", "+other+"]"))
	case 17:
		w.rule("%s := x if { y := [z | z := %s]; x := y[_] }", d, at)
	case 18:
		w.rule("%s.a := %s\n%s.b := %s", d, at, d, other)
		return w.pick(d+".a", d+"[input.k]", d)
	case 19:
		w.rule("%s[k] := v if { v := %s; k := %s }", d, at, w.pick("input.m", `"a"`))
		return w.pick(d+".a", d+"[input.m]")
	case 20:
		w.rule("%s(x) := %s[x]\n%s := %s(%s)", f, at, d, f, w.pick(`"m"`, `"h"`, "input.k"))
	case 21, 22, 23, 24, 25, 26:
		w.rule("%s := x if { %s }", d, w.keyed(at))
	default:
		w.v2 = true
		w.rule("%s := %s if { %s or %s }", d, at, condition, w.pick("input.u", "not input.m"))
	}
	return d
}

// keyed gives x a member of what stands at a reference, under a key of which something is
// said, before or after.
func (w *writer) keyed(at string) string {
	keys := w.pick(`["m", "h"]`, `["m"]`, `{"h", "x"}`, `data.base.names`, `{"a": "m", "b": "h"}`, `{input.k: "m", "a": "h"}`, `{input.m, "h"}`)
	said := w.pick(`k == "m"`, `not k == "m"`, `k != "m"`, "k == data.base.names.member", "not k = data.base.names.member", `count([1 | k = "m"]) == 0`)
	of := w.pick(at, "input.r", "input.s")
	switch w.r.IntN(7) {
	case 0:
		return "some k in " + keys + "; x := " + at + "[k]"
	case 1:
		return "some k; " + of + "[k]; " + said + "; x := " + at + "[k]"
	case 2:
		return "some k; x := " + at + "[k]; to_number(x) >= 0; " + said
	case 3:
		return "k := " + keys + "[" + w.pick("_", "input.k", `"a"`, `"m"`, "0", "1") + "]; x := " + at + "[k]"
	case 4:
		return "x := [y | y := " + at + "[k]; to_number(y) >= 0; k = " + w.pick(`"m"`, "data.base.names.member") + "]"
	case 5:
		return "some k in " + keys + "; x := [y | y := " + at + "[l]; to_number(y) >= 0; l = k]"
	default:
		return "some k in " + keys + "; " + said + "; x := object.get(" + at + ", k, input.s)"
	}
}
