package document_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rolegate/rolegate/loader/document"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the last part of the cases")
	m.Run()
}

func updating() bool {
	return flag.Lookup("update").Value.String() == "true"
}

func decode(name string, text []byte) (any, error) {
	if filepath.Ext(name) == ".yaml" {
		return document.YAML(text)
	}
	return document.JSON(text)
}

// Each case is a list of documents; the last part says what each of them is.
func TestCases(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			last := &ar.Files[len(ar.Files)-1]
			var got strings.Builder
			for _, f := range ar.Files[:len(ar.Files)-1] {
				got.WriteString(f.Name + ": " + outcome(t, f.Name, f.Data) + "\n")
			}
			if updating() {
				last.Data = []byte(got.String())
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(last.Data), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}

func outcome(t *testing.T, name string, text []byte) string {
	t.Helper()
	// A part ends with a newline; a document that is to end without one says so.
	text = bytes.ReplaceAll(text, []byte("⏎\n"), nil)
	v, err := decode(name, text)
	if err == nil {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	e, ok := errors.AsType[*document.Error](err)
	if !ok {
		t.Fatalf("%s: the error is a %T", name, err)
	}
	s := e.Code + " at " + e.Error()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func TestJSONRefusesBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\xef\xbb\xbf{}": "1:1: a byte order mark stands before the document",
		"":               "1:1: the document is empty",
		"\n":             "2:1: the document is empty",
		"\"a\xffb\"":     "1:3: a byte that is not UTF-8 in a string",
		"\"\\n\xff\"":    "1:4: a byte that is not UTF-8 in a string",
		"\"a\nb\"":       "1:3: a control character in a string: write it as an escape",
		"[1,\xff]":       "1:4: a byte that is not UTF-8 where a value should be",
		"[1,2]\x00":      `1:6: '\x00' stands behind the document`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65):    "1:65: nested deeper than 64 levels",
		strings.Repeat(`{"a":`, 65):                          "1:321: nested deeper than 64 levels",
		"[" + strings.Repeat("1", 129) + "]":                 "1:2: a number of more than 128 characters",
		`{"ä":1,"ä":2}`:                                      `1:8: the key "ä" is given twice in one object`,
		`{"a":{"x":1},"b":2,"c":{"a":1},"a":[` + "\n" + `]}`: `1:32: the key "a" is given twice in one object`,
	} {
		if _, err := document.JSON([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("JSON(%q): got %v, want %s", text, err, want)
		}
	}
	if _, err := document.JSON([]byte(strings.Repeat("[", 64) + strings.Repeat("]", 64))); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	const asJSON = "{\n  \"roles\": {\n    \"acme.ops\": {\"owner\" : \"acme\",\n      \"windows\": [[1, 2], [30, 4]]},\n    \"über\\u0041\": {\"x\": true}\n  }\n}\n"
	const asYAML = "roles:\n  acme.ops:\n    owner: acme\n    windows: [[1, 2], [30, 4]]\n  überA: {x: true}\n"
	paths := [][]string{
		{},
		{"roles", "acme.ops"},
		{"roles", "acme.ops", "owner"},
		{"roles", "acme.ops", "windows", "1", "0"},
		{"roles", "acme.ops", "windows", "7"},
		{"roles", "überA", "x"},
		{"roles", "nobody", "owner"},
		{"members"},
	}
	at := func(line, column, width int) document.Position {
		return document.Position{Line: line, Column: column, Width: width}
	}
	for _, c := range []struct {
		name string
		got  []document.Place
		want []document.Place
	}{
		{"json", document.LocateJSON([]byte(asJSON), paths), []document.Place{
			{Found: 0, Key: at(1, 1, 1), Value: at(1, 1, 1)},
			{Found: 2, Key: at(3, 5, 10), Value: at(3, 17, 1)},
			{Found: 3, Key: at(3, 18, 7), Value: at(3, 28, 6)},
			{Found: 5, Key: at(4, 28, 2), Value: at(4, 28, 2)},
			{Found: 3, Key: at(4, 7, 9), Value: at(4, 18, 1)},
			{Found: 3, Key: at(5, 20, 3), Value: at(5, 25, 4)},
			{Found: 1, Key: at(2, 3, 7), Value: at(2, 12, 1)},
			{Found: 0, Key: at(1, 1, 1), Value: at(1, 1, 1)},
		}},
		{"yaml", document.LocateYAML([]byte(asYAML), paths), []document.Place{
			{Found: 0, Key: at(1, 1, 1), Value: at(1, 1, 1)},
			{Found: 2, Key: at(2, 3, 8), Value: at(3, 5, 1)},
			{Found: 3, Key: at(3, 5, 5), Value: at(3, 12, 4)},
			{Found: 5, Key: at(4, 24, 2), Value: at(4, 24, 2)},
			{Found: 3, Key: at(4, 5, 7), Value: at(4, 14, 1)},
			{Found: 3, Key: at(5, 11, 1), Value: at(5, 14, 4)},
			{Found: 1, Key: at(1, 1, 5), Value: at(2, 3, 1)},
			{Found: 0, Key: at(1, 1, 1), Value: at(1, 1, 1)},
		}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func seeds(f *testing.F, ext string) {
	f.Helper()
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range cases {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range ar.Files {
			if filepath.Ext(part.Name) == ext {
				f.Add(part.Data)
			}
		}
	}
}

// What is accepted, encoding/json reads as the same value; and every value in it
// is found where it stands.
func FuzzJSON(f *testing.F) {
	seeds(f, ".json")
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := document.JSON(text)
		if err != nil {
			if e, ok := errors.AsType[*document.Error](err); !ok || e.Line < 1 || e.Column < 1 {
				t.Fatalf("an error without a place: %v", err)
			}
			document.LocateJSON(text, [][]string{{"a", "0"}, {"0", "a"}, {}})
			return
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-encoding/json +got):\n%s", diff)
		}
		paths := pathsOf(nil, got)
		for i, p := range document.LocateJSON(text, paths) {
			if p.Found != len(paths[i]) || p.Key.Line < 1 || p.Value.Line < p.Key.Line {
				t.Errorf("%q is at %+v", paths[i], p)
			}
		}
	})
}

func FuzzYAML(f *testing.F) {
	seeds(f, ".yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := document.YAML(text)
		if err != nil {
			if e, ok := errors.AsType[*document.Error](err); !ok || e.Line < 1 || e.Column < 1 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		paths := pathsOf(nil, got)
		for i, p := range document.LocateYAML(text, paths) {
			if p.Found != len(paths[i]) || p.Key.Line < 1 {
				t.Errorf("%q is at %+v", paths[i], p)
			}
		}
	})
}

// pathsOf lists up to a hundred paths.
func pathsOf(path []string, v any) [][]string {
	paths := [][]string{path}
	if object, ok := v.(map[string]any); ok {
		for name, member := range object {
			if len(paths) > 100 {
				break
			}
			paths = append(paths, pathsOf(append(slices.Clip(path), name), member)...)
		}
	}
	return paths
}

func BenchmarkJSON(b *testing.B) {
	record := `"u-%d": {"kind": "user", "email": "u@acme.com", "grants": {"acme.auditor": [], "contractor": [[1767225600000, 1769904000000]]}}`
	var text bytes.Buffer
	text.WriteString("{")
	for i := range 10_000 {
		if i > 0 {
			text.WriteString(",\n")
		}
		text.WriteString(strings.Replace(record, "%d", json.Number(strings.Repeat("1", 1+i%3)).String()+string(rune('a'+i%26))+strings.Repeat("x", i/26), 1))
	}
	text.WriteString("}")
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := document.JSON(text.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
