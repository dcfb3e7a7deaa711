package footprint

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/tools/txtar"

	"github.com/rolegate/rolegate/internal/lab/policies"
)

var update = flag.Bool("update", false, "rewrite the expected footprints")

// handWritten is a policy of testdata/policies: prose, modules, and beside them what is
// expected. inexact, if it is there, lists what the footprint holds although it could
// hold less, or (enough: these) only parts of it, read in full if no level is said, each
// with the reason. Otherwise nothing can be taken from the footprint.
type handWritten struct {
	path    string
	archive *txtar.Archive
	sources map[string]string
	data    map[string]any
	seeds   []any
	inexact []excess
}

// excess is a line of the part `inexact`.
type excess struct {
	place  string // level and path
	enough map[string]Level
}

func readHandWritten(t *testing.T, path string) handWritten {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := handWritten{path: path, archive: archive, sources: map[string]string{}, data: map[string]any{}}
	for _, part := range archive.Files {
		switch {
		case filepath.Ext(part.Name) == ".rego":
			h.sources[part.Name] = string(part.Data)
		case part.Name == "data.json":
			readJSON(t, path, part.Data, &h.data)
		case part.Name == "inputs.json":
			readJSON(t, path, part.Data, &h.seeds)
		case part.Name == "inexact":
			h.inexact = readInexact(t, path, string(part.Data))
		}
	}
	return h
}

func readInexact(t *testing.T, path, text string) []excess {
	t.Helper()
	line := regexp.MustCompile(`^([a-z]+ \S+)(?: \(enough: (.*)\))?: .+$`)
	var list []excess
	for l := range strings.Lines(text) {
		found := line.FindStringSubmatch(strings.TrimSpace(l))
		if found == nil {
			t.Fatalf("%s: %q is not `level path: reason`", path, l)
		}
		e := excess{place: found[1], enough: map[string]Level{}}
		for part := range strings.SplitSeq(found[2], ", ") {
			level := Full
			for _, l := range []Level{Defined, Type} {
				if rest, ok := strings.CutPrefix(part, levelName(l)+" "); ok {
					part, level = rest, l
				}
			}
			if part != "" {
				e.enough[part] = level
			}
		}
		list = append(list, e)
	}
	return list
}

