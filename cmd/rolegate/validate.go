package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/internal/cases"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// mostProblems are shown to people; a form for machines has all.
const mostProblems = 20

// validation is what was found in one path.
type validation struct {
	dir      string
	problems policy.Problems
	public   []string // routes that everybody may use
	members  int
}

func (p *program) validateCommand() *cobra.Command {
	var against, settings string
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check bundles: form, references, roles, tenants, rules, members, routes, Rego",
		Long: `Check bundles as a server does before it decides on them. An error refuses a bundle; a
warning names what has no effect, or not the effect that it seems to have.

With --config it checks the settings of a server too, as far as they can be judged without
their files: their form, who is believed (identity), and TLS; and the bundles are read as
that server reads them.

Exit codes: 0 nothing refuses them; 1 something does; 2 they could not be read at all.`,
		Example: `  rolegate validate demo-bundle
  rolegate validate new-bundle --against old-bundle -f json
  rolegate validate --config rolegate.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if settings != "" {
				return nil
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.wantFormat("pretty", "json"); err != nil {
				return err
			}
			if settings != "" {
				if err := p.validateSettings(cmd.Context(), settings); err != nil || len(args) == 0 {
					return err
				}
			}
			return p.validate(cmd.Context(), args, settings, against)
		},
	}
	cmd.Flags().StringVar(&settings, "config", "", "settings of a server, in YAML, to check as well")
	cmd.Flags().StringVar(&against, "against", "", "bundle that this one replaces: what may not change is compared with it")
	return cmd
}

func (p *program) validate(ctx context.Context, dirs []string, settings, against string) error {
	began := p.now()
	var old map[string]any
	if against != "" {
		set, err := loader.Open(ctx, loader.Config{Dir: against})
		if err != nil {
			return fmt.Errorf("--against: %w", err)
		}
		old, _ = set.Snapshot.Data()["rbac"].(map[string]any)
		if old == nil {
			old = map[string]any{}
		}
	}
	var all []validation
	for _, dir := range dirs {
		v, err := p.examine(ctx, dir, settings, old)
		if err != nil {
			return err
		}
		all = append(all, v)
	}
	failed := false
	for _, v := range all {
		failed = failed || len(v.problems.Refusals()) > 0
	}
	show := p.showValidation
	if p.format == "json" {
		show = p.encodeValidation
	}
	if err := show(all, p.now().Sub(began)); err != nil {
		return err
	}
	if failed {
		return errNo
	}
	return nil
}

// examine finds what is wrong with the bundles of a folder. The error is for what is
// no bundle's fault.
func (p *program) examine(ctx context.Context, dir, settings string, old map[string]any) (validation, error) {
	v := validation{dir: dir}
	if _, err := os.Stat(dir); err != nil {
		return v, err
	}
	cfg, err := p.loaderAs(settings, dir)
	if err != nil {
		return v, err
	}
	cfg.Verify = cases.Verifier(librarySnapshot, p.now)
	set, err := loader.Open(ctx, cfg)
	if problems, ok := errors.AsType[policy.Problems](err); ok {
		v.problems = problems
		return v, nil
	}
	if err != nil {
		return v, err
	}
	v.problems = set.Warnings
	v.public = set.Snapshot.Routes().Public()
	v.members = countMembers(set.Snapshot.Data())
	if old == nil {
		return v, nil
	}
	changed, err := set.Changed(ctx, old)
	if err != nil {
		return v, err
	}
	v.problems = append(v.problems, changed...)
	v.problems.Sort()
	return v, nil
}

func countMembers(data map[string]any) int {
	rbac, _ := data["rbac"].(map[string]any)
	nodes, _ := rbac["members"].(map[string]any)
	n := 0
	for _, records := range nodes {
		records, _ := records.(map[string]any)
		n += len(records)
	}
	return n
}

// showValidation prints each problem with the line that it stands in.
func (p *program) showValidation(all []validation, took time.Duration) error {
	var refusals, warnings, members, public int
	for _, v := range all {
		members += v.members
		public += len(v.public)
		for _, problem := range v.problems {
			if problem.Warning {
				warnings++
			} else {
				refusals++
			}
			if refusals+warnings <= mostProblems {
				p.showProblem(v.dir, problem)
			}
		}
		for _, route := range v.public {
			fmt.Fprintf(p.stdout, "note: route %s is public\n", route)
		}
	}
	if more := refusals + warnings - mostProblems; more > 0 {
		fmt.Fprintf(p.stdout, "and %d more (-f json has all)\n", more)
	}
	_, err := fmt.Fprintf(p.stdout, "%s, %s in %s, %s (%s)\n", count(refusals, "error"), count(warnings, "warning"),
		count(members, "member"), count(public, "public route"), took.Round(time.Millisecond))
	return err
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (p *program) showProblem(dir string, problem policy.Problem) {
	paint := p.paint(p.stdout)
	word := paint.red("error:")
	if problem.Warning {
		word = paint.yellow("warning:")
	}
	fmt.Fprintf(p.stdout, "%s %s: %s\n", word, problem.Code, problem.Message)
	gutter := ""
	switch {
	case problem.File != "" && problem.Line > 0:
		number := fmt.Sprint(problem.Line)
		gutter = strings.Repeat(" ", len(number))
		file := filepath.Join(dir, filepath.FromSlash(problem.File))
		fmt.Fprintf(p.stdout, "%s ╭─ %s:%d:%d\n", gutter, file, problem.Line, problem.Column)
		if line, ok := sourceLine(file, problem.Line); ok {
			before, under := caret(line, problem.Column)
			fmt.Fprintf(p.stdout, "%s │ %s\n%s │ %s%s\n", number, line, gutter, before, paint.red(under))
		}
	case problem.File != "":
		fmt.Fprintf(p.stdout, " ╭─ %s\n", filepath.Join(dir, filepath.FromSlash(problem.File)))
	case len(problem.Path) > 0:
		fmt.Fprintf(p.stdout, " ╭─ data.%s\n", strings.Join(problem.Path, "."))
	}
	if problem.Hint != "" {
		fmt.Fprintf(p.stdout, "%s = help: %s\n", gutter, problem.Hint)
	}
}

// mostColumns of a line are shown: a data file may be one line.
const mostColumns = 160

// sourceLine answers a line of a file that stands on its own; one in an archive does not.
func sourceLine(file string, number int) (string, bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close()
	reader := bufio.NewReader(f)
	for at := 1; ; at++ {
		line, err := reader.ReadString('\n')
		if at == number {
			line = strings.TrimRight(line, "\r\n")
			return line, utf8.RuneCountInString(line) <= mostColumns
		}
		if err != nil {
			return "", false
		}
	}
}

// caret answers the blanks before a column, counted in characters from 1, and the
// marks below the token that begins there.
func caret(line string, column int) (before, under string) {
	runes := []rune(line)
	start := min(max(column-1, 0), len(runes))
	for _, r := range runes[:start] {
		if r == '\t' {
			before += "\t"
		} else {
			before += " "
		}
	}
	return before, strings.Repeat("^", max(1, tokenLength(runes[start:])))
}

// tokenLength is how many characters the token at the beginning has.
func tokenLength(rest []rune) int {
	if len(rest) > 0 && rest[0] == '"' {
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(rest)
	}
	for i, r := range rest {
		if strings.ContainsRune(" \t,:[]{}()", r) {
			return i
		}
	}
	return len(rest)
}

// encodeValidation prints everything as one object.
func (p *program) encodeValidation(all []validation, _ time.Duration) error {
	result := struct {
		SchemaVersion int      `json:"schema_version"`
		Errors        int      `json:"errors"`
		Warnings      int      `json:"warnings"`
		Members       int      `json:"members"`
		Problems      []found  `json:"problems"`
		Public        []string `json:"public_routes"`
	}{SchemaVersion: 1, Problems: []found{}, Public: []string{}}
	for _, v := range all {
		result.Members += v.members
		result.Public = append(result.Public, v.public...)
		for _, problem := range v.problems {
			f := foundOf(problem)
			if problem.File != "" {
				f.File = filepath.Join(v.dir, filepath.FromSlash(problem.File))
			}
			if problem.Warning {
				result.Warnings++
			} else {
				result.Errors++
			}
			result.Problems = append(result.Problems, f)
		}
	}
	return json.NewEncoder(p.stdout).Encode(result)
}
