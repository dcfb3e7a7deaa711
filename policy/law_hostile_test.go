package policy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/footprint"
)

// echo answers with all that it reads at places next to each other, so that an answer to
// another question shows.
const echo = `package own

h := input.attributes.request.http.headers

decision := {
	"allow": true, "valid_until": null,
	"read": [object.get(h, "a", {"no": "a"}), object.get(h, "b", {"no": "b"}), object.get(h, "c", {"no": "c"})],
}`

// echoAll answers with every header.
const echoAll = `package own

decision := {"allow": true, "valid_until": null, "read": input.attributes.request.http.headers}`

// asked puts headers where a front end does. nil values are absent.
func asked(headers map[string]ast.Value) inquiry {
	h := ast.NewObject()
	for name, v := range headers {
		if v != nil {
			h.Insert(ast.StringTerm(name), ast.NewTerm(v))
		}
	}
	return inquiry{in: policy.Whole{Value: under(h, "headers", "http", "request", "attributes")}, now: time.UnixMilli(7)}
}

// under wraps a value into objects, the innermost name first.
func under(v ast.Value, names ...string) ast.Value {
	for _, name := range names {
		v = ast.NewObject([2]*ast.Term{ast.StringTerm(name), ast.NewTerm(v)})
	}
	return v
}

// hostile are values that an encoding may take for one another, alone or next to each other.
func hostile() []ast.Value {
	const long = 64 << 10
	texts := []string{
		"", "a", "b", "ab", "a\x00", "\x00a", "\x00", "\x00\x00", "a,b", "a;b", "a\n", "a\r\nb: c", "null", "true", "1", "{}", "[]",
		`"`, `\u0000`, "\xff", "\xfe", "\xff\xfe", "\ufffd", "\xc0\x80", "\xed\xa0\x80", "é", "e\u0301", "A", " a", "a ",
		strings.Repeat("a", 127), strings.Repeat("a", 128), strings.Repeat("a", 129),
		strings.Repeat("a", long), strings.Repeat("a", long-1) + "b", "b" + strings.Repeat("a", long-1), strings.Repeat("\x00", long),
	}
	values := []ast.Value{
		nil,
		ast.Null{},
		ast.Boolean(true), ast.Boolean(false), ast.Number("1"), ast.Number("0"), ast.Number("1e400"), ast.Number("10000000000000000000001"),
		ast.NewArray(), ast.NewObject(), ast.NewSet(),
		ast.NewArray(ast.StringTerm("a"), ast.StringTerm("b")), ast.NewArray(ast.StringTerm("ab")), ast.NewArray(ast.StringTerm("a,b")),
		ast.NewArray(ast.ArrayTerm(ast.StringTerm("a")), ast.StringTerm("b")), ast.NewArray(ast.ArrayTerm(ast.StringTerm("a"), ast.StringTerm("b"))),
		ast.NewSet(ast.StringTerm("a"), ast.StringTerm("b")),
		under(ast.String("b"), "a"), under(ast.String("a"), "b"), under(under(ast.String("b"), "a"), "a"),
	}
	for _, text := range texts {
		values = append(values, ast.String(text))
	}
	// What one value looks like when it is encoded, as the text of another.
	for _, v := range []ast.Value{nil, ast.Null{}, ast.String(""), ast.String("b"), ast.NewArray()} {
		encoded := string(footprint.AppendValue(nil, v))
		values = append(values, ast.String(encoded), ast.String("a"+encoded), ast.String(encoded+encoded))
	}
	return append(values, ast.String(binary.AppendUvarint(nil, 300)))
}

// neighbors are questions that differ in one place, each of the hostile values in turn,
// and one text that is cut at every place: what stands next to each other must not run
// together, whatever byte an encoding puts between.
func neighbors() []inquiry {
	var questions []inquiry
	for _, v := range hostile() {
		questions = append(questions, asked(map[string]ast.Value{"a": v, "c": ast.String("c")}), asked(map[string]ast.Value{"a": ast.String("a"), "b": v}))
	}
	for between := range 16 {
		text := strings.Repeat("a"+string([]byte{byte(between)}), 2)
		for i := range len(text) + 1 {
			questions = append(questions, asked(map[string]ast.Value{"a": ast.String(text[:i]), "b": ast.String(text[i:])}))
		}
	}
	return questions
}

