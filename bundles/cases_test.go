package bundles

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// workedCase is one entry of testdata/cases/roles.json.
type workedCase struct {
	Name    string
	System  string
	Op      string
	Data    map[string]any
	Old     map[string]any
	Request map[string]any
	Expect  any
}

func readCases(t *testing.T) []workedCase {
	t.Helper()
	text, err := os.ReadFile("testdata/cases/roles.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []workedCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// library compiles the role library.
func library(tb testing.TB) *ast.Compiler {
	tb.Helper()
	modules, err := CoreModules()
	if err != nil {
		tb.Fatal(err)
	}
	compiler := ast.NewCompiler().WithStrict(true)
	compiler.Compile(modules)
	if compiler.Failed() {
		tb.Fatal(compiler.Errors)
	}
	return compiler
}

// ask evaluates an entry point on role data and an input, strictly, at an instant in milliseconds.
func ask(ctx context.Context, compiler *ast.Compiler, entrypoint string, data, input map[string]any, now int64) (any, error) {
	query, err := rego.New(
		rego.Query(entrypoint),
		rego.Compiler(compiler),
		rego.Store(store(data)),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	results, err := query.Eval(ctx, rego.EvalInput(input), rego.EvalTime(time.UnixMilli(now)))
	if err != nil || len(results) == 0 {
		return nil, err
	}
	return results[0].Expressions[0].Value, nil
}

// question maps the notation of case files to the library's input.
func question(request map[string]any) map[string]any {
	subject, route := map[string]any{}, map[string]any{}
	for key, value := range request {
		switch key {
		case "principal":
			subject["id"] = value
		case "kind":
			subject["type"] = value
		case "claims":
			subject["claims"] = value
		case "time":
		default:
			route[key] = value
		}
	}
	return map[string]any{"subject": subject, "route": route}
}

func instant(request map[string]any) int64 {
	ms, _ := request["time"].(float64)
	return int64(ms)
}

// problems renders validation results as case files write them.
func problems(t *testing.T, value any) []any {
	t.Helper()
	found := []any{}
	list, ok := value.([]any)
	if !ok {
		t.Fatalf("validation: got %v, want a list", value)
	}
	for _, entry := range list {
		problem := entry.(map[string]any)
		code, _ := problem["code"].(string)
		if subject, _ := problem["subject"].(string); subject != "" {
			code += ":" + subject
		}
		found = append(found, code)
	}
	return found
}

// sorted orders lists as sets, wherever they are.
func sorted(value any) any {
	switch value := value.(type) {
	case []any:
		texts := make([]string, 0, len(value))
		for _, element := range value {
			text, _ := json.Marshal(element)
			texts = append(texts, string(text))
		}
		slices.Sort(texts)
		return slices.Compact(texts)
	case map[string]any:
		result := make(map[string]any, len(value))
		for key, element := range value {
			result[key] = sorted(element)
		}
		return result
	case json.Number:
		f, _ := value.Float64()
		return f
	}
	return value
}

func TestCases(t *testing.T) {
	t.Parallel()
	compiler := library(t)
	for _, c := range readCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if diff := runCase(t, compiler, c); diff != "" {
				t.Errorf("%s %v (-want +got):\n%s", c.Op, c.Request, diff)
			}
		})
	}
}

// runCase returns the difference between what the library says of a case and what it should.
func runCase(t *testing.T, compiler *ast.Compiler, c workedCase) string {
	t.Helper()
	entrypoint, input := "", c.Request
	switch c.Op {
	case "decide":
		entrypoint, input = "data.rolegate.report", question(c.Request)
	case "assign":
		entrypoint = "data.rolegate.admin.assignment"
	case "signup":
		entrypoint = "data.rolegate.admin.signup"
	case "search":
		entrypoint = "data.rolegate.admin.search"
	case "validate":
		entrypoint = "data.rolegate.admin.validation | data.rolegate.admin.member_validation"
	case "validate_change":
		entrypoint, input = "data.rolegate.admin.change_validation", map[string]any{"old": c.Old}
	}
	got, err := ask(t.Context(), compiler, entrypoint, c.Data, input, instant(c.Request))
	if err != nil {
		return err.Error()
	}
	want := c.Expect
	switch c.Op {
	case "decide":
		whole, _ := got.(map[string]any)
		compared := map[string]any{}
		for key := range want.(map[string]any) {
			compared[key] = whole[key]
		}
		got = compared
	case "validate", "validate_change":
		found := problems(t, got)
		if bounds, ok := want.(map[string]any); ok {
			return missingOrExtra(found, bounds)
		}
		got = found
	}
	return cmp.Diff(sorted(want), sorted(got))
}

// missingOrExtra compares with {"has": […], "not": […]}.
func missingOrExtra(found []any, bounds map[string]any) string {
	has, _ := bounds["has"].([]any)
	not, _ := bounds["not"].([]any)
	for _, problem := range has {
		if !slices.Contains(found, problem) {
			return cmp.Diff(bounds, found)
		}
	}
	for _, problem := range not {
		if slices.Contains(found, problem) {
			return cmp.Diff(bounds, found)
		}
	}
	return ""
}

// store holds role data as the sidecar's own does, as values that are read without a copy.
func store(data map[string]any) storage.Store {
	return inmem.NewFromObjectWithOpts(map[string]any{"rbac": data}, inmem.OptReturnASTValuesOnRead(true))
}
