package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/loader/importer/stream"
	"github.com/rolegate/rolegate/policy"
)

// given is an export as the case "all" of a vendor gives it.
func given(t *testing.T, vendor string) (files []importer.File, texts [][]byte) {
	t.Helper()
	ar, err := txtar.ParseFile(filepath.Join("testdata", vendor, "all.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]byte{}
	var args []string
	for _, f := range ar.Files {
		byName[f.Name] = f.Data
		if f.Name == "args" {
			args = strings.Fields(string(f.Data))
		}
	}
	for _, arg := range args {
		f := importer.NamedFile(arg, nil)
		files, texts = append(files, f), append(texts, byName[f.Name])
	}
	return files, texts
}

func text(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// The bundle does not depend on the order of files, nor of records in a list, nor on
// how much of the members is kept in memory.
func TestAnyOrderGivesTheSameBundle(t *testing.T) {
	t.Parallel()
	for _, vendor := range importer.Vendors() {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			files, texts := anyExport(t, vendor)
			var want importer.Result
			for seed := range uint64(6) {
				r := rand.New(rand.NewPCG(seed, 0))
				some := slices.Clone(files)
				for i := range some {
					some[i].Open = text(shuffled(t, r, texts[i], seed > 0))
				}
				if seed > 0 {
					r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
				}
				result, err := importer.Run(t.Context(), importer.Config{
					Vendor: vendor, Dir: filepath.Join(t.TempDir(), "bundle"), Files: some, SortBytes: 1 + int(seed)*100,
				})
				if err != nil {
					t.Fatal(err)
				}
				if seed == 0 {
					want = result
				}
				if result.Revision != want.Revision || result.Count != want.Count {
					t.Errorf("seed %d: got %s of %+v, want %s of %+v", seed, result.Revision, result.Count, want.Revision, want.Count)
				}
			}
		})
	}
}

// shuffled mixes the elements of a list, or the lines of lines of objects.
func shuffled(t *testing.T, r *rand.Rand, doc []byte, mix bool) []byte {
	t.Helper()
	var list []json.RawMessage
	if !mix || json.Unmarshal(doc, &list) != nil {
		return doc
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	out, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Wherever a file is cut off, what is left is refused with its place. Lines of objects
// cut between two lines are the exception: nobody can tell.
func TestCutOffExportsAreRefused(t *testing.T) {
	t.Parallel()
	for _, vendor := range importer.Vendors() {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			files, texts := anyExport(t, vendor)
			parent := t.TempDir()
			rapid.Check(t, func(t *rapid.T) {
				which := rapid.IntRange(0, len(files)-1).Draw(t, "file")
				whole := bytes.TrimRight(texts[which], "\n")
				cut := rapid.IntRange(1, len(whole)-1).Draw(t, "bytes")
				if c := whole[cut]; c == '\n' || c == '{' && whole[cut-1] == '\n' || whole[cut-1] == '}' {
					return // maybe between two objects of one file
				}
				some := slices.Clone(files)
				for i := range some {
					some[i].Open = text(texts[i])
				}
				some[which].Open = text(whole[:cut])
				_, err := importer.Run(context.Background(), importer.Config{Vendor: vendor, Dir: filepath.Join(parent, "bundle"), Files: some})
				problems, ok := errors.AsType[policy.Problems](err)
				if !ok || !slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Code == stream.CodeTruncated && p.File == files[which].Name }) {
					t.Fatalf("%s cut at byte %d: got %v", files[which].Name, cut, err)
				}
				if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
					t.Fatalf("%s cut at byte %d: left %v, %v", files[which].Name, cut, left, err)
				}
			})
		})
	}
}

func TestEncodingsAreTold(t *testing.T) {
	t.Parallel()
	const line = `{"organization_id": "org-1", "organization_name": "Über"}`
	for _, c := range []struct{ text, want string }{
		{"\xef\xbb\xbf" + line, "f.json:1:1: bad_encoding: a byte order mark stands before the document (save the file as UTF-8 without one)"},
		{"\xff\xfe{\x00\"\x00", "f.json:1:1: bad_encoding: the file is not UTF-8: it looks like UTF-16 or UTF-32 (save it as UTF-8: iconv -t UTF-8, for example)"},
		{line + "\n" + strings.ReplaceAll(line, "Ü", "\xdc"), "f.json:2:52: bad_encoding: a byte that is not UTF-8 in a string"},
		{line + "\n" + strings.ReplaceAll(line, "Ü", "\t"), "f.json:2:52: bad_json: a control character in a string: write it as an escape"},
	} {
		_, err := importer.Run(t.Context(), importer.Config{
			Vendor: "stytch", Dir: filepath.Join(t.TempDir(), "bundle"), Files: []importer.File{{Name: "f.json", Open: text([]byte(c.text))}},
		})
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

// An import that is interrupted leaves nothing, and leaves an earlier one as it was.
func TestAnInterruptedImportLeavesNothing(t *testing.T) {
	t.Parallel()
	files, texts := given(t, "stytch")
	for i := range files {
		files[i].Open = text(texts[i])
	}
	parent := t.TempDir()
	cfg := importer.Config{Vendor: "stytch", Dir: filepath.Join(parent, "bundle"), Files: files}
	if _, err := importer.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(cfg.Dir, ".manifest"))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []importer.Phase{importer.Reading, importer.Sorting, importer.Writing} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Progress = func(p importer.Progress) {
			if p.Phase == at {
				cancel()
			}
		}
		cfg.Files = append(slices.Clone(files), importer.File{Name: "many", Open: text(many())})
		_, err := importer.Run(ctx, cfg)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted while %s: got %v", at, err)
		}
		left, err := os.ReadDir(parent)
		if err != nil || len(left) != 1 {
			t.Errorf("interrupted while %s: left %v, %v", at, left, err)
		}
		if after, err := os.ReadFile(filepath.Join(cfg.Dir, ".manifest")); err != nil || !bytes.Equal(before, after) {
			t.Errorf("interrupted while %s: the earlier bundle is another: %v", at, err)
		}
	}
}

