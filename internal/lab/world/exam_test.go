package world_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/rolegate/rolegate/internal/lab/reference"
	"github.com/rolegate/rolegate/internal/lab/world"
)

// exam is what every mutant of the library is asked: documents, questions and the reference's answers,
// made once for all of them.
type exam []paper

type paper struct {
	origin string // whose it is: a case's or a world's
	store  storage.Store
	sheets []sheet
	orders []order
}

// order is a question of administration.
type order struct {
	entrypoint string
	request    map[string]any
	want       any
	read       func(any) any
}

type sheet struct {
	question map[string]any
	input    ast.Value
	now      time.Time
	want     map[string]any
}

// newExam has some worlds first, because most mutants fall there; then the cases, then more worlds.
func newExam(t *testing.T, questions int) exam {
	t.Helper()
	var e exam
	const early = 4
	for seed := range uint64((questions + questionsEach - 1) / questionsEach) {
		if seed == early {
			e = append(e, casePapers(t)...)
		}
		w, g := world.New(seed), world.NewGenerator(seed)
		p := newPaper(worldOf(seed), w.Data)
		for range questionsEach {
			p.ask(t, w.Data, w.Question(g))
		}
		e = append(e, p)
	}
	return e
}

// caseOrigin begins the origin of every paper that is a case's.
const caseOrigin = "case "

func worldOf(seed uint64) string {
	return fmt.Sprintf("world %d", seed)
}

func newPaper(origin string, data map[string]any) paper {
	return paper{origin: origin, store: inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))}
}

func (p *paper) ask(t *testing.T, data, question map[string]any) {
	t.Helper()
	input, err := ast.InterfaceToValue(world.Input(question))
	if err != nil {
		t.Fatal(err)
	}
	now, err := question["time"].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	want := reference.Decide(dataFor(data, question), question).Document()
	p.sheets = append(p.sheets, sheet{question, input, time.UnixMilli(now), want})
}

// workedCase is one case of the model's own, or of the reference's.
type workedCase struct {
	Name, Op                  string
	Data, Old, Authz, Request map[string]any
}

func workedCases(t *testing.T) []workedCase {
	t.Helper()
	var all []workedCase
	for _, file := range []string{"../reference/testdata/roles.json", "../reference/testdata/subtle.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var cases []workedCase
		if err := decoder.Decode(&cases); err != nil {
			t.Fatal(err)
		}
		all = append(all, cases...)
	}
	return all
}

// casePapers are the cases that are questions.
func casePapers(t *testing.T) exam {
	t.Helper()
	var e exam
	for _, c := range workedCases(t) {
		if c.Op != "decide" {
			continue
		}
		principal, _ := c.Request["principal"].(string)
		data := map[string]any{"rbac": c.Data, "lab": map[string]any{"extensions": map[string]any{principal: c.Authz}}}
		p := newPaper(caseOrigin+c.Name, data)
		p.ask(t, data, c.Request)
		e = append(e, p)
	}
	return e
}

// officeCases are the cases that are requests, documents and changes.
func officeCases(t *testing.T) exam {
	t.Helper()
	var e exam
	for _, c := range workedCases(t) {
		p := newPaper(caseOrigin+c.Name, map[string]any{"rbac": c.Data})
		switch c.Op {
		case "decide":
			continue
		case "validate":
			p.orders = validationOrders(c.Data)
		case "validate_change":
			p.orders = []order{changeOrder(c.Old, c.Data)}
		default:
			for _, r := range administration() {
				if r.entrypoint == c.Op || r.entrypoint == "assignment" && c.Op == "assign" {
					p.orders = []order{{r.entrypoint, c.Request, r.want(c.Data, c.Request), r.read}}
				}
			}
		}
		e = append(e, p)
	}
	return e
}

func validationOrders(rbac map[string]any) []order {
	want := reference.Validate(rbac)
	return []order{
		{"validation", map[string]any{}, bundleCodes(want), func(v any) any { return bundleCodes(codesIn(v)) }},
		{"member_validation", map[string]any{}, memberCodes(want), func(v any) any { return memberCodes(codesIn(v)) }},
	}
}

func changeOrder(old, rbac map[string]any) order {
	return order{
		"change_validation",
		map[string]any{"old": old},
		reference.ValidateChange(old, rbac),
		func(v any) any { return codesIn(v) },
	}
}

// newOfficeExam asks what the library's administration and validation are for.
func newOfficeExam(t *testing.T, worlds int) exam {
	t.Helper()
	e := officeCases(t)
	for seed := range uint64(worlds) {
		w, g := world.New(seed), world.NewGenerator(seed)
		broken := w.Broken(g)
		p := newPaper(worldOf(seed), map[string]any{"rbac": broken})
		p.orders = validationOrders(broken)
		e = append(e, p)
		changed := w.Changed(g)
		p = newPaper(worldOf(seed), map[string]any{"rbac": changed})
		p.orders = []order{changeOrder(w.RBAC(), changed)}
		e = append(e, p)
		if hasUnaskable(w.RBAC()) {
			continue
		}
		p = newPaper(worldOf(seed), map[string]any{"rbac": w.RBAC()})
		for range 20 {
			for _, r := range administration() {
				q := r.draw(w, g)
				p.orders = append(p.orders, order{r.entrypoint, q, r.want(w.RBAC(), q), r.read})
			}
		}
		e = append(e, p)
	}
	return e
}

// sit asks everything until an answer is wrong, and says which; "" when all are right.
func (e exam) sit(ctx context.Context, l *library) string {
	for _, p := range e {
		if wrong := p.order(ctx, l); wrong != "" {
			return p.origin + ": " + wrong
		}
		if len(p.sheets) == 0 {
			continue
		}
		query, err := l.prepare(ctx, p.store)
		if err != nil {
			return err.Error()
		}
		for _, s := range p.sheets {
			report, decision, err := query.eval(ctx, s.input, s.now)
			if err != nil {
				return err.Error()
			}
			if kind := verdictKind(report, decision, s.want); kind != "" {
				return p.origin + ": " + kind
			}
		}
	}
	return ""
}

func (p paper) order(ctx context.Context, l *library) string {
	if len(p.orders) == 0 {
		return ""
	}
	var entrypoints []string
	for _, o := range p.orders {
		if !slices.Contains(entrypoints, o.entrypoint) {
			entrypoints = append(entrypoints, o.entrypoint)
		}
	}
	office, err := l.officeOn(ctx, p.store, entrypoints...)
	if err != nil {
		return err.Error()
	}
	for _, o := range p.orders {
		got, err := office.answer(ctx, o.entrypoint, o.request)
		if err != nil {
			return err.Error()
		}
		if !cmp.Equal(o.want, o.read(got)) {
			return o.entrypoint
		}
	}
	return ""
}

// TestCases: stock OPA and the reference agree on every worked case.
func TestCases(t *testing.T) {
	t.Parallel()
	l := shippedLibrary(t)
	papers := casePapers(t)
	if len(papers) < 200 {
		t.Fatalf("got %d cases, want at least 200", len(papers))
	}
	for _, p := range papers {
		query, err := l.prepare(t.Context(), p.store)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.sheets {
			report, decision, err := query.eval(t.Context(), s.input, s.now)
			if err != nil {
				t.Errorf("%v\nquestion: %v", err, s.question)
			}
			if kind := verdictKind(report, decision, s.want); kind != "" {
				t.Errorf("%s\nquestion: %v\ngot  %v\nwant %v", kind, s.question, report, s.want)
			}
		}
	}
}