// Whatever headers hold: each question gets its own answer, first and again when all of
// them are remembered side by side.
func TestNoTwoQuestionsShareAnAnswer(t *testing.T) {
	t.Parallel()
	for name, module := range map[string]string{"named headers": echo, "every header": echoAll} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := lawEngine(t, policy.Config{AuditEvery: 7}, ownPolicy(t, module))
			defer e.Close()
			sideBySide(t, e, neighbors())
		})
	}
}

// The same with several places at once.
func TestNoTwoCombinationsShareAnAnswer(t *testing.T) {
	t.Parallel()
	s, values := ownPolicy(t, echo), hostile()
	rapid.Check(t, func(t *rapid.T) {
		e := lawEngine(t, policy.Config{AuditEvery: 7}, s)
		defer e.Close()
		var questions []inquiry
		for range rapid.IntRange(2, 6).Draw(t, "questions") {
			headers := map[string]ast.Value{}
			for _, name := range []string{"a", "b", "c"} {
				headers[name] = rapid.SampledFrom(values).Draw(t, name)
			}
			questions = append(questions, asked(headers))
		}
		sideBySide(t, e, questions)
	})
}

// presence answers by whether places are there, and what they are, alone.
const presence = `package own

decision := {"allow": true, "valid_until": null, "read": [bare, kind, element]}

default bare := "there"

bare := "not there, or with m" if not without_m

without_m if {
	x := input.a
	not x.m
}

default kind := "no object"

kind := object.get(input.b, "m", "none")

default element := "no second"

element := "a second" if {
	x := input.l
	y := x[1]
	not y.m
}
`

// A place that is there differs from one that is not, an object from what is none, and a
// list with an element from one without.
func TestWhetherAPlaceIsThereIsPartOfTheQuestion(t *testing.T) {
	t.Parallel()
	e := lawEngine(t, policy.Config{AuditEvery: 2}, ownPolicy(t, presence))
	defer e.Close()
	values := []string{"", "null", "false", `""`, "{}", `{"m": "none"}`, `{"m": false}`, `{"m": null}`, "[]", "[{}]", `[0, {}]`, `[0, {"m": 1}]`, `[0, false]`}
	questions := []inquiry{{now: time.UnixMilli(7)}}
	for _, a := range values {
		for _, b := range values {
			doc := ast.NewObject()
			for name, text := range map[string]string{"a": a, "b": b, "l": a} {
				if text != "" {
					doc.Insert(ast.StringTerm(name), ast.MustParseTerm(text))
				}
			}
			questions = append(questions, inquiry{policy.Whole{Value: doc}, time.UnixMilli(7)})
		}
	}
	sideBySide(t, e, questions)
}

// sideBySide asks every question until it is remembered, and then all of them once more.
func sideBySide(t rapid.TB, e *policy.Engine, questions []inquiry) {
	t.Helper()
	ctx := context.Background()
	answers := make([]ast.Value, len(questions))
	for i, q := range questions {
		answers[i] = fresh(ctx, e.View(), q)
		if answers[i] != nil && !remembered(ctx, t, e.View(), q, answers[i]) { // faults are never remembered
			t.Fatalf("got no answer from memory, of %.300s", q)
		}
	}
	for i, q := range questions {
		d, err := e.View().Decide(ctx, "own/decision", q.in, q.now)
		if !agrees(d, err, answers[i]) || (d.Origin == policy.OriginHit) != (answers[i] != nil) {
			t.Fatalf("%s: got %+v, %v, want %v from memory, of %.300s", d.Origin, d, err, answers[i], q)
		}
	}
	if s := e.Stats(); s.Mismatches != 0 {
		t.Fatalf("got %+v, want no mismatch", s)
	}
}

