package strict_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rolegate/rolegate/cmd/rolegate/internal/strict"
)

var update = flag.Bool("update", false, "rewrite the last part of every case")

type settings struct {
	Addr   string        `yaml:"addr"`
	Hosts  []string      `yaml:"hosts"`
	Settle time.Duration `yaml:"settle"`
	Cache  struct {
		Entries  int     `yaml:"entries"`
		Negative bool    `yaml:"negative"`
		Ratio    float64 `yaml:"ratio"`
		Size     uint8   `yaml:"size"`
	} `yaml:"cache"`
	Identity []struct {
		Name string            `yaml:"name"`
		Map  map[string]string `yaml:"map"`
	} `yaml:"identity"`
	Level  level  `yaml:"level"`
	Hidden func() `yaml:"-"`
	Shared `yaml:",inline"`
}

// Shared is inlined.
type Shared struct {
	Color *string `yaml:"color"`
}

type level string

func (l *level) UnmarshalText(text []byte) error {
	if string(text) != "info" {
		return errors.New(`want "info"`)
	}
	*l = level(text)
	return nil
}

// Each case is a document and the faults that it has.
func TestYAMLFaults(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = strict.YAML("rolegate.yaml", strings.NewReader(string(ar.Files[0].Data)), new(settings))
			got := ""
			if err != nil {
				got = err.Error() + "\n"
			}
			if *update {
				ar.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(ar.Files[1].Data), got); diff != "" {
				t.Errorf("faults (-want +got):\n%s\nof:\n%s", diff, ar.Files[0].Data)
			}
		})
	}
}

func TestYAMLReads(t *testing.T) {
	const doc = `
addr: 9191
hosts: [a, b]
settle: 50ms
cache: {entries: -1, negative: true, ratio: 0.5, size: 255}
identity:
  - name: &n x
    map: {k: *n}
level: info
color: red
`
	var got settings
	lines, err := strict.YAML("f", strings.NewReader(doc), &got)
	if err != nil {
		t.Fatal(err)
	}
	if got.Addr != "9191" || got.Settle != 50*time.Millisecond || got.Cache.Entries != -1 || !got.Cache.Negative ||
		got.Cache.Size != 255 || got.Identity[0].Map["k"] != "x" || *got.Color != "red" || got.Level != "info" ||
		!cmp.Equal(got.Hosts, []string{"a", "b"}) {
		t.Errorf("got %+v, of:\n%s", got, doc)
	}
	if lines["cache.entries"] != 5 || lines["addr"] != 2 {
		t.Errorf("got lines %v, want addr at 2 and cache.entries at 5", lines)
	}
}

// What a file leaves out keeps its value.
func TestYAMLKeepsDefaults(t *testing.T) {
	for _, doc := range []string{"", "# nothing\n", "addr:\ncache:\n", "cache: {size: 3}\n"} {
		got := settings{Addr: "a"}
		got.Cache.Entries = 7
		if _, err := strict.YAML("f", strings.NewReader(doc), &got); err != nil {
			t.Errorf("%q: %v", doc, err)
		}
		if got.Addr != "a" || got.Cache.Entries != 7 {
			t.Errorf("%q: got %+v, want addr and cache.entries as they were", doc, got)
		}
	}
}

func TestLeaves(t *testing.T) {
	var s settings
	var got []string
	for _, l := range strict.Leaves(&s) {
		got = append(got, l.Path+": "+l.Want())
	}
	want := []string{
		"addr: a word", "hosts: a list of words", "settle: a duration such as 50ms or 5m", "cache.entries: an integer",
		"cache.negative: true or false", "cache.ratio: a number", "cache.size: an integer from 0", "level: a word",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("leaves (-want +got):\n%s", diff)
	}
}

// A leaf takes back the text it gives.
func TestLeafText(t *testing.T) {
	for _, c := range []struct{ path, text, want, err string }{
		{"addr", "x", "x", ""},
		{"hosts", "a, b,", "a,b", ""},
		{"settle", "1s", "1s", ""},
		{"settle", "5", "0s", `want a duration such as 50ms or 5m, got "5"`},
		{"cache.entries", "1x", "0", `want an integer, got "1x"`},
		{"cache.size", "256", "0", `want an integer from 0, got "256"`},
		{"cache.negative", "maybe", "false", `want true or false, got "maybe"`},
		{"cache.ratio", "NaN", "0", `want a number, got "NaN"`},
		{"level", "loud", "", `want "info"`},
	} {
		var s settings
		for _, l := range strict.Leaves(&s) {
			if l.Path != c.path {
				continue
			}
			err := l.Set(c.text)
			if got := l.String(); got != c.want {
				t.Errorf("%s: got %q, want %q, of %q", c.path, got, c.want, c.text)
			}
			if got := errText(err); got != c.err {
				t.Errorf("%s: got error %q, want %q, of %q", c.path, got, c.err, c.text)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"grpc", "admin", "cache", "documents:read", "documents:write"}
	for word, want := range map[string]string{
		"gprc": "grpc", "grp": "grpc", "cahce": "cache", "cach": "cache", "documents:raed": "documents:read", "zzz": "", "": "", "a": "", "cacje": "cache",
		"cachex": "cache", "documnets:read": "documents:read",
	} {
		if got := strict.Nearest(word, names); got != want {
			t.Errorf("got %q, want %q, of %q in %q", got, want, word, names)
		}
	}
}

// No document makes the reader panic or not end.
func FuzzYAML(f *testing.F) {
	for _, file := range []string{"testdata/unknown-key.txtar", "testdata/bad-value.txtar", "testdata/shape.txtar"} {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(ar.Files[0].Data))
	}
	f.Add("identity: &a\n- *a\n")
	f.Add("cache: &a {<<: *a}\n")
	f.Fuzz(func(_ *testing.T, doc string) {
		_, _ = strict.YAML("f", strings.NewReader(doc), new(settings))
	})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
