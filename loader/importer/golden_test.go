package importer_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/policy"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the last part of the cases")
	m.Run()
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// Each case is an export: its files, and what becomes of it as the last part. A part
// "args" says how the files are given, one argument a line; without it they are given
// as they stand.
func TestCases(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimPrefix(filepath.ToSlash(path), "testdata/"), func(t *testing.T) {
			t.Parallel()
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			last := &ar.Files[len(ar.Files)-1]
			got := outcome(t, filepath.Base(filepath.Dir(path)), ar.Files[:len(ar.Files)-1])
			if updating() {
				last.Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(last.Data), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}

// outcome imports the files and tells what became of them.
func outcome(t *testing.T, vendor string, files []txtar.File) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bundle")
	cfg := importer.Config{Vendor: vendor, Dir: dir}
	texts := map[string][]byte{}
	var args []string
	explicit := false
	for _, f := range files {
		if f.Name == "args" {
			args, explicit = strings.Fields(string(f.Data)), true
			continue
		}
		texts[f.Name] = f.Data
		if !explicit {
			args = append(args, f.Name)
		}
	}
	for _, arg := range args {
		if arg == "--leave-out" {
			cfg.LeaveOut = true
			continue
		}
		f := importer.NamedFile(arg, nil)
		text, ok := texts[f.Name]
		if !ok {
			t.Fatalf("no part %q", f.Name)
		}
		f.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		cfg.Files = append(cfg.Files, f)
	}
	return told(t, cfg)
}

// told runs an import and tells what became of it. What is written is read as a
// server reads it.
func told(t *testing.T, cfg importer.Config) string {
	t.Helper()
	var out strings.Builder
	result, err := importer.Run(t.Context(), cfg)
	if problems, ok := errors.AsType[policy.Problems](err); ok {
		for _, p := range problems {
			fmt.Fprintf(&out, "error: %s\n", p)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	entries, readErr := os.ReadDir(filepath.Dir(cfg.Dir))
	if readErr != nil || err != nil && len(entries) > 0 || err == nil && len(entries) != 1 {
		t.Errorf("beside the bundle: %v, %v, after %v", entries, readErr, err)
	}
	if err != nil {
		return out.String()
	}
	for _, w := range result.Warnings {
		fmt.Fprintf(&out, "warning: %s\n", w)
	}
	for _, u := range result.Unknown {
		fmt.Fprintf(&out, "unknown: %s.%s %d, first at %s\n", u.Kind, u.Field, u.Count, u.First)
	}
	c := result.Count
	for _, l := range []struct {
		name  string
		tally importer.Tally
	}{
		{"tenants", c.Tenants}, {"roles", c.Roles}, {"permissions", c.Permissions}, {"members", c.Members}, {"grants", c.Grants}, {"rules", c.Rules},
	} {
		fmt.Fprintf(&out, "%s: %d read, %d mapped, %d re-derived, %d left out\n", l.name, l.tally.Read, l.tally.Mapped, l.tally.Rederived, l.tally.LeftOut)
	}
	accepted(t, cfg.Dir, len(result.Warnings) == 0)
	err = filepath.WalkDir(cfg.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(cfg.Dir, path)
		fmt.Fprintf(&out, "== %s\n%s", filepath.ToSlash(name), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func accepted(t *testing.T, dir string, quiet bool) {
	t.Helper()
	set, err := loader.Open(context.WithoutCancel(t.Context()), loader.Config{Dir: dir})
	if err != nil {
		t.Errorf("the bundle is refused: %v", err)
	}
	if quiet && len(set.Warnings) > 0 {
		t.Errorf("the import is silent, and the bundle warns: %v", set.Warnings)
	}
}
