package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// clean is what an Envoy with the configuration that ships says, without what is not
// looked at.
func clean(tb testing.TB) map[string]any {
	tb.Helper()
	text, err := os.ReadFile("testdata/clean.json")
	if err != nil {
		tb.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		tb.Fatal(err)
	}
	return doc
}

func documents(tb testing.TB, doc map[string]any) Documents {
	tb.Helper()
	encode := func(name string) []byte {
		raw, err := json.Marshal(doc[name])
		if err != nil {
			tb.Fatal(err)
		}
		return raw
	}
	return Documents{encode("config_dump"), encode("server_info"), encode("clusters")}
}

// edit makes one change: "<pointer> = <json>", or "remove <pointer>". The element + is
// the one after the last.
func edit(v any, line string) (any, error) {
	pointer, text, set := strings.Cut(line, " = ")
	var value any
	if set {
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
	} else {
		pointer = strings.TrimPrefix(line, "remove ")
	}
	return put(v, strings.Split(pointer, "/")[1:], value, set)
}

func put(v any, path []string, value any, set bool) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	var err error
	switch at := v.(type) {
	case map[string]any:
		if _, there := at[path[0]]; !there && (!set || len(path) > 1) {
			return nil, fmt.Errorf("no %s", path[0])
		}
		if len(path) == 1 && !set {
			delete(at, path[0])
			return at, nil
		}
		at[path[0]], err = put(at[path[0]], path[1:], value, set)
		return at, err
	case []any:
		if path[0] == "+" {
			return append(at, value), nil
		}
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(at) {
			return nil, fmt.Errorf("no element %s of %d", path[0], len(at))
		}
		if len(path) == 1 && !set {
			return slices.Delete(at, i, i+1), nil
		}
		at[i], err = put(at[i], path[1:], value, set)
		return at, err
	default:
		return nil, fmt.Errorf("nothing is below %T at %s", v, path[0])
	}
}

func TestExamine(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var doc any = clean(t)
			for line := range strings.Lines(string(archive.Files[0].Data)) {
				if doc, err = edit(doc, strings.TrimSpace(line)); err != nil {
					t.Fatal(err)
				}
			}
			report, err := Examine(documents(t, doc.(map[string]any)))
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, f := range report.Findings {
				fmt.Fprintf(&got, "%s %s %s\n", f.Level, f.Code, f.At)
				if f.What == "" || f.Want == "" {
					t.Errorf("%+v says too little", f)
				}
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got.String()); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCleanReport(t *testing.T) {
	report, err := Examine(documents(t, clean(t)))
	if diff := cmp.Diff(Report{Version: "1.40.0", Filters: 1}, report); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestWhatIsNoDocument(t *testing.T) {
	if _, err := Examine(Documents{ConfigDump: []byte("<html>")}); err == nil || !strings.Contains(err.Error(), "config_dump") {
		t.Errorf("got %v, want an error that names the document", err)
	}
}

func FuzzExamine(f *testing.F) {
	d := documents(f, clean(f))
	f.Add(d.ConfigDump, d.ServerInfo, d.Clusters)
	f.Fuzz(func(_ *testing.T, dump, info, clusters []byte) {
		_, _ = Examine(Documents{dump, info, clusters})
	})
}
