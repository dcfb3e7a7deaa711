package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// quick tests of a mutant run first, together.
	quick = 200 * time.Millisecond
	// patience is what a mutant's tests may take beside what they take without it,
	// patienceTimes over: a loop that does not end is noticed too.
	patience      = 10 * time.Second
	patienceTimes = 5
	// testLimit bounds one test of the program as it is.
	testLimit = 5 * time.Minute
	// kept of what a failing test says.
	outputKept = 4 << 10
)

// suite is the compiled tests of a package.
type suite struct {
	pkg, binary, dir string
	args             []string
}

// test is a test function that passes on the program as it is.
type test struct {
	name string
	took time.Duration
	seen []byte // one byte for each mutant
}

// run runs tests on a mutant; 0 is none. A failure is an *exec.ExitError.
func (s suite) run(ctx context.Context, which int, seen string, limit time.Duration, tests []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	quoted := make([]string, len(tests))
	for i, name := range tests {
		quoted[i] = regexp.QuoteMeta(name)
	}
	args := append([]string{s.binary, "-test.failfast", "-test.timeout=0", "-test.run=^(" + strings.Join(quoted, "|") + ")$"}, s.args...)
	cmd := exec.CommandContext(ctx, "nice", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), whichVariable+"="+strconv.Itoa(which), seenVariable+"="+seen)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %s: %w", limit, ctx.Err())
	}
	text := out.Bytes()
	return string(text[:min(len(text), outputKept)]), err
}

// explore runs each test alone, to learn which mutants it comes by. A test that fails
// on the program as it is cannot notice anything: its name is in failing.
func (s suite) explore(ctx context.Context, mutants, workers int, dir string) (tests []test, failing []string, err error) {
	list, err := output(ctx, s.dir, s.binary, "-test.list=.")
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for name := range strings.Lines(list) {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") || strings.HasPrefix(name, "Example") {
			names = append(names, name)
		}
	}
	var mu sync.Mutex
	each(workers, len(names), func(i int) {
		t, ok, e := s.exploreOne(ctx, names[i], mutants, dir)
		mu.Lock()
		defer mu.Unlock()
		err = errors.Join(err, e)
		if ok {
			tests = append(tests, t)
		} else if e == nil {
			failing = append(failing, names[i])
		}
	})
	slices.SortFunc(tests, func(a, b test) int { return int(a.took - b.took) })
	slices.Sort(failing)
	return tests, failing, err
}

func (s suite) exploreOne(ctx context.Context, name string, mutants int, dir string) (t test, ok bool, err error) {
	file := filepath.Join(dir, filepath.Base(s.binary)+"-"+name)
	if err := os.WriteFile(file, make([]byte, mutants+1), 0o600); err != nil {
		return test{}, false, fmt.Errorf("make room for what a test sees: %w", err)
	}
	began := time.Now()
	_, failed := s.run(ctx, 0, file, testLimit, []string{name})
	took := time.Since(began)
	if ctx.Err() != nil {
		return test{}, false, ctx.Err()
	}
	seen, err := os.ReadFile(file)
	if err != nil {
		return test{}, false, fmt.Errorf("read what a test saw: %w", err)
	}
	return test{name, took, seen}, failed == nil, os.Remove(file)
}

// notice runs the tests that come by a mutant, and says how it was noticed; "" when it
// was not. reached: some test comes by it.
func (s suite) notice(ctx context.Context, n int, tests []test) (how string, reached bool, err error) {
	var first, rest []string
	limit := patience
	for _, t := range tests { // the quickest first
		if t.seen[n] == 0 {
			continue
		}
		limit += patienceTimes * t.took
		if t.took < quick || len(first) == 0 {
			first = append(first, t.name)
		} else {
			rest = append(rest, t.name)
		}
	}
	for _, names := range [][]string{first, rest} {
		if len(names) == 0 {
			continue
		}
		out, err := s.run(ctx, n, "", limit, names)
		switch {
		case ctx.Err() != nil:
			return "", true, ctx.Err()
		case err == nil:
		case errors.Is(err, context.DeadlineExceeded):
			return "it does not end", true, nil
		default:
			if _, ok := errors.AsType[*exec.ExitError](err); !ok {
				return "", true, err
			}
			return firstFailure(out), true, nil
		}
	}
	return "", len(first) > 0, nil
}

// firstFailure is the name of the test that failed, or the first line.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			return name
		}
	}
	line, _, _ := strings.Cut(out, "\n")
	return line
}

// each calls do with 0 to n-1, on a few goroutines.
func each(workers, n int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
