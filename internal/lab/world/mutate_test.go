package world_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/rolegate/rolegate/internal/lab/soak"
)

// mutant is one small change of the library, made on modules that were parsed for it alone.
type mutant struct {
	file  string
	name  string // what is changed, and where
	apply func()
}

// subject is what a file of the library is examined by.
type subject int

const (
	unexamined     subject = iota // what no sentence speaks of: explanations, listings, shapes, messages
	decisions                     // by questions
	administrative                // by requests and documents
)

func subjectOf(file string) subject {
	switch {
	case strings.HasPrefix(file, "authz/"):
		return unexamined
	case file == "admin/assignment.rego", file == "admin/search.rego", file == "admin/signup.rego",
		strings.HasPrefix(file, "validation/") && file != "validation/shape.rego":
		return administrative
	case strings.HasPrefix(file, "admin/"), strings.HasPrefix(file, "validation/"), strings.HasPrefix(file, "explain"):
		return unexamined
	default:
		return decisions
	}
}

// mutants lists every change of the modules, in an order that depends on their text only.
func mutants(modules map[string]*ast.Module) []mutant {
	var all []mutant
	for _, file := range sortedKeys(modules) {
		m := mutator{module: modules[file], file: strings.TrimPrefix(path.Clean(file), "rolegate/")}
		if subjectOf(m.file) == unexamined {
			continue
		}
		for i, rule := range modules[file].Rules {
			m.rule(i, rule)
		}
		all = append(all, m.found...)
	}
	return all
}

type mutator struct {
	module *ast.Module
	file   string
	name   string // of the rule at hand
	found  []mutant
}

func (m *mutator) add(change string, what any, apply func()) {
	text := strings.Join(strings.Fields(fmt.Sprint(what)), " ")
	name := m.file + " " + m.name + ": " + change + " `" + text + "`"
	for n := 2; slices.ContainsFunc(m.found, func(other mutant) bool { return other.name == name }); n++ {
		name = m.file + " " + m.name + ": " + change + " `" + text + "` " + strconv.Itoa(n)
	}
	m.found = append(m.found, mutant{m.file, name, apply})
}

func (m *mutator) rule(i int, rule *ast.Rule) {
	m.name = rule.Head.Ref().String()
	if strings.HasPrefix(m.file, "validation/") && speaksOfShapes(rule) {
		return
	}
	m.add("delete rule", rule.Head.String()+" if "+rule.Body.String(), func() { m.module.Rules = slices.Delete(m.module.Rules, i, i+1) })
	for r := rule; r.Else != nil; r = r.Else {
		m.add("delete else", r.Else.Head.String()+" if "+r.Else.Body.String(), func() { r.Else = r.Else.Else })
		m.add("delete before else", r.Body, func() {
			next := r.Else
			r.Head, r.Body, r.Else = next.Head, next.Body, next.Else
		})
	}
	operators := map[*ast.Term]bool{} // what is called is not a word
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Rule:
			m.body(&x.Body)
		case *ast.ArrayComprehension:
			m.body(&x.Body)
		case *ast.SetComprehension:
			m.body(&x.Body)
		case *ast.ObjectComprehension:
			m.body(&x.Body)
		case *ast.Every:
			m.body(&x.Body)
		case *ast.Expr:
			if terms, ok := x.Terms.([]*ast.Term); ok {
				operators[terms[0]] = true
			}
			m.operator(x)
		case ast.Call:
			operators[x[0]] = true
		case *ast.Term:
			if operators[x] {
				return true
			}
			m.word(x)
		default:
		}
		return false
	}).Walk(rule)
}

// speaksOfShapes tells whether a rule finds a code that the reference does not know.
func speaksOfShapes(rule *ast.Rule) bool {
	text := rule.Head.String()
	return strings.Contains(text, "bad_shape") || strings.Contains(text, "condition_too_deep")
}

// body deletes and negates each expression.
func (m *mutator) body(body *ast.Body) {
	for i, expr := range *body {
		if term, ok := expr.Terms.(*ast.Term); ok && term.Equal(ast.BooleanTerm(true)) {
			continue // what the parser puts where nothing is written
		}
		m.add("delete", expr, func() {
			*body = slices.Delete(*body, i, i+1)
			if len(*body) == 0 {
				*body = ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))
			}
		})
		if _, declares := expr.Terms.(*ast.SomeDecl); !declares && !expr.IsAssignment() {
			m.add("negate", expr, func() { expr.Negated = !expr.Negated })
		}
	}
}

