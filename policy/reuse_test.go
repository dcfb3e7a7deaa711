package policy

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestWhoseAnswersAreRemembered: what reads more than input, data and the clock is not; what
// reads the clock outside the role library is, if every rule that does promises a bound. A
// line that ends in "# here" is the reason that is told.
func TestWhoseAnswersAreRemembered(t *testing.T) {
	const promise = "# METADATA\n# custom:\n#   bounded: true\n"
	for name, c := range map[string]struct {
		authz string
		label string
		clock bool
	}{
		"no clock":                     {"deny contains \"x\" if input.subject.id == \"bob\"", "", false},
		"the clock":                    {"deny contains \"x\" if time.now_ns() > 5 # here", BypassClock, true},
		"the clock, promised":          {promise + "deny contains \"x\" if time.now_ns() > 5", "", true},
		"the clock, after other reads": {"deny contains \"x\" if {\n\tinput.subject.id == data.names[input.subject.type]\n\ttime.now_ns() > 5\n} # rule begins above", BypassClock, true},
		"in a comprehension":           {"deny contains \"x\" if count([t | t := time.now_ns(); t > input.subject.id]) > 0 # here", BypassClock, true},
		"in a place of a reference":    {"deny contains \"x\" if data.names[format_int(time.now_ns(), 10)] # here", BypassClock, true},
		"the clock, beside another rule": {
			"known contains n if some n in data.names\n\ndeny contains \"x\" if {\n\tinput.subject.id in known\n\ttime.now_ns() > 5\n}", BypassClock, true,
		},
		"the library's clock":          {"deny contains \"x\" if data.rolegate.now > 5 # here", BypassClock, true},
		"no promise: it is false":      {"# METADATA\n# custom:\n#   bounded: false\ndeny contains \"x\" if data.rolegate.now > 5 # here", BypassClock, true},
		"no promise: it is no boolean": {"# METADATA\n# custom:\n#   bounded: \"true\"\ndeny contains \"x\" if data.rolegate.now > 5 # here", BypassClock, true},
		"no promise: it is another":    {"# METADATA\n# custom:\n#   other: true\ndeny contains \"x\" if data.rolegate.now > 5 # here", BypassClock, true},
		"the promise of a document": {
			"# METADATA\n# scope: document\n# custom:\n#   bounded: true\ndeny contains \"x\" if data.rolegate.now > 5\n\ndeny contains \"y\" if time.now_ns() > 6", "", true,
		},
		"a promise of one rule of two": {promise + "deny contains \"x\" if data.rolegate.now > 5\n\ndeny contains \"y\" if data.rolegate.now > 6 # here", BypassClock, true},
		"who asks who promised": {
			promise + "late if data.rolegate.now > 5\n\n" + promise + "first if late\n\ndeny contains \"x\" if first # here", BypassClock, true,
		},
		"two who ask one who promised, one of them promises": {
			promise + "late if data.rolegate.now > 5\n\n" + promise + "a if late\n\n" + promise + "deny contains \"x\" if a\n\ndeny contains \"y\" if late # here", BypassClock, true,
		},
		"all promise": {
			promise + "late if data.rolegate.now > 5\n\n" + promise + "deny contains \"x\" if late\n\n" + promise + "deny contains \"y\" if late", "", true,
		},
		"innocent rules beside one who promised": {
			promise + "deny contains \"x\" if data.rolegate.now > 5\n\nknown := {n | some n in data.names}\n\ndeny contains \"y\" if input.subject.id in known\n\ndeny contains \"z\" if not input.subject.type in known", "", true,
		},
		"what the library makes of its clock": {
			"deny contains \"x\" if data.rolegate.open", "", true,
		},
		"a function of the clock": {"late(t) if time.now_ns() > t # here\n\n" + promise + "deny contains \"x\" if late(5)", BypassClock, true},
		"a call of no function":   {"deny contains \"x\" if http.send({\"method\": \"get\", \"url\": input.subject.id}).status_code > 5 # here", BypassNondeterministic, false},
		"both": {
			promise + "deny contains \"x\" if time.now_ns() > 5\n\ndeny contains \"y\" if http.send({\"method\": \"get\", \"url\": input.subject.id}).status_code > 5 # here", BypassNondeterministic, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := "package authz\n\n" + c.authz
			parsed := map[string]*ast.Module{}
			for file, src := range map[string]string{"authz.rego": text, "library.rego": extended + "\n\nnow := time.now_ns() / 1000000\n\nopen if now > 5"} {
				parsed[file] = ast.MustParseModuleWithOpts(src, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
			}
			s, err := Compile(t.Context(), Source{Modules: parsed, Builtins: []string{"http.send"}})
			if err != nil {
				t.Fatal(err)
			}
			_, reuse, err := s.Footprint(t.Context(), DefaultEntrypoint)
			if err != nil {
				t.Fatal(err)
			}
			if reuse.Label != c.label || (reuse.Bypass == "") != (c.label == "") || reuse.Clock != c.clock {
				t.Errorf("got %+v, want label %q, clock %t\n%s", reuse, c.label, c.clock, text)
			}
			for i, line := range strings.Split(text, "\n") {
				if strings.HasSuffix(line, "# here") && (reuse.At == nil || reuse.At.Row != i+1) {
					t.Errorf("told at %v, want line %d\n%s", reuse.At, i+1, text)
				}
			}
			e := newEngine(t, Config{})
			e.Install(s)
			if got := e.View().Bypass(); got != c.label {
				t.Errorf("the engine says %q, want %q", got, c.label)
			}
		})
	}
}
