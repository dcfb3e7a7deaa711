package importer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/policy"
)

// Each vendor's export shows every feature that is read, as files that the pages of
// docs/import work on. What becomes of it is export.golden, which -update writes; what
// is decided on it is requests.json, which internal/lab/imported asks.
func TestExports(t *testing.T) {
	eachExport(t, func(t *testing.T, vendor string, files []importer.File) {
		t.Helper()
		cfg := importer.Config{
			Vendor: vendor, Dir: filepath.Join(t.TempDir(), "bundle"), Files: files,
			Issuers: map[string]importer.Issuer{"https://idp.example": {}},
		}
		golden := filepath.Join("testdata", vendor, "export.golden")
		got := told(t, cfg)
		if updating() {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s (-want +got), -update rewrites it:\n%s", golden, diff)
		}
	})
}

// eachExport runs f as a test of its own on each export that there is.
func eachExport(t *testing.T, f func(t *testing.T, vendor string, files []importer.File)) {
	t.Helper()
	t.Parallel()
	folders, err := filepath.Glob("testdata/*/export")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no exports: %v", err)
	}
	for _, folder := range folders {
		vendor := filepath.Base(filepath.Dir(folder))
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			f(t, vendor, exported(t, folder))
		})
	}
}

// exported are the files of a folder, those of the kinds that requests.json names given
// as such.
func exported(t *testing.T, folder string) []importer.File {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(folder), "requests.json"))
	if err != nil {
		t.Fatal(err)
	}
	var world struct{ Named []string }
	if err := json.Unmarshal(text, &world); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no export in %s: %v", folder, err)
	}
	var out []importer.File
	for _, name := range files {
		if kind := strings.TrimSuffix(filepath.Base(name), ".json"); slices.Contains(world.Named, kind) {
			name = kind + "=" + name
		}
		f := importer.NamedFile(name, nil)
		f.Name = filepath.Base(f.Name)
		out = append(out, f)
	}
	return out
}

// The order of files and of pages is nobody's promise: any gives the same bundle.
func TestOrderDoesNotMatter(t *testing.T) {
	eachExport(t, func(t *testing.T, vendor string, files []importer.File) {
		t.Helper()
		cfg := importer.Config{Vendor: vendor, Dir: filepath.Join(t.TempDir(), "bundle"), Files: files}
		want := told(t, cfg)
		slices.Reverse(files)
		cfg.Dir = filepath.Join(t.TempDir(), "bundle")
		if diff := cmp.Diff(want, told(t, cfg)); diff != "" {
			t.Errorf("files in reverse (-want +got):\n%s", diff)
		}
	})
}

// Wherever a file of an export is cut off, nothing is imported, and the place is said.
func TestCutAnywhere(t *testing.T) {
	eachExport(t, func(t *testing.T, vendor string, files []importer.File) {
		t.Helper()
		rapid.Check(t, func(rt *rapid.T) {
			which := rapid.IntRange(0, len(files)-1).Draw(rt, "file")
			in, err := files[which].Open()
			if err != nil {
				rt.Fatal(err)
			}
			defer in.Close()
			text, err := io.ReadAll(in)
			if err != nil {
				rt.Fatal(err)
			}
			whole := len(bytes.TrimRight(text, "\n"))
			cut := rapid.IntRange(1, whole-1).Draw(rt, "bytes")
			some := slices.Clone(files)
			some[which].Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text[:cut])), nil }
			dir := filepath.Join(t.TempDir(), "bundle")
			_, err = importer.Run(t.Context(), importer.Config{Vendor: vendor, Dir: dir, Files: some})
			problems, ok := errors.AsType[policy.Problems](err)
			if !ok || !slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.File == files[which].Name && p.Line > 0 }) {
				rt.Errorf("%s cut at byte %d: got error %v, want one in the file", files[which].Name, cut, err)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				rt.Errorf("%s cut at byte %d: a bundle is there", files[which].Name, cut)
			}
		})
	})
}

// Whatever stands where something else is expected, an import ends and says so. A file
// that ends at once makes each run a fault, so that none waits for a bundle's check.
func TestOddValues(t *testing.T) {
	eachExport(t, func(t *testing.T, vendor string, files []importer.File) {
		t.Helper()
		texts := make([][]byte, len(files))
		for i, f := range files {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if texts[i], err = io.ReadAll(in); err != nil {
				t.Fatal(err)
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
		}
		rapid.Check(t, func(rt *rapid.T) {
			which := rapid.IntRange(0, len(files)-1).Draw(rt, "file")
			var doc any
			if err := json.Unmarshal(texts[which], &doc); err != nil {
				rt.Fatal(err)
			}
			text, err := json.Marshal(spoiled(rt, doc))
			if err != nil {
				rt.Fatal(err)
			}
			some := append(slices.Clone(files), importer.File{Name: "short.json", Open: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("{")), nil
			}})
			some[which].Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
			cfg := importer.Config{Vendor: vendor, Dir: filepath.Join(t.TempDir(), "bundle"), Files: some, LeaveOut: rapid.Bool().Draw(rt, "leave_out")}
			_, err = importer.Run(t.Context(), cfg)
			if _, ok := errors.AsType[policy.Problems](err); !ok {
				rt.Errorf("%s as %s: got error %v, want problems", files[which].Name, text, err)
			}
		})
	})
}

// spoiled replaces one value somewhere in a document.
func spoiled(t *rapid.T, v any) any {
	odd := []any{nil, true, 7.5, -1.0, "", "\x00", "a.b/c|d", []any{}, []any{1.0, "x", nil}, map[string]any{}, map[string]any{"id": 1.0}}
	deeper := rapid.IntRange(0, 5).Draw(t, "deeper") > 0
	switch v := v.(type) {
	case []any:
		if deeper && len(v) > 0 {
			at := rapid.IntRange(0, len(v)-1).Draw(t, "element")
			v[at] = spoiled(t, v[at])
			return v
		}
	case map[string]any:
		if deeper && len(v) > 0 {
			name := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "field")
			v[name] = spoiled(t, v[name])
			return v
		}
	}
	return rapid.SampledFrom(odd).Draw(t, "value")
}
