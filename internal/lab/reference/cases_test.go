package reference_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/reference"
)

// workedCase is a case of docs/roles.md, section 9.
type workedCase struct {
	Name    string
	Op      string
	Data    map[string]any
	Old     map[string]any
	Authz   map[string]any
	Request map[string]any
	Expect  any
}

// workedCases reads a file of cases: roles.json holds the model's own, subtle.json what the sentences
// say in passing. A case of the latter has its sentence in its name and says why.
func workedCases(t *testing.T, file string, least int) []workedCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var cases []workedCase
	if err := decoder.Decode(&cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < least {
		t.Fatalf("got %d cases, want at least %d", len(cases), least)
	}
	return cases
}

// answer asks the reference what a case asks and gives decoded JSON.
func answer(t *testing.T, c workedCase) any {
	t.Helper()
	data := reference.Data{RBAC: c.Data, Authz: c.Authz}
	switch c.Op {
	case "decide":
		return reference.Decide(data, c.Request).Document()
	case "assign":
		return reference.Assignment(data, c.Request)
	case "signup":
		return decoded(t, reference.Signup(data, c.Request))
	case "search":
		return decoded(t, reference.Search(data, c.Request))
	case "validate":
		return decoded(t, reference.Validate(c.Data))
	case "validate_change":
		return decoded(t, reference.ValidateChange(c.Old, c.Data))
	default:
		t.Fatalf("unknown op %q", c.Op)
		return nil
	}
}

func decoded(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var out any
	if err := decoder.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWorkedCases(t *testing.T) {
	t.Parallel()
	cases := workedCases(t, "testdata/roles.json", 119)
	cases = append(cases, workedCases(t, "testdata/subtle.json", 100)...)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			got := answer(t, c)
			if has, ok := membership(c); ok {
				checkMembership(t, c, got, has)
				return
			}
			if c.Op == "decide" { // only the keys present in expect count
				shown := map[string]any{}
				for key := range c.Expect.(map[string]any) {
					shown[key] = got.(map[string]any)[key]
				}
				got = shown
			}
			if diff := cmp.Diff(asSets(c.Expect), asSets(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\nrequest: %v", c.Op, diff, c.Request)
			}
		})
	}
}

// membership is an expectation of the form {"has": […], "not": […]}.
func membership(c workedCase) (map[string]any, bool) {
	expect, ok := c.Expect.(map[string]any)
	_, has := expect["has"]
	return expect, ok && has && c.Op != "decide"
}

func checkMembership(t *testing.T, c workedCase, got any, expect map[string]any) {
	t.Helper()
	codes := got.([]any)
	for _, code := range expect["has"].([]any) {
		if !slices.Contains(codes, code) {
			t.Errorf("%s: %v is missing\ngot: %v", c.Op, code, codes)
		}
	}
	unwanted, _ := expect["not"].([]any)
	for _, code := range unwanted {
		if slices.Contains(codes, code) {
			t.Errorf("%s: %v is there\ngot: %v", c.Op, code, codes)
		}
	}
}

// asSets sorts every list of texts in a document: lists of results compare as sets.
func asSets(v any) any {
	switch v := v.(type) {
	case []any:
		sorted := slices.Clone(v)
		slices.SortFunc(sorted, func(a, b any) int {
			left, _ := a.(string)
			right, _ := b.(string)
			return bytes.Compare([]byte(left), []byte(right))
		})
		return sorted
	case map[string]any:
		out := map[string]any{}
		for key, element := range v {
			out[key] = asSets(element)
		}
		return out
	default:
		return v
	}
}
