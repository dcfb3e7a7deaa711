package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// campaign examines one target.
type campaign struct {
	options
	root  string
	known known
	out   io.Writer
}

// fate is what became of a mutant.
type fate struct {
	n       int
	noticed string // by whom; "" by nobody
	reached bool   // a test comes by it
}

// run answers whether everything is as -strict wants it.
func (c campaign) run(ctx context.Context, t target) (bool, error) {
	dir, err := os.MkdirTemp("", "rolegate-mutate-")
	if err != nil {
		return false, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	began := time.Now()
	p, err := prepare(ctx, c.root, dir, t)
	if err != nil {
		return false, err
	}
	fates := c.selected(p.catalog)
	if c.list {
		for _, f := range fates {
			m := p.catalog.of(f.n)
			fmt.Fprintf(c.out, "%d\t%s:%d\t%s\n", f.n, m.file, m.line, m.name)
		}
		return true, nil
	}
	for _, pkg := range t.tests {
		if err := c.examine(ctx, p, pkg, dir, fates); err != nil {
			return false, err
		}
	}
	return c.report(p.catalog, t, fates, time.Since(began)), nil
}

func (c campaign) selected(all *catalog) (fates []fate) {
	for n := 1; n <= len(all.all); n++ {
		if (c.only == 0 || c.only == n) && c.pattern.MatchString(all.of(n).name) {
			fates = append(fates, fate{n: n})
		}
	}
	return fates
}

// examine has the tests of a package look for the mutants that nobody has noticed.
func (c campaign) examine(ctx context.Context, p program, pkg, dir string, fates []fate) error {
	s, err := p.compile(ctx, pkg, dir)
	if err != nil {
		return err
	}
	tests, failing, err := s.explore(ctx, len(p.catalog.all), c.workers, dir)
	if err != nil {
		return err
	}
	for _, name := range failing {
		fmt.Fprintf(c.out, "%s: %s fails on the program as it is, and is left out\n", pkg, name)
	}
	if c.longest > 0 {
		tests = slices.DeleteFunc(tests, func(t test) bool { return t.took > c.longest })
	}
	var mu sync.Mutex
	var errs error
	each(c.workers, len(fates), func(i int) {
		f := &fates[i]
		if f.noticed != "" || ctx.Err() != nil {
			return
		}
		how, reached, err := s.notice(ctx, f.n, tests)
		mu.Lock()
		defer mu.Unlock()
		errs = errors.Join(errs, err)
		f.noticed, f.reached = how, f.reached || reached
		if c.verbose {
			fmt.Fprintf(c.out, "%d\t%s\n\t%s: %s\n", f.n, p.catalog.of(f.n).name, pkg, how)
		}
	})
	return errors.Join(errs, ctx.Err())
}

// report says what survived.
func (c campaign) report(all *catalog, t target, fates []fate, took time.Duration) (strict bool) {
	noticed, explained, unknown, unreached := 0, 0, 0, 0
	strict = true
	for _, f := range fates {
		m := all.of(f.n)
		why := c.known.why(m.name)
		switch {
		case f.noticed != "" && why != "":
			// An explanation of a family of mutants may be of some that are noticed.
			noticed++
		case f.noticed != "":
			noticed++
		case why != "":
			explained++
		default:
			unknown++
			strict = false
			where := ""
			if !f.reached {
				unreached++
				where = " (no test comes by it)"
			}
			fmt.Fprintf(c.out, "survives: %d\t%s:%d\t%s%s\n", f.n, m.file, m.line, m.name, where)
		}
	}
	if c.only == 0 && c.pattern.String() == "" {
		for _, pattern := range c.known.unused(t.pkg, all) {
			strict = false
			fmt.Fprintf(c.out, "explained, but no mutant: %s\n", pattern)
		}
	}
	fmt.Fprintf(c.out, "%s: %d mutants: %d noticed, %d equivalent, %d survive, of which no test comes by %d; %s\n",
		t.pkg, len(fates), noticed, explained, unknown, unreached, took.Round(time.Second))
	return strict
}

// known are explanations: lines of `name # reason`, where a name may end in * for all
// that begin so.
type known []explanation

type explanation struct{ pattern, reason string }

// readExplanations reads a file, or the files of a folder.
func readExplanations(path string) (all known, err error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read explanations: %w", err)
	} else if info.IsDir() {
		files, _ = filepath.Glob(filepath.Join(path, "*.txt")) // The pattern is a good one.
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read explanations: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			pattern, reason, ok := strings.Cut(line, " # ")
			if !ok || reason == "" {
				return nil, fmt.Errorf("%s: no reason in %q", file, line)
			}
			all = append(all, explanation{pattern, reason})
		}
	}
	return all, nil
}

// fits says whether an explanation is of a mutant.
func (e explanation) fits(name string) bool {
	prefix, open := strings.CutSuffix(e.pattern, "*")
	return name == e.pattern || open && strings.HasPrefix(name, prefix)
}

func (k known) why(name string) string {
	for _, e := range k {
		if e.fits(name) {
			return e.reason
		}
	}
	return ""
}

// unused are the explanations that are of files of a package and of none of its mutants.
func (k known) unused(pkg string, all *catalog) (patterns []string) {
	folder := strings.TrimPrefix(pkg, "./") + "/"
	for _, e := range k {
		rest, ours := strings.CutPrefix(e.pattern, folder)
		file, _, _ := strings.Cut(rest, " ")
		if ours && !strings.Contains(file, "/") && !slices.ContainsFunc(all.all, func(m mutant) bool { return e.fits(m.name) }) {
			patterns = append(patterns, e.pattern)
		}
	}
	return patterns
}