// Thousands of headers, in any order, are one question; one of them less is another.
func TestThousandsOfHeadersInAnyOrderAreOneQuestion(t *testing.T) {
	t.Parallel()
	const headers = 5000
	e := lawEngine(t, policy.Config{AuditEvery: 2}, ownPolicy(t, echoAll))
	defer e.Close()
	ask := func(from, step, leaveOut int) inquiry {
		h := ast.NewObject()
		for i := range headers {
			if n := (from + i*step) % headers; n != leaveOut {
				h.Insert(ast.StringTerm(fmt.Sprint("x-", n)), ast.StringTerm(fmt.Sprint(n)))
			}
		}
		return inquiry{in: policy.Whole{Value: under(h, "headers", "http", "request", "attributes")}, now: time.UnixMilli(7)}
	}
	forward := ask(0, 1, -1)
	want := fresh(t.Context(), e.View(), forward)
	if !remembered(t.Context(), t, e.View(), forward, want) {
		t.Fatal("got no answer from memory")
	}
	for _, q := range []inquiry{ask(headers-1, headers-1, -1), ask(17, 7, -1)} {
		if d, err := e.View().Decide(t.Context(), "own/decision", q.in, q.now); !agrees(d, err, want) || d.Origin != policy.OriginHit {
			t.Errorf("in another order: got %s, %v, want the answer from memory", d.Origin, err)
		}
	}
	less := ask(0, 1, 4711)
	if d, err := e.View().Decide(t.Context(), "own/decision", less.in, less.now); !agrees(d, err, fresh(t.Context(), e.View(), less)) || d.Origin != policy.OriginMiss {
		t.Errorf("one header less: got %s, %v, want an evaluation", d.Origin, err)
	}
}

// A value as deep as a parser lets through is a question like others.
func TestADeepValueIsOneQuestion(t *testing.T) {
	t.Parallel()
	const depth = 2000
	e := lawEngine(t, policy.Config{AuditEvery: 2}, ownPolicy(t, echo))
	defer e.Close()
	deep := func(innermost string) inquiry {
		v := ast.StringTerm(innermost)
		for range depth {
			v = ast.ArrayTerm(v)
		}
		return asked(map[string]ast.Value{"a": v.Value})
	}
	for _, innermost := range []string{"x", "y"} {
		q := deep(innermost)
		if !remembered(t.Context(), t, e.View(), q, fresh(t.Context(), e.View(), q)) {
			t.Errorf("got no answer from memory, of a value %d deep", depth)
		}
	}
}

// However many questions there are, and however long: memory holds as many as it was
// told to.
func TestMemoryIsBoundedByItsEntries(t *testing.T) { // alone: it measures the heap
	const entries, questions, long = 32, 1500, 64 << 10
	e := lawEngine(t, policy.Config{AuditEvery: -1, Entries: entries}, ownPolicy(t, echo))
	defer e.Close()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	padding := strings.Repeat("x", long)
	for i := range questions {
		q := asked(map[string]ast.Value{"a": ast.String(fmt.Sprint(i, padding))})
		if d, err := e.View().Decide(t.Context(), "own/decision", q.in, q.now); err != nil || d.Effect != policy.Allow {
			t.Fatalf("got %+v, %v, want an allow", d, err)
		}
	}
	// An entry is a key and a result that shows the same text; as much again for what is
	// on its way, and a little for the rest.
	const bound = 2*entries*2*long + 8<<20
	limit := time.Now().Add(patience)
	grown := int64(heap()) - int64(before)
	for ; grown > bound && time.Now().Before(limit); grown = int64(heap()) - int64(before) {
		runtime.Gosched() // sets on their way
	}
	t.Logf("the heap grew by %d KiB for %d questions of %d KiB", grown>>10, questions, long>>10)
	if grown > bound {
		t.Errorf("got %d KiB more on the heap, want at most %d", grown>>10, bound>>10)
	}
}
