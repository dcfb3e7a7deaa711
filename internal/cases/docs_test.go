package cases_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rolegate/rolegate/internal/cases"
)

// example is one section of a page: its blocks by title, Rego files under their names.
type example struct {
	heading string
	blocks  map[string]string
}

// examples reads the fenced blocks of a page that have a title.
func examples(page string) []example {
	var list []example
	title, text := "", strings.Builder{}
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "## "):
			list = append(list, example{strings.TrimSpace(line[3:]), map[string]string{}})
		case strings.HasPrefix(line, "```") && title != "":
			list[len(list)-1].blocks[title] = text.String()
			title = ""
			text.Reset()
		case strings.HasPrefix(line, "```"):
			_, title, _ = strings.Cut(strings.TrimSpace(line), "title=")
		case title != "":
			text.WriteString(line)
		}
	}
	return list
}

func TestTheExamplesOfThePolicyPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, e := range examples(string(page)) {
		t.Run(e.heading, func(t *testing.T) {
			if e.blocks["cases"] == "" {
				return
			}
			data := `{"rbac": ` + e.blocks["data"]
			if more := strings.TrimSpace(e.blocks["more"]); more != "" {
				data += ", " + more[1:len(more)-1] // without its braces
			}
			archive := "-- data.json --\n" + data + "}\n"
			for name, text := range e.blocks {
				if strings.HasSuffix(name, ".rego") {
					archive += fmt.Sprintf("-- %s --\n%s", name, text)
				}
			}
			r := newRunner(t, archive)
			err := cases.Read(strings.NewReader(e.blocks["cases"]), "docs/policy.yaml", func(c cases.Case) error {
				ran++
				if got := r.Run(t.Context(), c); !got.Passed {
					t.Errorf("%s: got %v (%v), want %v", c.Name, got.Got, got.Err, got.Want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	if ran < 40 {
		t.Errorf("ran %d examples, want the whole page's", ran)
	}
}
