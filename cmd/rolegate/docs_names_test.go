package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// unknownTo names the first word of a command line, as pages write them, that the command does not know:
// a command or a flag; "" when it knows all. Words in capitals and whatever follows an argument stand for
// anything.
func unknownTo(root *cobra.Command, words []string) string {
	at, arguments := root, false
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(flag, "--"):
			if at.Flag(flag[2:]) == nil {
				return word
			}
		case len(flag) == 2 && flag[0] == '-':
			if at.Flags().ShorthandLookup(flag[1:]) == nil && at.InheritedFlags().ShorthandLookup(flag[1:]) == nil {
				return word
			}
		case arguments || !at.HasSubCommands():
			arguments = true
		default:
			for one := range strings.SplitSeq(word, `\|`) { // alternatives, in a table
				if !name.MatchString(one) {
					arguments = true
					break
				}
				next, _, err := at.Find([]string{one})
				if err != nil || next == at {
					return one
				}
				if one == word {
					at = next
				}
			}
		}
	}
	return ""
}

// Every command, flag and make target that a page names is there.
func TestPagesNameWhatIsThere(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	span := regexp.MustCompile("`(?:\\./)?rolegate( [^`]*)`")
	target := regexp.MustCompile("(?m)(?:`|^)make ([a-z]+)")
	p := &program{name: "rolegate", stdout: &output{}, stderr: &output{}, now: time.Now}
	commands, targets := 0, 0
	for name, page := range pages(t) {
		if strings.HasPrefix(name, "docs/decisions/") || name == "CHANGELOG.md" {
			continue // of their day
		}
		for _, m := range span.FindAllStringSubmatch(page, -1) {
			commands++
			if word := unknownTo(p.rootCommand(), strings.Fields(m[1])); word != "" {
				t.Errorf("%s: no %s in `rolegate%s`", name, word, m[1])
			}
		}
		for _, m := range target.FindAllStringSubmatch(page, -1) {
			targets++
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: no target of `make %s`", name, m[1])
			}
		}
	}
	if commands < 10 || targets < 5 {
		t.Errorf("got %d commands and %d targets, want those that the pages name", commands, targets)
	}
}

// The JSON of the pages is JSON, and what is role data or routes in it has nothing that refuses a bundle.
func TestPagesShowDataThatIsValid(t *testing.T) {
	documents := 0
	for name, page := range pages(t) {
		for _, b := range blocksOf(name, page) {
			language, title, _ := strings.Cut(b.language, " ")
			if language != "json" || title != "" { // those with a title are run, with their cases
				continue
			}
			place := fmt.Sprintf("%s:%d", name, b.line)
			var document map[string]any
			if err := json.Unmarshal([]byte(strings.Join(b.lines, "\n")), &document); err != nil {
				t.Errorf("%s: %v", place, err)
				continue
			}
			root := dataOf(document)
			if root == "" {
				continue
			}
			documents++
			t.Run(place, func(t *testing.T) {
				validBundle(t, root, strings.Join(b.lines, "\n"))
			})
		}
	}
	if documents < 3 {
		t.Errorf("got %d documents, want those of README.md, roles.md and routes.md", documents)
	}
}

// dataOf tells where a document stands in a bundle; "" for questions, answers and the like.
func dataOf(document map[string]any) string {
	if _, there := document["tenants"]; there {
		return "rbac"
	}
	for _, set := range document {
		if set, ok := set.(map[string]any); ok && set["routes"] != nil {
			return "routes"
		}
	}
	return ""
}

func validBundle(t *testing.T, root, text string) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		".manifest":                      `{"roots": ["` + root + `"], "rego_version": 1}`,
		filepath.Join(root, "data.json"): text,
	}
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out output
	p := &program{stdout: &out, stderr: &out, now: time.Now}
	if code := run(t.Context(), []string{"rolegate", "validate", dir}, p); code != 0 {
		t.Errorf("got exit code %d, want 0:\n%s", code, out.String())
	}
}