func readJSON(t *testing.T, path string, data []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func (h handWritten) specimen(t *testing.T) (*specimen, policies.Vocabulary) {
	t.Helper()
	modules, err := parse(h.sources, ast.RegoV1)
	if err != nil {
		t.Fatalf("%s: %v", h.path, err)
	}
	words := vocabulary(modules, h.data)
	s, err := newSpecimen(t.Context(), modules, h.data, "data.test.allow")
	if err != nil {
		t.Fatalf("%s: %v", h.path, err)
	}
	return s, words
}

// rewrite puts a part into the archive's file.
func (h handWritten) rewrite(t *testing.T, name, text string) {
	t.Helper()
	i := slices.IndexFunc(h.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		i = len(h.archive.Files)
		h.archive.Files = append(h.archive.Files, txtar.File{Name: name})
	}
	h.archive.Files[i].Data = []byte(text)
	if err := os.WriteFile(h.path, txtar.Format(h.archive), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h handWritten) part(name string) string {
	for _, f := range h.archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

// eachHandWritten runs f as a test of its own for every file.
func eachHandWritten(t *testing.T, f func(t *testing.T, h handWritten)) {
	t.Helper()
	root := filepath.Join("testdata", "policies")
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txtar" {
			return err
		}
		name, _ := filepath.Rel(root, strings.TrimSuffix(path, ".txtar"))
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			t.Parallel()
			f(t, readHandWritten(t, path))
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// text is a footprint as the files hold it: level, path, and the line that forced it.
func text(f *Footprint) string {
	var b strings.Builder
	for _, p := range f.Paths {
		fmt.Fprintf(&b, "%-7s %s  %s\n", levelName(p.Level), p.Ref, position(p.At))
	}
	for _, c := range f.Nondeterministic {
		fmt.Fprintf(&b, "nondeterministic %s  %s\n", c.Name, position(c.At))
	}
	return b.String()
}

func position(at *ast.Location) string {
	if at == nil {
		return "-"
	}
	line, _, _ := strings.Cut(string(at.Text), "\n")
	return fmt.Sprintf("%s:%d: %s", at.File, at.Row, line)
}

func TestFootprintsOfWrittenPolicies(t *testing.T) {
	eachHandWritten(t, func(t *testing.T, h handWritten) {
		t.Helper()
		s, _ := h.specimen(t)
		got, want := text(s.footprint), h.part("footprint")
		if *update {
			h.rewrite(t, "footprint", got)
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the footprint differs (-want +got):\n%s\n%s", diff, source(h.sources))
		}
	})
}

// TestWrittenPoliciesDecideByTheirKeysAlone asks each policy about its inputs, random ones
// and the neighbors of both.
func TestWrittenPoliciesDecideByTheirKeysAlone(t *testing.T) {
	eachHandWritten(t, func(t *testing.T, h handWritten) {
		t.Helper()
		s, words := h.specimen(t)
		if len(s.footprint.Nondeterministic) > 0 {
			return // two evaluations of one input may differ
		}
		questions := h.questions(t, s, words)
		if v := s.compare(t.Context(), s.plan, questions, lenient, strict); v.fault != "" {
			t.Errorf("%s\nfootprint\n%s%s", v.fault, text(s.footprint), source(h.sources))
		}
		live := varied(questions, lenient) || varied(questions, strict)
		if live != (len(s.footprint.Paths) > len(h.inexact)) && live != (len(s.footprint.Paths) > 0) {
			t.Errorf("the decision depends on the input: %t, with the footprint\n%s%s", live, text(s.footprint), source(h.sources))
		}
	})
}

func (h handWritten) questions(t *testing.T, s *specimen, words policies.Vocabulary) []question {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	questions := s.ask(t.Context(), inputs(r, words, s.plan, h.seeds, 100, 3, 3), lenient, strict)
	return append(questions, s.nearby(t.Context(), words, questions, lenient, strict)...)
}

// precision counts over the files what a footprint holds and could do without.
type precision struct {
	policies, exact, exactButParents atomic.Int64
	weaker, noticed, parents, said   atomic.Int64
}

// fewestPolicies is how many there are at least: of fewer, no part says much.
const fewestPolicies = 150

// TestWeakerFootprintsAreNoticed compares each policy again with less than its
// footprint, which must be noticed: it shows that the comparison can fail, and that the
// footprint has nothing to spare but what the file says.
func TestWeakerFootprintsAreNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("1,500 footprints")
	}
	var sum precision
	t.Run("each", func(t *testing.T) {
		eachHandWritten(t, func(t *testing.T, h handWritten) {
			t.Helper()
			h.weaken(t, &sum)
		})
	})
	t.Logf("of %d policies %d footprints are exact, %d but for parents' bits; of %d weaker footprints %d were noticed; of the others %d lack a parent's bit, %d what a file says is not needed",
		sum.policies.Load(), sum.exact.Load(), sum.exactButParents.Load(), sum.weaker.Load(), sum.noticed.Load(), sum.parents.Load(), sum.said.Load())
	if n := sum.policies.Load(); n < fewestPolicies {
		t.Errorf("%d policies, want at least %d", n, fewestPolicies)
	}
	if exact := sum.exactButParents.Load(); exact*10 < sum.policies.Load()*9 {
		t.Errorf("%d of %d footprints are exact, want nine of ten", exact, sum.policies.Load())
	}
}

func (h handWritten) weaken(t *testing.T, sum *precision) {
	t.Helper()
	s, words := h.specimen(t)
	if len(s.footprint.Nondeterministic) > 0 {
		return
	}
	spare, parents := h.spare(t, s, words, h.questions(t, s, words), sum)
	sum.policies.Add(1)
	if len(h.inexact) == 0 {
		sum.exactButParents.Add(1)
		if parents == 0 {
			sum.exact.Add(1)
		}
	}
	var said []string
	for _, e := range h.inexact {
		said = append(said, e.place)
	}
	slices.Sort(said)
	if diff := cmp.Diff(said, spare); diff != "" {
		t.Errorf("what the footprint could do without (-said in the file +found):\n%s%s%s", diff, text(s.footprint), source(h.sources))
	}
}

// spare finds the places with more than is needed: one level more, which is looked for,
// or more members than the file says are enough.
func (h handWritten) spare(t *testing.T, s *specimen, words policies.Vocabulary, questions []question, sum *precision) (spare []string, parents int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	notices := func(plan *Plan) bool { return s.notices(t.Context(), r, words, h.seeds, plan, questions) }
	for _, w := range s.footprint.weakenings() {
		name := fmt.Sprint(levelName(w.from), " ", w.place.ref())
		said := slices.IndexFunc(h.inexact, func(e excess) bool { return e.place == name })
		if said >= 0 && w.to == Nothing && len(h.inexact[said].enough) > 0 && !notices(s.footprint.with(w.place, h.inexact[said].enough)) {
			spare = append(spare, name)
		}
		sum.weaker.Add(1)
		switch {
		case w.parent && s.compare(t.Context(), w.plan(), questions, lenient, strict).fault == "":
			parents++
			sum.parents.Add(1)
		case notices(w.plan()):
			sum.noticed.Add(1)
		case said >= 0:
			sum.said.Add(1)
			fallthrough
		default:
			spare = append(spare, name)
		}
	}
	slices.Sort(spare)
	return slices.Compact(spare), parents
}
