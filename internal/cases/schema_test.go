package cases_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"

	"github.com/rolegate/rolegate/internal/cases"
	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/loader/schema"
	"github.com/rolegate/rolegate/policy/route"
)

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := schema.For(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

func TestEveryKindOfFileHasASchemaThatCompiles(t *testing.T) {
	for _, d := range schema.Documents() {
		compiled(t, d.Name)
	}
	if _, err := schema.For("role"); err == nil || !strings.Contains(err.Error(), "roles") {
		t.Errorf("got %v, want an error that names the schemas there are", err)
	}
}

// reader refuses or takes a document as the loader does.
func reader(t *testing.T, name string, doc any) bool {
	t.Helper()
	switch name {
	case "rbac":
		return len(rbac.Shape(doc)) == 0
	case "routes":
		object, ok := doc.(map[string]any)
		if !ok {
			return false
		}
		_, problems := route.Parse(object)
		return len(problems) == 0
	case "cases":
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return cases.Read(bytes.NewReader(text), "x.json", func(cases.Case) error { return nil }) == nil
	case "members":
		return len(rbac.Shape(map[string]any{"members": map[string]any{"acme": doc}})) == 0
	default:
		return len(rbac.Shape(map[string]any{name: doc})) == 0
	}
}

// TestTheSchemaAndTheReaderAgree reads testdata/schema/agree.txtar: per kind of file, documents
// that both take ("good") and documents that both refuse ("bad"), one a line.
func TestTheSchemaAndTheReaderAgree(t *testing.T) {
	a, err := txtar.ParseFile("testdata/schema/agree.txtar")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, part := range a.Files {
		name, kind, _ := strings.Cut(part.Name, " ")
		seen[name] = true
		s := compiled(t, name)
		for line := range strings.Lines(string(part.Data)) {
			if strings.TrimSpace(line) == "" {
				continue
			}
			doc, err := document.JSON([]byte(line))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			plain, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			bySchema := s.Validate(plain)
			byReader := reader(t, name, doc)
			if want := kind == "good"; (bySchema == nil) != want || byReader != want {
				t.Errorf("%s %s: %sthe schema says %v, the reader takes it: %t", name, kind, line, bySchema, byReader)
			}
		}
	}
	for _, d := range schema.Documents() {
		if !seen[d.Name] {
			t.Errorf("testdata/schema/agree.txtar has nothing for %s", d.Name)
		}
	}
}

func TestTheWorkedCasesAreOfTheSchema(t *testing.T) {
	f, err := os.Open("../../bundles/testdata/cases/roles.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled(t, "cases").Validate(doc); err != nil {
		t.Error(err)
	}
}
