package interval_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/loader/importer/interval"
)

// row is an entry of testdata/read.json, or with an error of testdata/wrong.json.
type row struct {
	Name, Text  string
	From, Until time.Time
	Error       string
}

func table(tb testing.TB, file string) []row {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var rows []row
	if err := json.Unmarshal(text, &rows); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	return rows
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/read.json", "testdata/wrong.json"} {
		for _, c := range table(t, file) {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				from, until, err := interval.Parse(c.Text)
				got := ""
				if err != nil {
					got = err.Error()
				}
				if got != c.Error {
					t.Fatalf("%q: got error %q, want %q", c.Text, got, c.Error)
				}
				if err == nil && (from != c.From.UnixMilli() || until != c.Until.UnixMilli()) {
					t.Errorf("%q: got %v to %v, want %v to %v", c.Text, time.UnixMilli(from).UTC(), time.UnixMilli(until).UTC(), c.From, c.Until)
				}
			})
		}
	}
}

// Two instants that are written are read again, whatever the zones they are written in.
func TestParseReadsInstants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const quarter = 15 * 60
		instant := func(name string) time.Time {
			zone := time.FixedZone("", quarter*rapid.IntRange(-48, 56).Draw(rt, name+"_zone"))
			return time.UnixMilli(rapid.Int64Range(0, 4102444800000).Draw(rt, name)).In(zone)
		}
		a, b := instant("a"), instant("b")
		text := a.Format(time.RFC3339Nano) + "/" + b.Format(time.RFC3339Nano)
		from, until, err := interval.Parse(text)
		switch {
		case !a.Before(b):
			if err == nil {
				rt.Errorf("%s: got %d to %d, want an error", text, from, until)
			}
		case err != nil || from != a.UnixMilli() || until != b.UnixMilli():
			rt.Errorf("%s: got %d to %d and error %v, want %d to %d", text, from, until, err, a.UnixMilli(), b.UnixMilli())
		}
	})
}

// Whatever bytes come: no panic, and an interval that has a beginning before its end.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/read.json", "testdata/wrong.json"} {
		for _, c := range table(f, file) {
			f.Add(c.Text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		from, until, err := interval.Parse(text)
		if err == nil && from >= until || err != nil && (from != 0 || until != 0) {
			t.Errorf("%q: got %d to %d, %v", text, from, until, err)
		}
	})
}
