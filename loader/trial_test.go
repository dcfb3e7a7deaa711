package loader_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// trials is a verifier that finds each line that says "wrong" in a case file, and each
// test with that word in its name. It notes the files that it was to look at.
type trials struct {
	mu   sync.Mutex
	seen [][]string
	err  error
}

func (v *trials) verify(_ context.Context, t loader.Trial) (found policy.Problems, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var looked []string
	for name, m := range t.Tests {
		if !t.Chosen(name) {
			continue
		}
		looked = append(looked, name)
		for _, r := range m.Rules {
			if strings.Contains(r.Head.Name.String(), "wrong") {
				found = append(found, policy.Problem{File: name, Line: r.Location.Row, Column: 1, Message: r.Head.Name.String() + ": it is wrong"})
			}
		}
	}
	for _, c := range t.Cases {
		looked = append(looked, c.Name)
		for i, line := range strings.Split(string(c.Text), "\n") {
			if strings.Contains(line, "wrong") {
				found = append(found, policy.Problem{File: c.Name, Line: i + 1, Column: 1, Message: line})
			}
		}
	}
	slices.Sort(looked)
	v.seen = append(v.seen, looked)
	return found, v.err
}

// looks are the files of each trial since it was last asked.
func (v *trials) looks() [][]string {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := v.seen
	v.seen = nil
	return seen
}

// tested is the good set with cases beside its routes.
func tested(t *testing.T) files {
	t.Helper()
	fs := good(t)
	fs["routes/cases/documents.json"] = "[]\n"
	return fs
}

const hint = " (`rolegate test DIR` shows the same; `loader.run_tests: false` loads bundles without a look at their tests)"

// TestTrials: what a bundle's tests say decides whether the bundle does. They are run when
// the bundle is new, and when somebody's Rego is; never for other bundles' data.
func TestTrials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tested(t).write(t, dir)
	var v trials
	r := run(t, loader.Config{Dir: dir, RunTests: true, Verify: v.verify})
	r.event(t, "a first set", installed)
	const test, cases = "authz/authz/deny_test.rego", "routes/cases/documents.json"
	looked := func(what string, want ...string) {
		t.Helper()
		for i, got := range v.looks() {
			if i > 0 || !slices.Equal(got, want) {
				t.Errorf("%s: looked at %q, want %q", what, got, want)
			}
		}
	}
	looked("all is new", test, cases)

	files{"members/rbac/members/acme/data.json": `{"ann": {"grants": {}}}`}.renew(t, dir)
	r.event(t, "a change of data", installed)
	if got := v.looks(); len(got) > 0 {
		t.Errorf("data of a bundle without tests: looked at %q, want nothing", got)
	}

	files{"routes/cases/documents.json": "[]\nwrong\n"}.renew(t, dir)
	e := r.event(t, "a refusal", refused)
	want := cases + ":2:1: failed_test: wrong" + hint
	if got := e.Problems.Error(); got != want || e.Generation != 2 {
		t.Errorf("generation %d goes on: got %s, want %s", e.Generation, got, want)
	}
	looked("a bundle's cases", cases)

	// What is wrong there keeps nothing else from being revoked.
	files{"members/rbac/members/acme/data.json": `{}`}.renew(t, dir)
	if e := r.event(t, "a change beside it", installed); e.Generation != 3 {
		t.Errorf("got %+v, want generation 3", e)
	}
	if s := r.Status(); !s.Degraded {
		t.Errorf("the status is %+v, want degraded", s)
	}
	files{"routes/cases/documents.json": "[]\n\n"}.renew(t, dir)
	r.until(t, "no longer degraded", func(s loader.Status) bool { return !s.Degraded })
	v.looks()

	files{"authz/authz/deny_test.rego": "package authz.tests\n\n\ntest_wrong if true\n"}.renew(t, dir)
	e = r.event(t, "a refusal", refused)
	if got, want := e.Problems.Error(), test+":4:1: failed_test: test_wrong: it is wrong"+hint; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	looked("Rego is new: the tests beside it may say otherwise now", test, cases)
}

// TestTrialsAtTheStart: nothing decides as long as a test says that it should not.
func TestTrialsAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fs := tested(t)
	fs["routes/cases/documents.json"] = "wrong"
	fs.write(t, dir)
	var v trials
	cfg := loader.Config{Dir: dir, RunTests: true, Verify: v.verify}
	_, err := loader.Open(t.Context(), cfg)
	if want := "routes/cases/documents.json:1:1: failed_test: wrong" + hint; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	r := run(t, cfg)
	r.event(t, "a refusal", refused)
	r.stays(t, 0)
	cfg.RunTests = false
	if _, err := loader.Open(t.Context(), cfg); err != nil {
		t.Errorf("without a look at the tests: %v", err)
	}
	tested(t).write(t, dir)
	r.event(t, "a first set", installed)
}

// TestTrialsThatCannotBeRun refuse too.
func TestTrialsThatCannotBeRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tested(t).write(t, dir)
	v := trials{err: errors.New("no library")}
	_, err := loader.Open(t.Context(), loader.Config{Dir: dir, RunTests: true, Verify: v.verify})
	if !errors.Is(err, v.err) {
		t.Errorf("got %v, want %v", err, v.err)
	}
}

// TestProblemsOfNobodysAreNotForgotten: what is wrong in no bundle's file refuses the set
// again when it is built again.
func TestProblemsOfNobodysAreNotForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tested(t).write(t, dir)
	var tried atomic.Int64
	r := run(t, loader.Config{Dir: dir, RunTests: true, Verify: func(context.Context, loader.Trial) (policy.Problems, error) {
		return policy.Problems{{Message: fmt.Sprint("nobody's, ", tried.Add(1))}}, nil
	}})
	r.event(t, "a refusal", refused)
	files{"members/rbac/members/acme/data.json": `{}`}.renew(t, dir)
	r.event(t, "another refusal", func(e loader.Event) bool { return refused(e) && e.Problems[0].Message == "nobody's, 2" })
	r.stays(t, 0)
}

// TestCaseFilesMakeNoBundle: a folder of bundles is one with case files at its top, too.
func TestCaseFilesMakeNoBundle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fs := tested(t)
	fs["cases.json"] = "[]"
	fs.write(t, dir)
	set, err := loader.Open(t.Context(), loader.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range set.Bundles {
		names = append(names, b.Name)
	}
	if diff := cmp.Diff([]string{"authz", "members", "roles", "routes"}, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	replace(t, filepath.Join(dir, "more.tar.gz"), files{
		".manifest": `{"roots": ["more"]}`, "more/data.json": "{}", "cases/x.yaml": "wrong",
	}.pack(t))
	var v trials
	_, err = loader.Open(t.Context(), loader.Config{Dir: dir, RunTests: true, Verify: v.verify})
	if err == nil || !strings.Contains(err.Error(), "more.tar.gz/cases/x.yaml:1:1: failed_test") {
		t.Errorf("an archive's cases: got %v", err)
	}
}
