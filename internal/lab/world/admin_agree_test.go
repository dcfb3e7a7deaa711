package world_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/rolegate/rolegate/internal/lab/reference"
	"github.com/rolegate/rolegate/internal/lab/soak"
	"github.com/rolegate/rolegate/internal/lab/world"
)

// office is the library's administration on one document.
type office struct {
	entrypoints map[string]rego.PreparedEvalQuery
}

func (l *library) office(ctx context.Context, data map[string]any, entrypoints ...string) (*office, error) {
	return l.officeOn(ctx, inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true)), entrypoints...)
}

func (l *library) officeOn(ctx context.Context, store storage.Store, entrypoints ...string) (*office, error) {
	o := &office{map[string]rego.PreparedEvalQuery{}}
	for _, entrypoint := range entrypoints {
		query, err := rego.New(
			rego.Query("data.rolegate.admin."+entrypoint),
			rego.Compiler(l.compiler),
			rego.Store(store),
			rego.StrictBuiltinErrors(true),
		).PrepareForEval(ctx)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", entrypoint, err)
		}
		o.entrypoints[entrypoint] = query
	}
	return o, nil
}

// answer is what an entry point says to a request; nil when it says nothing.
func (o *office) answer(ctx context.Context, entrypoint string, request map[string]any) (any, error) {
	input, err := ast.InterfaceToValue(request)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	options := []rego.EvalOption{rego.EvalParsedInput(input)}
	if text, ok := request["time"].(json.Number); ok {
		now, err := text.Int64()
		if err != nil {
			return nil, fmt.Errorf("read the time: %w", err)
		}
		options = append(options, rego.EvalTime(time.UnixMilli(now)))
	}
	query := o.entrypoints[entrypoint]
	results, err := query.Eval(ctx, options...)
	if err != nil || len(results) == 0 {
		return nil, err
	}
	return results[0].Expressions[0].Value, nil
}

// asList turns a set of texts into a sorted list; nil, no answer, stays nil.
func asList(v any) []string {
	elements, ok := v.([]any)
	if !ok {
		return nil
	}
	out := []string{}
	for _, element := range elements {
		out = append(out, fmt.Sprint(element))
	}
	slices.Sort(out)
	return out
}

// request is one question of administration on a document: what the library says, what the sentences say.
type request struct {
	entrypoint string
	draw       func(*world.World, *world.Generator) map[string]any
	want       func(rbac, request map[string]any) any
	read       func(answer any) any
}

func administration() []request {
	return []request{
		{
			"assignment", (*world.World).Assignment,
			func(rbac, q map[string]any) any { return reference.Assignment(reference.Data{RBAC: rbac}, q) },
			func(answer any) any { return answer },
		},
		{
			"signup", (*world.World).Signup,
			func(rbac, q map[string]any) any { return reference.Signup(reference.Data{RBAC: rbac}, q) },
			func(answer any) any { return asList(answer) },
		},
		{
			"search", (*world.World).Search,
			func(rbac, q map[string]any) any { return reference.Search(reference.Data{RBAC: rbac}, q) },
			func(answer any) any {
				members, ok := answer.(map[string]any)
				if !ok {
					return nil
				}
				found := map[string][]string{}
				for principal, sources := range members {
					found[principal] = asList(sources)
				}
				return found
			},
		},
	}
}

// TestAdministrationAgrees compares assignments, searches and signups with the sentences.
func TestAdministrationAgrees(t *testing.T) {
	t.Parallel()
	l := shippedLibrary(t)
	worlds := max(1, soak.Number(t, "ROLEGATE_QUESTIONS", ordinary())/100)
	show := soak.Number(t, "ROLEGATE_DIFFERENCES", 5)
	for seed := range uint64(worlds) {
		w, g := world.New(seed), world.NewGenerator(seed)
		if hasUnaskable(w.RBAC()) {
			continue
		}
		o, err := l.office(t.Context(), map[string]any{"rbac": w.RBAC()}, "assignment", "search", "signup")
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			for _, r := range administration() {
				q := r.draw(w, g)
				if r.difference(t.Context(), o, w.RBAC(), q) == "" {
					continue
				}
				show--
				if show >= 0 {
					t.Error(r.shrunk(t.Context(), l, w.RBAC(), q))
				} else {
					t.Fail()
				}
			}
		}
	}
}

// hasUnaskable tells whether a registered tenant's key is no path: no request can be about it (N8), and the
// sentences say nothing of its administration.
func hasUnaskable(rbac map[string]any) bool {
	tenants, _ := rbac["tenants"].(map[string]any)
	for tenant := range tenants {
		if strings.ContainsAny(tenant, "$ \u00a0\u0001") {
			return true
		}
	}
	return false
}

// difference is how the library's answer differs from the sentences'; "" when it does not.
func (r request) difference(ctx context.Context, o *office, rbac, q map[string]any) string {
	got, err := o.answer(ctx, r.entrypoint, q)
	if err != nil {
		return err.Error()
	}
	return cmp.Diff(r.want(rbac, q), r.read(got))
}