// operator moves the boundary of a comparison, or turns it round.
func (m *mutator) operator(expr *ast.Expr) {
	if !expr.IsCall() {
		return
	}
	for _, other := range otherOperators(expr.Operator().String()) {
		m.add("write "+other+" in", expr, func() { expr.SetOperator(ast.RefTerm(ast.VarTerm(other))) })
	}
}

func otherOperators(name string) []string {
	switch name {
	case "lt":
		return []string{"lte", "gt"}
	case "lte":
		return []string{"lt", "gte"}
	case "gt":
		return []string{"gte", "lt"}
	case "gte":
		return []string{"gt", "lte"}
	case "equal":
		return []string{"neq"}
	case "neq":
		return []string{"equal"}
	default:
		return nil
	}
}

// word swaps words that the model tells apart, truths, and small numbers.
func (m *mutator) word(term *ast.Term) {
	if strings.HasPrefix(m.file, "validation/") {
		return // most words there are messages and paths, for people
	}
	switch value := term.Value.(type) {
	case ast.String:
		if other := otherWord(string(value)); other != "" {
			m.add("swap", term, func() { term.Value = ast.String(other) })
		}
	case ast.Boolean:
		m.add("swap", term, func() { term.Value = !value })
	case ast.Number:
		m.add("count on from", term, func() {
			n, _ := value.Int64()
			term.Value = ast.Number(fmt.Sprint(n + 1))
		})
	default:
	}
}

// otherWord is the word that a word of the model is most dangerously mistaken for; every other text
// becomes one that nobody writes.
func otherWord(word string) string {
	switch word {
	case "allow":
		return "deny"
	case "deny":
		return "allow"
	case "user":
		return "m2m"
	case "custom":
		return "predefined"
	case "predefined":
		return "custom"
	case "token_roles":
		return "token_permissions"
	case "token_permissions":
		return "token_roles"
	case "ALL":
		return "NONE"
	default:
		return word + "~"
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// TestMutants changes the library a little and demands that the worlds, the cases or the library's own Rego
// tests notice: these alone speak of what no document of the schema holds. The ordinary run takes a small
// sample and demands that most are noticed. ROLEGATE_MUTANTS sets how many are tried (a number past the end
// means all), ROLEGATE_MUTATE which: how their names begin, as in condition/, or after @ a file of names; then
// each one that nobody notices is an error, unless testdata/equivalent.txt says why it decides as the library
// does. ROLEGATE_EXAM sets the questions that a mutant has to survive.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("one mutant after the other: nothing that could race")
	}
	modules, err := coreModules()
	if err != nil {
		t.Fatal(err)
	}
	all := mutants(modules)
	wanted := wantedMutants(t)
	var numbered []int
	for i, m := range all {
		if wanted(m.name) {
			numbered = append(numbered, i)
		}
	}
	const sample, leastNoticed = 24, 70 // in a hundred
	number := soak.Number(t, "ROLEGATE_MUTANTS", sample)
	every := max(1, len(numbered)/number)
	const questionsOfAnOffice = 20 // as many as a world's office takes the time of
	questions := soak.Number(t, "ROLEGATE_EXAM", 2_000)
	exams := map[subject]exam{
		decisions:      newExam(t, questions),
		administrative: newOfficeExam(t, questions/questionsOfAnOffice),
	}
	for _, e := range exams {
		if wrong := e.sit(t.Context(), shippedLibrary(t)); wrong != "" {
			t.Fatalf("the library itself fails: %s", wrong)
		}
	}
	if wrong := failedTest(t.Context(), func(map[string]*ast.Module) {}); wrong != "" {
		t.Fatalf("the library itself fails: %s", wrong)
	}
	known := equivalents(t)

	numbers := make(chan int)
	var (
		mu        sync.Mutex
		survivors []string
		tried     int
		noticedBy = map[string]int{}
		workers   sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range numbers {
				noticed := examine(t.Context(), exams[subjectOf(all[i].file)], i)
				mu.Lock()
				tried++
				noticedBy[examiner(noticed)]++
				if noticed == "" {
					survivors = append(survivors, all[i].name)
				}
				mu.Unlock()
				if testing.Verbose() {
					t.Logf("%s\n\t%s", all[i].name, noticed)
				}
			}
		})
	}
	for i := every / 2; i < len(numbered); i += every {
		numbers <- numbered[i]
	}
	close(numbers)
	workers.Wait()

	slices.Sort(survivors)
	unknown := slices.DeleteFunc(slices.Clone(survivors), known)
	for _, name := range unknown {
		t.Logf("nobody notices: %s", name)
	}
	t.Logf("%d of %d mutants tried: %d noticed, %d decide as the library does, %d survive",
		tried, len(all), tried-len(survivors), len(survivors)-len(unknown), len(unknown))
	t.Logf("noticed by: %v", noticedBy)
	if strict := number != sample; strict && len(unknown) > 0 || len(unknown)*100 > tried*(100-leastNoticed) {
		t.Errorf("got %d mutants of %d that nobody notices", len(unknown), tried)
	}
}

