package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden runs the tool and compares what it prints, but for times.
func golden(t *testing.T, name string, args ...string) error {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), args, &out)
	got := regexp.MustCompile(`; \d+s\n`).ReplaceAllString(out.String(), "\n")
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, e := os.ReadFile(file)
	if e != nil {
		t.Fatal(e)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%q: (-want +got)\n%s", args, diff)
	}
	return err
}

const sample = "./internal/lab/mutate/testdata/sample"

// TestList: every operator finds what it is for, and names it without line numbers.
func TestList(t *testing.T) {
	if err := golden(t, "list.golden", "-pkg", sample, "-list"); err != nil {
		t.Error(err)
	}
}

// TestSurvivors: what the tests of a package notice, what they do not, and what is known
// of it.
func TestSurvivors(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program and runs it for each mutant")
	}
	err := golden(t, "survivors.golden", "-pkg", sample, "-explain", "testdata/sample.txt", "-strict")
	if err == nil {
		t.Error("strict: got no error, want one, for there are survivors")
	}
	if err := golden(t, "only.golden", "-pkg", sample, "-explain", "testdata/sample.txt", "-run", "another word for `\"age\"`", "-strict"); err != nil {
		t.Errorf("strict, where the only survivor is explained: %v", err)
	}
}

func TestExplanationsNeedReasons(t *testing.T) {
	file := filepath.Join(t.TempDir(), "explain.txt")
	if err := os.WriteFile(file, []byte("x.go f: delete `g()`\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readExplanations(file); err == nil {
		t.Error("got no error")
	}
}

// TestShippedExplanations: the files are well formed, and there are some.
func TestShippedExplanations(t *testing.T) {
	known, err := readExplanations("testdata/equivalent")
	if err != nil || len(known) == 0 {
		t.Errorf("got %d explanations, error %v", len(known), err)
	}
}
