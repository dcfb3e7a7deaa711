package importer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/loader/importer"
)

// An export shows every feature that is read, as files that the pages of
// docs/import work on. What becomes of it is export.golden, which -update writes; what
// is decided on it is requests.json, which internal/lab/imported asks.
func TestExports(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("testdata/*/export")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no exports: %v", err)
	}
	for _, folder := range folders {
		vendor := filepath.Base(filepath.Dir(folder))
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			cfg := importer.Config{
				Vendor: vendor, Dir: filepath.Join(t.TempDir(), "bundle"), Files: exported(t, folder),
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