// wantedMutants tells which mutants ROLEGATE_MUTATE speaks of.
func wantedMutants(t *testing.T) func(name string) bool {
	t.Helper()
	which := os.Getenv("ROLEGATE_MUTATE")
	file, listed := strings.CutPrefix(which, "@")
	if !listed {
		return func(name string) bool { return strings.HasPrefix(name, which) }
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for name := range strings.Lines(string(text)) {
		names[strings.TrimSpace(name)] = true
	}
	return func(name string) bool { return names[name] }
}

// examine makes one mutant and says how it was noticed; "" when it was not.
func examine(ctx context.Context, questions exam, number int) string {
	const patience = 10 * time.Minute // for all answers; a mutant that takes so long, on a busy machine too, gives none
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	modules, err := coreModules()
	if err != nil {
		return err.Error()
	}
	mutants(modules)[number].apply()
	l, err := compile(modules)
	if err != nil {
		return "compiler: " + err.Error()
	}
	if wrong := questions.sit(ctx, l); wrong != "" {
		return wrong
	}
	return failedTest(ctx, func(modules map[string]*ast.Module) { mutants(modules)[number].apply() })
}

// examiner is who noticed a mutant, of the first word that says how.
func examiner(noticed string) string {
	first, _, _ := strings.Cut(noticed, " ")
	switch first {
	case "":
		return "nobody"
	case "case", "world", "compiler:", "test":
		return strings.TrimSuffix(first, ":")
	default:
		return "an error"
	}
}

// failedTest runs the library's own Rego tests on a changed library, and names one that fails; "" when all pass.
func failedTest(ctx context.Context, change func(map[string]*ast.Module)) string {
	modules, err := coreModules()
	if err != nil {
		return err.Error()
	}
	change(modules)
	tests, err := readModules("../../../bundles/core", func(name string) bool { return strings.HasSuffix(name, "_test.rego") })
	if err != nil {
		return err.Error()
	}
	for name, module := range tests {
		modules["tests/"+name] = module
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	store := inmem.New()
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return err.Error()
	}
	defer store.Abort(ctx, txn)
	results, err := tester.NewRunner().
		SetStore(store).
		SetModules(modules).
		SetTimeout(time.Minute). // on a busy machine too, only a mutant may be slow
		RaiseBuiltinErrors(true).
		RunTests(ctx, txn)
	if err != nil {
		return "compiler: " + err.Error()
	}
	failed := ""
	for r := range results { // to its end, so that the runner's goroutine ends
		if failed == "" && !r.Pass() && !r.Skip {
			failed = "test " + r.Package + "." + r.Name
			cancel()
		}
	}
	return failed
}

// equivalents tells which mutants are known to decide as the library does: lines of `name # reason`, where a
// name may end in * for all that begin so.
func equivalents(t *testing.T) func(name string) bool {
	t.Helper()
	text, err := os.ReadFile("testdata/equivalent.txt")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for line := range strings.Lines(string(text)) {
		if name, _, explained := strings.Cut(strings.TrimSpace(line), " # "); explained {
			known = append(known, name)
		}
	}
	return func(name string) bool {
		return slices.ContainsFunc(known, func(pattern string) bool {
			prefix, open := strings.CutSuffix(pattern, "*")
			return name == pattern || open && strings.HasPrefix(name, prefix)
		})
	}
}
