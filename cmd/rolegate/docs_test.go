package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// block is a fenced block of a page.
type block struct {
	page     string
	line     int // of its first line, from 1
	language string
	lines    []string
	notRun   string // why no test runs it, where the page says so: <!-- not run: reason -->
	shownBy  string // the command whose output it is, where the page says so: <!-- shown by: command -->
}

// note reads a comment of the page about the block that follows it; "" when it is none of that kind.
func note(line, kind string) string {
	text, opened := strings.CutPrefix(strings.TrimSpace(line), "<!-- "+kind+": ")
	text, closed := strings.CutSuffix(text, " -->")
	if !opened || !closed {
		return ""
	}
	return text
}

func blocksOf(page, text string) []block {
	var all []block
	var about block // what the comments above say
	inside := false
	for i, line := range strings.Split(text, "\n") {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case inside && fence:
			all = append(all, about)
			about, inside = block{}, false
		case inside:
			about.lines = append(about.lines, line)
		case fence:
			about.page, about.line, about.language, inside = page, i+2, language, true
		case strings.TrimSpace(line) == "":
		default:
			about = block{notRun: note(line, "not run"), shownBy: note(line, "shown by")}
		}
	}
	return all
}

// command is what a page has the reader type, and what it says comes of it.
type command struct {
	place string // page and line
	text  string
	shown []string // "" without output in the page
	bare  bool     // the page shows no output: it has to succeed
}

// commands reads the lines of a block of type sh, or those after "$ " and their output.
func (b block) commands() []command {
	var all []command
	for i, line := range b.lines {
		place := fmt.Sprintf("%s:%d", b.page, b.line+i)
		typed, prompt := strings.CutPrefix(line, "$ ")
		switch {
		case prompt:
			all = append(all, command{place: place, text: typed})
		case b.language == "sh" && strings.TrimSpace(line) != "":
			all = append(all, command{place: place, text: line, bare: true})
		case len(all) > 0 && !all[len(all)-1].bare:
			last := &all[len(all)-1]
			last.shown = append(last.shown, line)
		}
	}
	return all
}

// pattern matches the output that a page shows. In a page … stands for anything, alone on a line for any
// lines; ids, times of day and durations are any; columns may be of any width.
func pattern(shown []string) *regexp.Regexp {
	varies := regexp.MustCompile(`…|[0-9a-f]{32}|\d\d:\d\d:\d\d|[\d.]+ ms| {2,}`)
	var text strings.Builder
	for i, line := range shown {
		if strings.TrimSpace(line) == "…" {
			text.WriteString(`(?:.*\n)*?`)
			continue
		}
		from := 0
		for _, at := range varies.FindAllStringIndex(line, -1) {
			text.WriteString(regexp.QuoteMeta(line[from:at[0]]))
			switch found := line[at[0]:at[1]]; {
			case found == "…":
				text.WriteString(`.*`)
			case len(found) == 32:
				text.WriteString(`[0-9a-f]{32}`)
			case strings.HasSuffix(found, "ms"):
				text.WriteString(`[\d.]+ ms`)
			case strings.Contains(found, ":"):
				text.WriteString(`\d\d:\d\d:\d\d`)
			default:
				text.WriteString(` +`)
			}
			from = at[1]
		}
		text.WriteString(regexp.QuoteMeta(line[from:]))
		if i < len(shown)-1 {
			text.WriteString(`\n`)
		}
	}
	return regexp.MustCompile(`^` + text.String() + `\n*$`)
}

