package route_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy/route"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the last part of the cases in testdata")
	m.Run()
}

func update() bool { return flag.Lookup("update").Value.String() == "true" }

// runCases compares the last part of each archive with what answer makes of the
// parts before it.
func runCases(t *testing.T, pattern string, answer func(t *testing.T, parts map[string]string) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, f := range archive.Files {
				parts[f.Name] = string(f.Data)
			}
			last := &archive.Files[len(archive.Files)-1]
			got := answer(t, parts)
			if update() {
				last.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(last.Data), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", last.Name, file, diff)
			}
		})
	}
}

func TestResolveCases(t *testing.T) {
	runCases(t, "testdata/resolve/*.txtar", func(t *testing.T, parts map[string]string) string {
		t.Helper()
		doc := decode(t, parts["routes.json"])
		table := mustParse(t, doc)
		var b strings.Builder
		for line := range strings.Lines(parts["requests.txt"]) {
			line = strings.TrimSpace(line)
			req := parseRequest(t, line)
			match := table.Resolve(req)
			fmt.Fprintf(&b, "%s\n  %s\n", line, show(t, match))
			if diff := cmp.Diff(reference(doc, req), match); diff != "" {
				t.Errorf("%s: the reference disagrees (-want +got):\n%s", line, diff)
			}
		}
		return b.String()
	})
}

// show is a match as input.route would have it: what is empty is absent.
func show(t *testing.T, match route.Match) string {
	t.Helper()
	text, err := json.Marshal(struct {
		Error    string            `json:"error,omitempty"`
		Missing  string            `json:"missing,omitempty"`
		Set      string            `json:"set,omitempty"`
		ID       string            `json:"id,omitempty"`
		Public   bool              `json:"public,omitempty"`
		Resource string            `json:"resource,omitempty"`
		Action   string            `json:"action,omitempty"`
		Tenant   string            `json:"tenant,omitempty"`
		Path     string            `json:"path,omitempty"`
		Owner    string            `json:"owner,omitempty"`
		RolesAny []string          `json:"roles_any,omitempty"`
		Params   map[string]string `json:"params,omitempty"`
	}{
		match.Error, match.Missing, match.Set, match.ID, match.Public, match.Resource, match.Action,
		match.Tenant, match.Path, match.Owner, match.RolesAny, match.Params,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parseRequest reads "METHOD HOST PATH kind.name=value …"; the host "-" is none,
// and paths and values are percent-encoded.
func parseRequest(tb testing.TB, line string) route.Request {
	tb.Helper()
	fields := strings.Fields(line)
	if len(fields) < 3 {
		tb.Fatalf("request %q: want METHOD HOST PATH", line)
	}
	req := route.Request{Method: fields[0], Host: strings.TrimPrefix(fields[1], "-")}
	for segment := range strings.SplitSeq(fields[2][1:], "/") {
		req.Segments = append(req.Segments, unescape(tb, segment))
	}
	values := map[string]map[string]string{}
	for _, field := range fields[3:] {
		key, value, _ := strings.Cut(field, "=")
		kind, name, _ := strings.Cut(key, ".")
		if key == "subject.id" {
			req.SubjectID = unescape(tb, value)
			continue
		}
		if values[kind] == nil {
			values[kind] = map[string]string{}
		}
		values[kind][unescape(tb, name)] = unescape(tb, value)
	}
	req.Query, req.Header = lookup(values["query"]), lookup(values["header"])
	req.Claim, req.Extension = lookup(values["claim"]), lookup(values["ext"])
	req.Alias = lookup(values["alias"])
	return req
}

// lookup reads from a map; a nil one makes a nil function.
func lookup(values map[string]string) func(string) (string, bool) {
	if values == nil {
		return nil
	}
	return func(name string) (string, bool) {
		value, found := values[name]
		return value, found
	}
}

func unescape(tb testing.TB, s string) string {
	tb.Helper()
	s, err := url.PathUnescape(s)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func decode(tb testing.TB, text string) map[string]any {
	tb.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		tb.Fatal(err)
	}
	return doc
}

func mustParse(tb rapid.TB, doc map[string]any) *route.Table {
	tb.Helper()
	table, problems := route.Parse(doc)
	if len(problems) > 0 {
		tb.Fatalf("Parse: %s\nof %v", explain(problems), doc)
	}
	return table
}

// explain is problems as tools print them.
func explain(problems []route.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "error: %s:%s: %s\n  at %s\n", p.Code, p.Subject, p.Message, strings.Join(p.Path, "/"))
		if p.Hint != "" {
			fmt.Fprintf(&b, "  = help: %s\n", p.Hint)
		}
	}
	return b.String()
}

// seeds are the documents of cases.
func seeds(tb testing.TB, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		tb.Fatalf("no cases in %s: %v", pattern, err)
	}
	var list []string
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, string(archive.Files[0].Data))
	}
	return list
}
