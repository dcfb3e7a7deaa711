package cases_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/rolegate/rolegate/internal/cases"
)

func TestRegoTestsPassFailAndAreSkipped(t *testing.T) {
	run := func(ctx context.Context, match string) []string {
		m := ast.MustParseModuleWithOpts(`package authz_test

test_passes if data.flags.on

test_fails if data.flags.off

test_errs if json.unmarshal("{")

todo_test_later if false`, ast.ParserOptions{RegoVersion: ast.RegoV1})
		var got []string
		err := cases.Rego(ctx, cases.RegoTests{
			Tests: map[string]*ast.Module{"authz_test.rego": m}, Store: inmem.NewFromObject(map[string]any{"flags": map[string]any{"on": true}}), Match: match,
		}, func(r cases.Result) error {
			got = append(got, fmt.Sprintf("%s passed=%t skipped=%t error=%t", r.Name, r.Passed, r.Skipped, r.Err != nil))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got
	}
	want := []string{
		"data.authz_test.test_errs passed=false skipped=false error=true",
		"data.authz_test.test_fails passed=false skipped=false error=true",
		"data.authz_test.test_passes passed=true skipped=false error=false",
		"data.authz_test.todo_test_later passed=false skipped=true error=false",
	}
	if diff := cmp.Diff(want, run(t.Context(), "")); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:2], run(t.Context(), "fails")); diff != "" {
		t.Errorf("those that match (-want +got):\n%s", diff)
	}
}
