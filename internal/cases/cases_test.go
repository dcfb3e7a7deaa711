package cases_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"

	"github.com/rolegate/rolegate/internal/cases"
	"github.com/rolegate/rolegate/policy/policytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRunner(t *testing.T, bundle string) *cases.Runner {
	t.Helper()
	library := policytest.Snapshot(t, "")
	own := library
	if bundle != "" {
		own = policytest.Snapshot(t, bundle)
	}
	r, err := cases.NewRunner(own, library, func() time.Time { return time.UnixMilli(1767225600000) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestTheWorkedCasesOfTheRoleModel(t *testing.T) {
	f, err := os.Open("../../bundles/testdata/cases/roles.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := newRunner(t, "")
	n := 0
	err = cases.Read(f, "roles.json", func(c cases.Case) error {
		n++
		if got := r.Run(t.Context(), c); !got.Passed {
			t.Errorf("roles.json:%d: %s: got %v (%v), want %v", c.Line, c.Name, got.Got, got.Err, got.Want)
		}
		return nil
	})
	if err != nil || n != 119 {
		t.Errorf("got %d cases, %v, want 119", n, err)
	}
}

// TestFiles reads testdata/*.txtar: a file of cases, a bundle in some, and what is
// said of each case or of the file.
func TestFiles(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			var name, text, want string
			for _, part := range a.Files {
				switch part.Name {
				case "cases.json", "cases.yaml":
					name, text = part.Name, string(part.Data)
				case "want":
					want = string(part.Data)
				}
			}
			r := newRunner(t, string(txtar.Format(a)))
			var got strings.Builder
			err = cases.Read(strings.NewReader(text), name, func(c cases.Case) error {
				result := r.Run(t.Context(), c)
				switch {
				case result.Err != nil:
					got.WriteString(c.Name + ": " + result.Err.Error() + "\n")
				case result.Passed:
					got.WriteString(c.Name + ": passed\n")
				default:
					got.WriteString(c.Name + ": failed\n")
				}
				return nil
			})
			if fault, ok := errors.AsType[*cases.Error](err); ok {
				got.WriteString(fault.Error() + "\n")
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", archive, diff)
			}
		})
	}
}
