package cases_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/rolegate/rolegate/internal/cases"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
)

var update = flag.Bool("update", false, "rewrite the last part of testdata/verify")

// TestVerifier: a loader with a verifier refuses what its own tests and cases refuse, and
// says each reason with its place.
func TestVerifier(t *testing.T) {
	archives, err := filepath.Glob("testdata/verify/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			last := &a.Files[len(a.Files)-1]
			for _, f := range a.Files[:len(a.Files)-1] {
				path := filepath.Join(dir, f.Name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, f.Data, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			library := func(context.Context) (*policy.Snapshot, error) { return policytest.Snapshot(t, ""), nil }
			_, err = loader.Open(t.Context(), loader.Config{Dir: dir, RunTests: true, Verify: cases.Verifier(library, time.Now)})
			problems, ok := errors.AsType[policy.Problems](err)
			if err != nil && !ok {
				t.Fatal(err)
			}
			got := ""
			for _, p := range problems {
				p.Hint = ""
				got += p.String() + "\n"
			}
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(archive, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(last.Data), got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", archive, diff)
			}
		})
	}
}
