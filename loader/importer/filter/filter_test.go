package filter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/loader/importer/filter"
)

// readable is an entry of testdata/read.json.
type readable struct {
	Name, Filter string
	Prints       string
	Condition    any
	Refused      string // what Condition says of it
}

// unreadable is an entry of testdata/wrong.json.
type unreadable struct {
	Name, Filter string
	Error        string
}

func table[T any](tb testing.TB, file string) []T {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	d.DisallowUnknownFields()
	var cases []T
	if err := d.Decode(&cases); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	return cases
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range table[readable](t, "testdata/read.json") {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			f, err := filter.Parse(c.Filter)
			if err != nil {
				t.Fatalf("%s: %v", c.Filter, err)
			}
			if got := f.String(); got != c.Prints {
				t.Errorf("%s: prints %s, want %s", c.Filter, got, c.Prints)
			}
			condition, err := f.Condition()
			if got := message(err); got != c.Refused {
				t.Errorf("%s: refused with %q, want %q", c.Filter, got, c.Refused)
			}
			var got any
			if err == nil {
				got = condition
			}
			if diff := cmp.Diff(c.Condition, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.Filter, diff)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWrong(t *testing.T) {
	t.Parallel()
	for _, c := range table[unreadable](t, "testdata/wrong.json") {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			f, err := filter.Parse(c.Filter)
			if got := message(err); got != c.Error {
				t.Errorf("%q: got %v with error %q, want error %q", c.Filter, f, got, c.Error)
			}
			if _, ok := errors.AsType[*filter.Error](err); !ok {
				t.Errorf("%q: the error is a %T, want a *filter.Error", c.Filter, err)
			}
		})
	}
}

// A tree is read up to ForgeRock's own limit, and is a condition up to the library's.
func TestDepth(t *testing.T) {
	t.Parallel()
	nots := func(n int) string { return strings.Repeat("!(", n) + "/a pr" + strings.Repeat(")", n) }
	for _, c := range []struct {
		name     string
		text     string
		readable bool
		evaluate bool
	}{
		{"the deepest that is evaluated", nots(filter.Deepest - 1), true, true},
		{"one more", nots(filter.Deepest), true, false},
		{"the deepest that is read", nots(128), true, false},
		{"one more than is read", nots(129), false, false},
		{"parentheses that say nothing have no depth", strings.Repeat("(", 256) + "/a pr" + strings.Repeat(")", 256), true, true},
		{"but have an end", strings.Repeat("(", 257) + "/a pr" + strings.Repeat(")", 257), false, false},
		{"nor does a long list have any", "/a pr" + strings.Repeat(" and /a pr", 5000), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := filter.Parse(c.text)
			if got := err == nil; got != c.readable {
				t.Fatalf("Parse: got error %v, want readable=%v", err, c.readable)
			}
			if !c.readable {
				return
			}
			_, err = f.Condition()
			if got := err == nil; got != c.evaluate || err != nil && !errors.Is(err, filter.ErrTooDeep) {
				t.Errorf("Condition: got error %v, want evaluated=%v", err, c.evaluate)
			}
		})
	}
}

// The limit is the library's: a filter that it would not evaluate grants nobody anything.
func TestDeepestIsTheLibrarys(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../bundles/core/rolegate/condition/condition.rego")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\ndeepest := 64\n") || filter.Deepest != 64 {
		t.Errorf("got %d, want what condition.rego calls deepest", filter.Deepest)
	}
}

func TestZeroFilter(t *testing.T) {
	t.Parallel()
	var f filter.Filter
	if got := f.String(); got != "" {
		t.Errorf("prints %q, want nothing", got)
	}
	if c, err := f.Condition(); err == nil {
		t.Errorf("got condition %v, want an error", c)
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	f, err := filter.Parse("address/city eq 'x' and !(/a~1b pr or /c/d/e lt 1) or true")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	f.Attributes(got)
	if diff := cmp.Diff(map[string]bool{"address": true, "a/b": true, "c": true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
