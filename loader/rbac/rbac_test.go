package rbac_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/loader/rbac"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the last part of the cases in testdata")
	m.Run()
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func decode(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Each case is a document data.rbac; the last part lists what is wrong with it.
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
			doc := decode(t, ar.Files[0].Data)
			last := &ar.Files[len(ar.Files)-1]
			got := text(append(rbac.Shape(doc), rbac.NewWorld(doc).Members(doc)...))
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

func text(faults []rbac.Fault) string {
	lines := make([]string, len(faults))
	for i, f := range faults {
		verb := "refuses"
		if f.Warning {
			verb = "warns"
		}
		lines[i] = fmt.Sprintf("%s %s:%s at %s: %s", verb, f.Code, f.Subject, strings.Join(f.Path, "/"), f.Message)
		if f.Hint != "" {
			lines[i] += " (" + f.Hint + ")"
		}
	}
	slices.Sort(lines)
	return strings.Join(append(lines, ""), "\n")
}

// workedCase is one of the worked cases of the role model.
type workedCase struct {
	Name   string
	Op     string
	Data   json.RawMessage
	Expect json.RawMessage
}

func workedCases(t *testing.T) []workedCase {
	t.Helper()
	text, err := os.ReadFile("../../bundles/testdata/cases/roles.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []workedCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// The documents of the worked cases are of the schema.
func TestWorkedCasesAreOfTheSchema(t *testing.T) {
	t.Parallel()
	for _, c := range workedCases(t) {
		if faults := rbac.Shape(decode(t, c.Data)); len(faults) > 0 {
			t.Errorf("%s:\n%s", c.Name, text(faults))
		}
	}
}

// The worked cases of validation name the codes of members that are found here.
func TestWorkedCasesOfMembers(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, c := range workedCases(t) {
		if c.Op != "validate" {
			continue
		}
		seen++
		doc := decode(t, c.Data)
		got := codes(rbac.NewWorld(doc).Members(doc))
		var all []string
		if json.Unmarshal(c.Expect, &all) == nil {
			want := slices.DeleteFunc(append([]string{}, slices.Sorted(slices.Values(all))...), func(code string) bool { return !ofMembers(code) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.Name, diff)
			}
			continue
		}
		var some struct{ Has, Not []string }
		if err := json.Unmarshal(c.Expect, &some); err != nil {
			t.Fatal(err)
		}
		for _, code := range some.Has {
			if ofMembers(code) && !slices.Contains(got, code) {
				t.Errorf("%s: got %q, want %q among them", c.Name, got, code)
			}
		}
		for _, code := range some.Not {
			if slices.Contains(got, code) {
				t.Errorf("%s: got %q, want no %q", c.Name, got, code)
			}
		}
	}
	if seen == 0 {
		t.Error("no case of validation was seen")
	}
}

func ofMembers(code string) bool {
	name, _, _ := strings.Cut(code, ":")
	return strings.HasPrefix(name, "grant_") || name == rbac.CodeUnknownTenant || name == rbac.CodeKind
}

// codes is what validation calls its results: sorted, each once.
func codes(faults []rbac.Fault) []string {
	list := []string{}
	for _, f := range faults {
		list = append(list, f.Code+":"+f.Subject)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Whatever a bundle holds, checking it ends, and every fault has a place that is there.
func TestAnyDocument(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := document(t, 5)
		faults := append(rbac.Shape(doc), rbac.NewWorld(doc).Members(doc)...)
		for _, f := range faults {
			if f.Code == "" || f.Message == "" || f.Subject == "" || f.Path[0] != "rbac" {
				t.Errorf("%+v", f)
			}
		}
	})
}

// document draws values whose names are those of the schema, mostly.
func document(t *rapid.T, depth int) any {
	if depth == 0 || rapid.IntRange(0, 5).Draw(t, "leaf") == 0 {
		return rapid.SampledFrom([]any{
			nil, true, false, "acme", "viewer", "user", "7", json.Number("7"), json.Number("1.5"), json.Number("-1"), []any{}, map[string]any{},
		}).Draw(t, "value")
	}
	if rapid.IntRange(0, 4).Draw(t, "list") == 0 {
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "length"))
		for i := range list {
			list[i] = document(t, depth-1)
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "size") {
		name := rapid.SampledFrom([]string{
			"roles", "members", "tenants", "catalog", "revoked", "api_keys", "issuers", "acme", "@root", "viewer", "owner", "key",
			"windows", "grants", "kind", "sso", "okta", "groups", "implicit", "policy", "principals", "tokens", "include", "allow", "ann",
		}).Draw(t, "name")
		object[name] = document(t, depth-1)
	}
	return object
}

func TestTellsAThousand(t *testing.T) {
	t.Parallel()
	records := map[string]any{}
	for i := range 5000 {
		records[fmt.Sprintf("u-%d", i)] = map[string]any{"kind": "usr"}
	}
	doc := map[string]any{"tenants": map[string]any{"acme": map[string]any{}}, "members": map[string]any{"acme": records}}
	faults := rbac.NewWorld(doc).Members(doc)
	if len(faults) != 1001 || faults[1000].Message != "there are more than these 1000" || faults[1000].Warning {
		t.Errorf("got %d faults, the last %+v", len(faults), faults[len(faults)-1])
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"visibilty": `did you mean "visibility"?`,
		"Owner":     `did you mean "owner"?`,
		"ownr":      `did you mean "owner"?`,
		"tenancy":   "",
		"":          "",
	} {
		if got := rbac.DidYouMean(name, []string{"owner", "visibility"}); got != want {
			t.Errorf("DidYouMean(%q): got %q, want %q", name, got, want)
		}
	}
}

func BenchmarkMembers(b *testing.B) {
	records := map[string]any{}
	for i := range 100_000 {
		records[fmt.Sprintf("u-%d", i)] = map[string]any{
			"kind": "user", "email": "u@acme.com",
			"grants": map[string]any{"viewer": []any{}, "acme.ops": []any{[]any{json.Number("1767225600000"), json.Number("1769904000000")}}},
		}
	}
	doc := map[string]any{
		"tenants": map[string]any{"acme": map[string]any{}},
		"roles":   map[string]any{"viewer": map[string]any{"owner": "@root"}, "acme.ops": map[string]any{"owner": "acme"}},
		"members": map[string]any{"acme": records},
	}
	b.ReportAllocs()
	for b.Loop() {
		if faults := append(rbac.Shape(doc), rbac.NewWorld(doc).Members(doc)...); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/member")
}
