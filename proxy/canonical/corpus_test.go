package canonical_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/proxy/canonical"
)

// corpus reads the inputs of a testdata file: the Go string that each line
// begins with. Empty lines and comments have none.
func corpus(tb testing.TB, file string) (lines, inputs []string) {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	lines = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, line := range lines {
		if line == "" || line[0] == '#' {
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			tb.Fatalf("%s:%d: %v", file, i+1, err)
		}
		input, err := strconv.Unquote(quoted)
		if err != nil {
			tb.Fatalf("%s:%d: %v", file, i+1, err)
		}
		inputs = append(inputs, input)
	}
	return lines, inputs
}

// compareCorpus runs answer on each line of file and compares with what the line
// says after its input.
func compareCorpus(t *testing.T, file string, answer func(string) string) {
	t.Helper()
	lines, inputs := corpus(t, file)
	var b strings.Builder
	for _, line := range lines {
		if line == "" || line[0] == '#' {
			b.WriteString(line + "\n")
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%-28s => %s\n", quoted, answer(inputs[0]))
		inputs = inputs[1:]
	}
	if update() {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(lines, strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the right side of the corpora in testdata")
	m.Run()
}

func update() bool { return flag.Lookup("update").Value.String() == "true" }

// refusal is the reason and the offset of err, which must be an *Error that says little.
func refusal(tb testing.TB, part, input string, err error) string {
	tb.Helper()
	refused, ok := errors.AsType[*canonical.Error](err)
	if !ok {
		tb.Fatalf("%s %q: got error %T %v, want *canonical.Error", part, input, err, err)
	}
	if refused.Part != part || refused.Reason == "" {
		tb.Errorf("%s %q: got %+v, want part %q and a reason", part, input, refused, part)
	}
	if refused.Offset < 0 || refused.Offset > len(input) {
		tb.Errorf("%s %q: offset %d is outside of the input", part, input, refused.Offset)
	}
	want := fmt.Sprintf("%s refused: %s at byte %d", part, refused.Reason, refused.Offset)
	if err.Error() != want {
		tb.Errorf("%s %q: error text %q, want %q and nothing of the input", part, input, err, want)
	}
	return fmt.Sprintf("%s at %d", refused.Reason, refused.Offset)
}

func quoteAll(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, " ")
}

func TestPathCorpus(t *testing.T) {
	compareCorpus(t, "testdata/paths.txt", func(raw string) string {
		target, err := canonical.Path(raw)
		if err != nil {
			return refusal(t, "path", raw, err)
		}
		answer := quoteAll(target.Segments)
		if path, _, _ := strings.Cut(raw, "?"); path != target.String() {
			answer += "  " + target.String()
		}
		if target.RawQuery != "" {
			answer += " ? " + target.RawQuery
		}
		return answer
	})
}

func TestHostCorpus(t *testing.T) {
	compareCorpus(t, "testdata/hosts.txt", func(raw string) string {
		host, err := canonical.Host(raw)
		if err != nil {
			return refusal(t, "host", raw, err)
		}
		return strconv.Quote(host)
	})
}

// One upper-case letter anywhere is enough: two names of one host never differ.
func TestHostHasNoUpperCaseLetter(t *testing.T) {
	for c := byte('A'); c <= 'Z'; c++ {
		raw := "api." + string(c) + ".example"
		want := strings.ToLower(raw)
		if got, err := canonical.Host(raw); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestQueryCorpus(t *testing.T) {
	compareCorpus(t, "testdata/queries.txt", func(raw string) string {
		values, err := canonical.Query(raw)
		if err != nil {
			return refusal(t, "query", raw, err)
		}
		var list []string
		for _, v := range values {
			list = append(list, fmt.Sprintf("%q=%q", v.Name, v.Value))
		}
		if list == nil {
			return "none"
		}
		return strings.Join(list, " ")
	})
}

func TestMethodCorpus(t *testing.T) {
	compareCorpus(t, "testdata/methods.txt", func(raw string) string {
		if err := canonical.Method(raw); err != nil {
			return refusal(t, "method", raw, err)
		}
		return "ok"
	})
}

func TestParameterSentTwiceIsNotFound(t *testing.T) {
	values, err := canonical.Query("kind=shop&k%69nd=admin&one=1&empty")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		found      bool
	}{{"kind", "", false}, {"one", "1", true}, {"empty", "", true}, {"absent", "", false}, {"One", "", false}} {
		if got, found := values.Get(c.name); got != c.want || found != c.found {
			t.Errorf("Get(%q) = %q, %v; want %q, %v", c.name, got, found, c.want, c.found)
		}
	}
}

func TestZeroTargetHasNoForm(t *testing.T) {
	if got := (canonical.Target{}).String(); got != "" {
		t.Errorf("zero Target: got %q, want nothing", got)
	}
}

// TestMethodBytes: a method is made of the characters of a token (RFC 9110) and no others.
func TestMethodBytes(t *testing.T) {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for i := range 256 {
		method := string([]byte{byte(i)})
		if err := canonical.Method(method); (err == nil) != strings.Contains(token, method) {
			t.Errorf("Method(%q): got error %v, want one unless it is in %q", method, err, token)
		}
	}
}

// TestPathCostsLittle: who reads targets one after the other in one room allocates
// nothing for those that are in canonical form, and others pay for their segments once.
func TestPathCostsLittle(t *testing.T) {
	const raw = "/v1/acme/documents/d-17?limit=10"
	room := []string{"of", "the", "request", "before", "this"}
	target, err := canonical.PathInto(room, raw)
	if diff := cmp.Diff([]string{"v1", "acme", "documents", "d-17"}, target.Segments); diff != "" || err != nil {
		t.Errorf("PathInto(%q), error %v (-want +got):\n%s", raw, err, diff)
	}
	if &target.Segments[0] != &room[0] {
		t.Error("PathInto leaves the room that it was given")
	}
	for name, c := range map[string]struct {
		want float64
		do   func()
	}{
		"a room":         {0, func() { _, _ = canonical.PathInto(room, raw) }},
		"none":           {1, func() { _, _ = canonical.Path(raw) }},
		"canonical form": {0, func() { _ = target.String() }},
	} {
		if got := testing.AllocsPerRun(100, c.do); got != c.want {
			t.Errorf("%s: %v allocations, want %v", name, got, c.want)
		}
	}
}