func (r request) shrunk(ctx context.Context, l *library, rbac, q map[string]any) string {
	differs := func(rbac, q map[string]any) string {
		o, err := l.office(ctx, map[string]any{"rbac": rbac}, r.entrypoint)
		if err != nil {
			return ""
		}
		return r.difference(ctx, o, rbac, q)
	}
	first := differs(rbac, q)
	rbac, q = shrinkPair(rbac, q, func(rbac, q map[string]any) bool { return differs(rbac, q) == first })
	return fmt.Sprintf("%s (-want +got):\n%s\nrequest: %s\ndata.rbac: %s", r.entrypoint, first, asJSON(q), asJSON(rbac))
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return readable(string(text))
}

// TestValidationAgrees compares the codes of worlds as they are, of documents with faults, and of
// changes.
func TestValidationAgrees(t *testing.T) {
	t.Parallel()
	l := shippedLibrary(t)
	seen := map[string]int{}
	show := soak.Number(t, "ROLEGATE_DIFFERENCES", 5)
	for seed := range uint64(150) {
		w, g := world.New(seed), world.NewGenerator(seed)
		for i := range 4 {
			before, after := map[string]any{}, w.Broken(g)
			if i == 0 {
				before, after = w.RBAC(), w.Changed(g)
			}
			missing, extra := validationDiffers(t, l, before, after, seen)
			if missing == "" && extra == "" {
				continue
			}
			show--
			if show < 0 {
				t.Fail()
				continue
			}
			before, after = shrinkPair(before, after, func(before, after map[string]any) bool {
				lacks, has := validationDiffers(t, l, before, after, nil)
				return lacks == missing && has == extra
			})
			t.Errorf("validation: the sentences have %q, the library has %q\ndata.rbac: %s\nold: %s", missing, extra, asJSON(after), asJSON(before))
		}
	}
	for _, code := range []string{
		"missing_root", "bad_tenant", "unregistered_ancestor", "unknown_owner", "role_id_mismatch", "bad_visibility",
		"include_without_list_visibility", "include_unknown_tenant", "shadowed_key", "bad_type", "predefined_not_root",
		"predefined_unmanaged", "bad_level", "bad_window", "bad_wildcard", "permission_not_in_catalog", "never_in_custom",
		"target_outside_owner", "rule_unknown_role", "rule_foreign_role", "rule_role_not_visible", "member_unknown_tenant",
		"bad_kind", "grant_unknown_role", "grant_not_visible", "bad_condition", "predefined_modified", "predefined_added",
	} {
		if seen[code] < 5 {
			t.Errorf("got %d documents with code %s, want at least 5", seen[code], code)
		}
	}
}

// validationDiffers gives the first code that only the sentences have, and the first that only the library
// has. With an old document it is about the change alone.
func validationDiffers(t *testing.T, l *library, old, rbac map[string]any, seen map[string]int) (missing, extra string) {
	t.Helper()
	entrypoints, want := []string{"validation", "member_validation"}, reference.Validate(rbac)
	if len(old) > 0 {
		entrypoints, want = []string{"change_validation"}, reference.ValidateChange(old, rbac)
	}
	got := codesOf(t, l, rbac, old, entrypoints)
	for _, code := range want {
		if name, _, _ := strings.Cut(code, ":"); seen != nil {
			seen[name]++
		}
		if !slices.Contains(got, code) && missing == "" {
			missing = code
		}
	}
	for _, code := range got {
		if !slices.Contains(want, code) && extra == "" {
			extra = code
		}
	}
	return missing, extra
}

// codesOf are the codes that the library gives a document, sorted, but for those that the reference does
// not know.
func codesOf(t *testing.T, l *library, rbac, old map[string]any, entrypoints []string) []string {
	t.Helper()
	o, err := l.office(t.Context(), map[string]any{"rbac": rbac}, entrypoints...)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entrypoint := range entrypoints {
		problems, err := o.answer(t.Context(), entrypoint, map[string]any{"old": old})
		if err != nil {
			t.Fatalf("%s: %v", entrypoint, err)
		}
		found = append(found, codesIn(problems)...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// codesIn are the codes in a set of problems, sorted, each once.
func codesIn(problems any) []string {
	found := map[string]bool{}
	list, _ := problems.([]any)
	for _, entry := range list {
		problem, _ := entry.(map[string]any)
		code := fmt.Sprint(problem["code"])
		if code == "bad_shape" || code == "condition_too_deep" {
			continue
		}
		if subject, _ := problem["subject"].(string); code != "missing_root" {
			code += ":" + subject
		}
		found[code] = true
	}
	return sortedKeys(found)
}

// bundleCodes and memberCodes part the codes by who looks for them: bad_window is a role's, or a
// member's with node and principal.
func bundleCodes(codes []string) []string {
	return slices.DeleteFunc(slices.Clone(codes), isMemberCode)
}

func memberCodes(codes []string) []string {
	return slices.DeleteFunc(slices.Clone(codes), func(code string) bool { return !isMemberCode(code) })
}

func isMemberCode(code string) bool {
	switch name, rest, _ := strings.Cut(code, ":"); name {
	case "member_unknown_tenant", "bad_kind", "grant_unknown_role", "grant_not_visible":
		return true
	default:
		return name == "bad_window" && strings.Contains(rest, ":")
	}
}
