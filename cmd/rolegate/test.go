package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/internal/cases"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// watchEvery is how often --watch looks whether a file changed.
const watchEvery = 300 * time.Millisecond

// testRequest is what `test` was called with.
type testRequest struct {
	paths   []string
	dir     string // bundle of the cases without data of their own; "" is the first path that is one
	match   *regexp.Regexp
	verbose bool
	watch   bool
	config  string // a server's settings; "" for the usual ones
}

func (p *program) testCommand() *cobra.Command {
	var r testRequest
	var match string
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Run the Rego tests and the worked cases of bundles",
		Long: `Run Rego tests (rules that begin with test_, in files that end in _test.rego) and worked
cases. A path is a bundle's folder, a folder of bundles, or a file. In a folder, case files
are those in folders named cases, and those named cases.json, *_cases.json or the same in
YAML: lists of {"name", "op", "request", "expect"}, with "data" or on the bundle's.

Exit codes: 0 all passed; 1 some failed; 2 something could not be run, or nothing was found.`,
		Example: `  rolegate test demo-bundle
  rolegate test cases/*.json -b demo-bundle -r '^billing' -f junit`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.wantFormat("pretty", "json", "junit", "github"); err != nil {
				return err
			}
			if r.paths = args; len(args) == 0 && r.dir != "" {
				r.paths = []string{r.dir}
			}
			if len(r.paths) == 0 {
				return hint(errors.New("no path"), "rolegate test DIR runs what a bundle's folder holds")
			}
			var err error
			if r.match, err = regexp.Compile(match); err != nil {
				return fmt.Errorf("-r: %w", err)
			}
			if r.watch {
				return p.testOnChange(cmd.Context(), r)
			}
			return p.test(cmd.Context(), r)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&r.dir, "bundle-dir", "b", "", "bundle that cases without data ask")
	flags.StringVarP(&match, "run", "r", "", "only tests and cases whose names match this regular expression")
	flags.BoolVarP(&r.verbose, "verbose", "v", false, "list what passed too")
	asFlag(cmd, &r.config)
	flags.BoolVarP(&r.watch, "watch", "w", false, "run again when a file changes")
	return cmd
}

// testOnChange runs the tests now and after each change, until it is interrupted.
func (p *program) testOnChange(ctx context.Context, r testRequest) error {
	last := ""
	for {
		if now := fingerprint(append(slices.Clone(r.paths), r.dir)); now != last {
			last = now
			if err := p.test(ctx, r); err != nil && !errors.Is(err, errNo) {
				p.exit(ctx, err) // says what is wrong; the next change may mend it
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchEvery):
		}
	}
}

// fingerprint changes when a file below the paths does.
func fingerprint(paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		if path == "" {
			continue
		}
		// A file that vanishes meanwhile changes the fingerprint by not being in it.
		_ = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // see above
			}
			if info, err := d.Info(); err == nil {
				fmt.Fprintf(&b, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
			}
			return nil
		})
	}
	return b.String()
}

// test runs everything once.
func (p *program) test(ctx context.Context, r testRequest) error {
	cfg, err := p.loaderAs(r.config, "")
	if err != nil {
		return err
	}
	found, err := findTests(ctx, r, cfg)
	if err != nil {
		return err
	}
	report := p.newTestReport(r.verbose)
	if err := found.runRego(ctx, r.match, report.add); err != nil {
		return err
	}
	if err := found.runCases(ctx, r.match, p.now, report.add); err != nil {
		return err
	}
	if report.ran() == 0 {
		return hint(fmt.Errorf("nothing to test in %s", strings.Join(r.paths, ", ")),
			"Rego tests stand in *_test.rego; case files in a folder named cases, or named cases.json or *_cases.yaml")
	}
	if err := report.end(); err != nil {
		return err
	}
	if report.failed > 0 {
		return errNo
	}
	return nil
}

// tests is what was found to run.
type tests struct {
	cfg    loader.Config // but for its folder
	sets   []loader.Set  // with Rego tests
	bundle *policy.Snapshot
	files  []string // of cases
}

// findTests reads bundles as cfg says.
func findTests(ctx context.Context, r testRequest, cfg loader.Config) (tests, error) {
	t := tests{cfg: cfg}
	if r.dir != "" {
		cfg.Dir = r.dir
		set, err := loader.Open(ctx, cfg)
		if err != nil {
			return t, err
		}
		t.bundle = set.Snapshot
	}
	for _, path := range r.paths {
		info, err := os.Stat(path)
		if err != nil {
			return t, err
		}
		switch {
		case !info.IsDir() && !strings.HasSuffix(path, ".tar.gz"):
			if filepath.Ext(path) == ".rego" {
				return t, hint(fmt.Errorf("%s is one file of a bundle", path), "name the bundle's folder, and -r for a single test")
			}
			t.files = append(t.files, path)
		default:
			if err := t.addFolder(ctx, path); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

// addFolder adds a folder's bundles, if it has some, and its case files.
func (t *tests) addFolder(ctx context.Context, dir string) error {
	cfg := t.cfg
	cfg.Dir = dir
	set, err := loader.Open(ctx, cfg)
	switch {
	case err == nil:
		t.sets = append(t.sets, set)
		if t.bundle == nil {
			t.bundle = set.Snapshot
		}
	case !noBundle(err):
		return err
	}
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case !d.IsDir() && loader.CaseFile(name):
			t.files = append(t.files, name)
		}
		return nil
	})
}

// noBundle says whether a folder merely holds no bundle.
func noBundle(err error) bool {
	problems, ok := errors.AsType[policy.Problems](err)
	return ok && !slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Code != "empty_bundle" })
}

func (t *tests) runRego(ctx context.Context, match *regexp.Regexp, add func(cases.Result) error) error {
	for _, set := range t.sets {
		if len(set.Tests) == 0 {
			continue
		}
		modules, err := bundles.CoreModules()
		if err != nil {
			return err
		}
		maps.Copy(modules, set.Modules)
		tests := cases.RegoTests{Modules: modules, Tests: set.Tests, Store: set.Snapshot.Store(), Match: match.String(), Lenient: t.cfg.Lenient}
		if err := cases.Rego(ctx, tests, add); err != nil {
			return err
		}
	}
	return nil
}

func (t *tests) runCases(ctx context.Context, match *regexp.Regexp, now func() time.Time, add func(cases.Result) error) error {
	if len(t.files) == 0 {
		return nil
	}
	library, err := librarySnapshot(ctx)
	if err != nil {
		return err
	}
	runner, err := cases.NewRunner(t.bundle, library, now)
	if err != nil {
		return err
	}
	defer runner.Close()
	for _, name := range t.files {
		if err := runFile(ctx, name, match, runner, add); err != nil {
			return err
		}
	}
	return nil
}

// librarySnapshot is the role library alone, over no data.
func librarySnapshot(ctx context.Context) (*policy.Snapshot, error) {
	modules, err := bundles.CoreModules()
	if err != nil {
		return nil, err
	}
	return policy.Compile(ctx, policy.Source{Modules: modules, Data: map[string]any{}})
}

func runFile(ctx context.Context, name string, match *regexp.Regexp, runner *cases.Runner, add func(cases.Result) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return cases.Read(f, name, func(c cases.Case) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !match.MatchString(c.Name) {
			return nil
		}
		return add(runner.Run(ctx, c))
	})
}