// many are members enough for an import to look up now and then.
func many() []byte {
	var b bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&b, `{"organization_id": "organization-live-1", "member_id": "member-live-%d", "roles": []}`+"\n", i)
	}
	return b.Bytes()
}

// Whatever stands in a field, an import ends: with a bundle that is accepted, or with
// what is wrong, and then without a bundle.
func TestAnyFieldMayHoldAnything(t *testing.T) {
	t.Parallel()
	const acceptedEvery = 10 // bundles are read by a server's code, which takes longer than the rest
	for _, vendor := range importer.Vendors() {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			files, texts := anyExport(t, vendor)
			parent := t.TempDir()
			var given, refused int
			rapid.Check(t, func(rt *rapid.T) {
				seed := rapid.Uint64().Draw(rt, "seed")
				r := rand.New(rand.NewPCG(seed, 1))
				some := slices.Clone(files)
				for i := range some {
					some[i].Open = text(texts[i])
				}
				which := r.IntN(len(some))
				changed := disturbed(r, texts[which])
				some[which].Open = text(changed)
				dir := filepath.Join(parent, "bundle")
				_, err := importer.Run(t.Context(), importer.Config{Vendor: vendor, Dir: dir, Files: some, LeaveOut: seed%2 == 0})
				problems, faulty := errors.AsType[policy.Problems](err)
				if err != nil && (!faulty || len(problems) == 0) {
					rt.Errorf("got %v\n%s", err, changed)
				}
				if _, there := os.Stat(dir); (err == nil) != (there == nil) {
					rt.Errorf("error %v, folder %v", err, there)
				}
				if err != nil {
					refused++
					return
				}
				given++
				if given%acceptedEvery == 1 {
					accepted(t, dir, false)
				}
				if err := os.RemoveAll(dir); err != nil {
					rt.Fatal(err)
				}
			})
			if given == 0 || refused == 0 {
				t.Errorf("%d exports were imported and %d were not: nothing was tried", given, refused)
			}
		})
	}
}

// anyExport is a vendor's richest export, wherever its tests keep it.
func anyExport(t *testing.T, vendor string) (files []importer.File, texts [][]byte) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("testdata", vendor, "all.txtar")); err == nil {
		return given(t, vendor)
	}
	files = exported(t, filepath.Join("testdata", vendor, "export"))
	for _, f := range files {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		doc, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close()); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, doc)
	}
	return files, texts
}

// disturbed replaces one value somewhere in each document of a text.
func disturbed(r *rand.Rand, text []byte) []byte {
	var out bytes.Buffer
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		var v any
		if d.Decode(&v) != nil {
			return out.Bytes()
		}
		changed, err := json.Marshal(replaced(r, v))
		if err != nil {
			return text
		}
		out.Write(append(changed, '\n'))
	}
}

func replaced(r *rand.Rand, v any) any {
	const depth = 4 // one in this many values is replaced before something in it
	if r.IntN(depth) > 0 {
		switch v := v.(type) {
		case map[string]any:
			if len(v) > 0 {
				names := slices.Sorted(maps.Keys(v))
				name := names[r.IntN(len(names))]
				v[name] = replaced(r, v[name])
				return v
			}
		case []any:
			if len(v) > 0 {
				i := r.IntN(len(v))
				v[i] = replaced(r, v[i])
				return v
			}
		}
	}
	odd := []any{
		nil, true, 7, 7.5, -1, json.Number("1e400"), "", "x", "a.b/c|d", "*", "@root", "a.b", "\x00", "ü/..\\", strings.Repeat("a", 300), "2026-13-01T00:00:00Z",
		[]any{},
		[]any{"x"},
		[]any{nil},
		[]any{1, "x", nil},
		[]any{map[string]any{}},
		map[string]any{},
		map[string]any{"id": "x"},
		map[string]any{"": []any{1}},
	}
	return odd[r.IntN(len(odd))]
}