// typed runs the command of a file as a shell would and compares what it says: typed PLACE FILE. The file
// has the command in its first line and the output below; without any the command has to succeed.
func typed(ts *testscript.TestScript, _ bool, args []string) {
	here := strings.NewReplacer(
		"127.0.0.1:8080", ts.Getenv("PROXY"), "127.0.0.1:9191", ts.Getenv("ENVOY"), "127.0.0.1:9193", ts.Getenv("ADMIN"),
	)
	text, shown, _ := strings.Cut(here.Replace(strings.TrimRight(ts.ReadFile(args[1]), "\n")), "\n")
	err := ts.Exec("sh", "-c", "{ "+text+"\n} 2>&1")
	got := strings.ReplaceAll(ts.ReadFile("stdout"), "\r", "")
	if shown == "" {
		if err != nil {
			ts.Fatalf("%s: got %v of %s\n%s", args[0], err, text, got)
		}
		return
	}
	if want := pattern(strings.Split(nameless(shown), "\n")); !want.MatchString(nameless(got)) {
		ts.Fatalf("%s: %s\ngot:\n%s\nwant:\n%s", args[0], text, got, shown)
	}
}

// nameless has the program called as it is on the PATH, since testscript tells it no other name.
func nameless(text string) string {
	return strings.ReplaceAll(text, "./rolegate", "rolegate")
}

// pages are the pages that users read, by their names below the top folder.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, glob := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*/*.md", "deploy/*/*/*.md", "bundles/demo/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", "..", glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(filepath.ToSlash(file), "../../")] = string(text)
		}
	}
	return all
}

// pageScript is the script that does what a page says, beside a demo that was just started; "" when there
// is nothing to do. Addresses are free ones.
func pageScript(name, page string) (script string, ran int, notRun []string) {
	var steps, files strings.Builder
	step := func(place, text string, shown []string) {
		ran++
		fmt.Fprintf(&steps, "typed %s typed-%d\n", place, ran)
		fmt.Fprintf(&files, "-- typed-%d --\n%s\n%s\n", ran, text, strings.Join(shown, "\n"))
	}
	for _, b := range blocksOf(name, page) {
		commands := b.commands()
		switch {
		case b.notRun != "":
			notRun = append(notRun, fmt.Sprintf("%s:%d: %s", name, b.line, b.notRun))
		case b.shownBy == "rolegate dev":
			step(fmt.Sprintf("%s:%d", name, b.line), "cat demo.out", b.lines)
		default:
			for _, c := range commands {
				step(c.place, c.text, c.shown)
			}
		}
	}
	if ran == 0 {
		return "", 0, notRun
	}
	const before = `freeport PROXY
freeport ENVOY
freeport ADMIN
exec sh -c 'ln -s "$(command -v rolegate)" rolegate'
exec sh -c 'exec ./rolegate dev --listen $PROXY --grpc-addr $ENVOY --admin-addr $ADMIN >demo.out' &demo&
eventually grep -q /healthz demo.out
`
	return before + steps.String() + "kill -INT demo\nwait demo\n" + files.String(), ran, notRun
}

// What the pages have their readers type works and says what they show.
func TestPagesAreTrue(t *testing.T) {
	folder := t.TempDir()
	total := 0
	var skipped []string
	for name, page := range pages(t) {
		script, ran, notRun := pageScript(name, page)
		total += ran
		skipped = append(skipped, notRun...)
		if ran == 0 {
			continue
		}
		file := filepath.Join(folder, strings.NewReplacer("/", "_", ".md", ".txtar").Replace(name))
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(skipped)
	t.Logf("%d commands are run; %d blocks are not:\n%s", total, len(skipped), strings.Join(skipped, "\n"))
	if total < 5 {
		t.Errorf("got %d commands, want those of README.md at least", total)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 folder,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CURL_HOME", env.WorkDir) // with no meter
			// Readers are at the top of the repository, where exports to import are.
			for _, name := range []string{"docs", "loader"} {
				top, err := filepath.Abs(filepath.Join("..", "..", name))
				if err != nil {
					return err
				}
				if err := os.Symlink(top, filepath.Join(env.WorkDir, name)); err != nil {
					return err
				}
			}
			return os.WriteFile(filepath.Join(env.WorkDir, ".curlrc"), []byte("silent\nshow-error\n"), 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"typed": typed, "freeport": freePort, "eventually": eventually,
		},
	})
}
