package loader_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/loader"
)

// roles is a bundle that owns data below its own root.
func flat(root, text string) files {
	return files{".manifest": `{"revision": "` + root + `-1", "roots": ["` + root + `"]}`, root + "/data.json": text}
}

func (fs files) below(name string) files {
	moved := files{}
	for file, text := range fs {
		moved[name+"/"+file] = text
	}
	return moved
}

func (r *running) stays(t *testing.T, generation uint64) {
	t.Helper()
	if s := r.Status(); s.Generation != generation {
		t.Errorf("generation %d decides, want %d; the status is %+v", s.Generation, generation, s)
	}
}

// A missing bundle may hold the denies: until every one that is there is good,
// nothing decides.
func TestColdStartWaitsForAll(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bundles")
	r := run(t, loader.Config{Dir: dir})
	if e := r.event(t, "word that the folder is missing", refused); e.Err == nil {
		t.Errorf("got %+v, want an error", e)
	}
	must(t, os.Mkdir(dir, 0o755))
	e := r.event(t, "word that it is empty", refused)
	if got := e.Problems.Error(); got != "empty_bundle: there is no bundle in "+dir {
		t.Errorf("got %s", got)
	}
	flat("two", `{"a": `).below("two").arrive(t, dir) // first, for one that is good would not wait for it
	flat("one", `{}`).below("one").arrive(t, dir)
	r.event(t, "word of the fault", func(e loader.Event) bool {
		return strings.Contains(e.Problems.Error(), "two/two/data.json:1:7: bad_json")
	})
	r.until(t, "both there, and not ready", func(s loader.Status) bool {
		return !s.Ready && s.Generation == 0 && s.Degraded && len(s.Bundles) == 2
	})
	flat("two", `{"a": 1}`).below("two").renew(t, dir)
	e = r.event(t, "a first set", installed)
	if diff := cmp.Diff([]string{"one is new", "two is new"}, e.Changed); diff != "" || e.Generation != 1 {
		t.Errorf("got %+v", e)
	}
	r.until(t, "ready", func(s loader.Status) bool { return s.Ready && !s.Degraded && s.Error == "" })
}

// What is good does not begin without what is not, however often it changes.
func TestColdStartRemembersWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flat("one", `{"x": `).below("one").write(t, dir)
	flat("two", `{"x": 1}`).below("two").write(t, dir)
	r := run(t, loader.Config{Dir: dir})
	r.event(t, "a refusal", refused)
	flat("two", `{"x": 2}`).below("two").write(t, dir)
	flat("three", `{"x": [}`).below("three").write(t, dir)
	e := r.event(t, "a refusal of both", func(e loader.Event) bool { return len(e.Problems) == 2 })
	r.stays(t, 0)
	if e.Generation != 0 || e.Installed {
		t.Errorf("got %+v", e)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "three")))
	flat("one", `{"x": 1}`).below("one").write(t, dir)
	r.event(t, "a first set", installed)
}

// Bundles that are at odds from the start decide nothing, not even one of them.
func TestColdStartWithAConflict(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flat("one", `{}`).below("one").write(t, dir)
	flat("one", `{}`).below("two").write(t, dir)
	r := run(t, loader.Config{Dir: dir})
	e := r.event(t, "a conflict", refused)
	if want := `two/.manifest:1:33: roots_overlap: the root "one" overlaps the root "one" of the bundle "one"`; e.Problems.Error() != want {
		t.Errorf("got %s, want %s", e.Problems.Error(), want)
	}
	r.stays(t, 0)
	must(t, os.RemoveAll(filepath.Join(dir, "one")))
	r.event(t, "the other one alone", installed)
}

// What is gone from the disk goes on deciding, however much of it is gone.
func TestWhatVanishesStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		flat(name, `{"x": 1}`).below(name).write(t, dir)
	}
	replace(t, filepath.Join(dir, "three.tar.gz"), flat("three", `{"x": 1}`).pack(t))
	r := run(t, loader.Config{Dir: dir})
	r.event(t, "a first set", installed)
	leave(t, filepath.Join(dir, "one"))
	leave(t, filepath.Join(dir, "three.tar.gz"))
	r.until(t, "two bundles gone", func(s loader.Status) bool {
		return s.Degraded && s.Bundles[0].Gone && s.Bundles[1].Gone && !s.Bundles[2].Gone
	})
	flat("two", `{"x": 2}`).below("two").renew(t, dir)
	r.event(t, "a change beside them", installed)
	r.until(t, "three bundles deciding", func(s loader.Status) bool {
		return len(s.Bundles) == 3 && s.Bundles[0].Digest != "" && s.Bundles[1].Digest != ""
	})
	for s := range drained(r.installed) {
		if len(s.Data()) < 3 {
			t.Errorf("a snapshot was installed without what vanished: %v", s.Data())
		}
	}
	leave(t, dir)
	r.event(t, "word that everything is gone", refused)
	r.stays(t, 2)
	back := filepath.Join(t.TempDir(), "back")
	flat("one", `{"x": 3}`).below("one").write(t, back)
	flat("two", `{"x": 2}`).below("two").write(t, back)
	must(t, os.Rename(back, dir))
	r.event(t, "the one that is back, changed", installed)
	r.stays(t, 3)
	if n := r.logs.FilterMessageSnippet("gone from the disk").Len(); n < 2 || n > 4 {
		t.Errorf("%d lines of what vanished, want one for each bundle", n)
	}
}

func drained[T any](c chan T) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for len(c) > 0 {
			if !yield(<-c) {
				return
			}
		}
	}
}

// One broken bundle holds back itself, not what came at the same time; and a
// conflict holds back the one that changed.
func TestOnlyWhatIsWrongIsHeldBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"a", "b", "c", "d", "e"}
	for _, name := range names {
		flat(name, `{"x": 1}`).below(name).write(t, dir)
	}
	r := run(t, loader.Config{Dir: dir})
	r.event(t, "a first set", installed)
	replace(t, filepath.Join(dir, "b", "b", "data.json"), []byte(`{"x": `)) // first: none of the good ones is b's
	for _, name := range []string{"a", "c", "d", "e"} {
		flat(name, `{"x": 2}`).below(name).renew(t, dir)
	}
	write(t, filepath.Join(dir, "d", ".manifest"), []byte(`{"roots": ["d", "a/x"]}`))
	write(t, filepath.Join(dir, "e", "e", "rule.rego"), []byte("package e\n\nx if true\n"))
	r.until(t, "a and c new, b, d and e old", func(s loader.Status) bool {
		held := func(i int) bool { return len(s.Bundles[i].Problems) == 1 }
		return s.Generation > 1 && !held(0) && held(1) && !held(2) && held(3) && held(4)
	})
	var last map[string]any
	for s := range drained(r.installed) {
		last = s.Data()
	}
	if got, want := last["a"], last["b"]; cmp.Equal(got, want) {
		t.Errorf("a is %v as b is: want it to be newer", got)
	}
	// What was held back is tried again when the others change.
	flat("a", `{"x": 3}`).below("a").write(t, dir)
	write(t, filepath.Join(dir, "d", ".manifest"), []byte(`{"roots": ["d"]}`))
	write(t, filepath.Join(dir, "e", "e", "data.json"), []byte(`{}`))
	write(t, filepath.Join(dir, "b", "b", "data.json"), []byte(`{"x": 2}`))
	r.until(t, "nothing amiss", func(s loader.Status) bool { return !s.Degraded })
}

// A root that moves from one bundle to another needs both of them: neither goes
// without the other, and a group says so even when a third one is at fault.
func TestAGroupMovesTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files{
		"from/.manifest": `{"roots": ["from", "x"], "metadata": {"group": "g"}}`, "from/x/data.json": `{"n": 1}`,
		"to/.manifest": `{"roots": ["to"], "metadata": {"group": "g"}}`, "to/to/data.json": `{"n": 1}`,
		"third/.manifest": `{"roots": ["third"]}`, "third/third/data.json": `{"n": 1}`,
	}.write(t, dir)
	r := run(t, loader.Config{Dir: dir})
	r.event(t, "a first set", installed)
	// First the taker alone: a conflict. Then a third one that clashes whatever happens.
	files{"to/.manifest": `{"roots": ["to", "x"], "metadata": {"group": "g"}}`, "to/x/data.json": `{"n": 2}`}.write(t, dir)
	r.event(t, "the taker held back", refused)
	files{"third/.manifest": `{"roots": ["third", "to"]}`}.write(t, dir)
	r.event(t, "the third one held back", refused)
	must(t, os.RemoveAll(filepath.Join(dir, "from", "x")))
	files{"from/.manifest": `{"roots": ["from"], "metadata": {"group": "g"}}`, "from/from/data.json": `{"n": 2}`}.write(t, dir)
	r.event(t, "the move", installed)
	r.until(t, "only the third one amiss", func(s loader.Status) bool {
		return len(s.Bundles[0].Problems) == 0 && len(s.Bundles[1].Problems) == 1 && len(s.Bundles[2].Problems) == 0
	})
}

// Equal content is no new generation, however often it is written; and what is
// wrong is told once, however often it is looked at.
func TestSaysEverythingOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flat("one", `{"x": 1}`).below("one").write(t, dir)
	flat("two", `{"x": 1}`).below("two").write(t, dir)
	r := run(t, loader.Config{Dir: dir, Resync: 10 * time.Millisecond, Settle: 10 * time.Millisecond})
	r.event(t, "a first set", installed)
	replace(t, filepath.Join(dir, "two", "two", "data.json"), []byte(`{"x": `))
	r.event(t, "a refusal", refused)
	for range 5 {
		flat("one", `{"x": 1}`).below("one").renew(t, dir)
		pause(20 * time.Millisecond)
	}
	flat("one", `{"x": 2}`).below("one").renew(t, dir)
	r.event(t, "a change", installed)
	r.stays(t, 2)
	if n := r.logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 1 {
		t.Errorf("%d lines of errors, want 1: %v", n, r.logs.All())
	}
}

// A directory with Rego, data or a manifest at its top is one bundle, and an
// archive is one by itself.
func TestWhatABundleIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := flat("one", `{"x": 1}`)
	one.write(t, filepath.Join(dir, "single"))
	replace(t, filepath.Join(dir, "x.tar.gz"), one.pack(t))
	files{"one/data.yaml": "x: 1", "policy_test.rego": "package one_test"}.write(t, filepath.Join(dir, "bare"))
	files{
		"data.json": `{"one": {}}`, "README.md": "x", "docs/policy.wasm": "x", ".git/data.json": "{", "docs/.hidden/x.rego": "{",
		"one/two/data.yml": "x: 1", "sub.tar.gz": "not looked at",
	}.write(t, filepath.Join(dir, "top"))
	for _, c := range []struct {
		path string
		want []string
	}{
		{"single", []string{"single"}},
		{"x.tar.gz", []string{"x.tar.gz"}},
		{"bare", []string{"bare"}},
		{"top", []string{"top"}},
	} {
		set, err := loader.Open(t.Context(), loader.Config{Dir: filepath.Join(dir, c.path)})
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		var names []string
		for _, b := range set.Bundles {
			names = append(names, b.Name)
		}
		if diff := cmp.Diff(c.want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
	}
}

// Tests of a policy are read, and are no part of what decides.
func TestTestsAreApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good(t).write(t, dir)
	set, err := loader.Open(t.Context(), loader.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if set.Tests["authz/authz/deny_test.rego"] == nil || len(set.Tests) != 1 {
		t.Errorf("the tests are %v", set.Tests)
	}
	if set.Modules["authz/authz/deny.rego"] == nil || len(set.Modules) != 1 {
		t.Errorf("the modules are %v", set.Modules)
	}
	if set.Snapshot.Compiler().Modules["authz/authz/deny_test.rego"] != nil {
		t.Error("a test was compiled into what decides")
	}
	if diff := cmp.Diff(map[string]string{"authz": "1", "members": "m1", "roles": "r1", "routes": "1"}, set.Snapshot.Revisions()); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
}

// A reload is told in the words of who saved the file.
func TestChangesInWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := good(t)
	set.write(t, dir)
	r := run(t, loader.Config{Dir: dir})
	r.event(t, "a first set", installed)
	for _, c := range []struct {
		name, from, to string
		want           []string
	}{
		{"roles/rbac/roles/data.json", `{"write": {".": true}}`, `{"write": {".": true, "acme.x": true}, "read": {".": true}}`, []string{"rbac/roles changed: 1 role, 2 statements"}},
		{"roles/rbac/roles/data.json", `"level": 1`, `"level": 2`, []string{"rbac/roles changed: 1 role"}},
		{"roles/rbac/tenants/data.json", `"initech": {}`, `"initech": {}, "initech.eu": {"base_roles": ["viewer"]}`, []string{"rbac/tenants changed: 1 tenant"}},
		{"roles/rbac/catalog/data.json", `"write": {}`, `"write": {"name": "Write"}, "list": {}`, []string{"rbac/catalog changed: 2 permissions"}},
		{"members/rbac/members/acme/data.json", `"bob"`, `"eve"`, []string{"rbac/members changed: 2 members of 1 tenant"}},
		{"routes/routes/documents/data.yaml", `GET`, `GET, HEAD`, []string{"routes/documents changed"}},
		{"authz/authz/deny.rego", `suspended"`, `gone"`, []string{"authz/authz/deny.rego changed"}},
		{"authz/authz/deny_test.rego", `{}`, `{"x": 1}`, []string{"authz/authz/deny_test.rego changed"}},
		{"authz/authz/allow.rego", ``, "package authz\n", []string{"authz/authz/allow.rego added"}},
	} {
		changed := strings.Replace(set[c.name], c.from, c.to, 1)
		if changed == set[c.name] {
			t.Fatalf("%s has no %s", c.name, c.from)
		}
		set[c.name] = changed
		replace(t, filepath.Join(dir, c.name), []byte(changed))
		e := r.event(t, strings.Join(c.want, ", "), func(loader.Event) bool { return true })
		if diff := cmp.Diff(c.want, e.Changed); diff != "" || !e.Installed {
			t.Errorf("%s: %q to %q (-want +got):\n%s\n%s", c.name, c.from, c.to, diff, e.Problems.Error())
		}
	}
	must(t, os.Remove(filepath.Join(dir, "authz", "authz", "allow.rego")))
	if e := r.event(t, "a removal", installed); !slices.Equal(e.Changed, []string{"authz/authz/allow.rego removed"}) {
		t.Errorf("got %q", e.Changed)
	}
}

// Folders may hold links, and no more than a bundle may hold otherwise.
func TestFoldersAreHeldToTheSameRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		make   func(t *testing.T, dir string)
		limits func(*loader.Config)
		want   string
	}{
		{"a link in a circle", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Symlink("..", filepath.Join(dir, "one", "up")))
		}, nil, "one/up leads back into itself"},
		{"a link to itself", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
		}, nil, "loop: too many links"},
		{"a link to nothing", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Symlink("nowhere", filepath.Join(dir, "deny.rego")))
		}, nil, "no such file"},
		{"a name that systems read differently", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Mkdir(dir+`/a\b`, 0o755))
			write(t, dir+`/a\b/data.json`, []byte("{}"))
		}, nil, "is not a name that every system reads alike"},
		{"a folder instead of a file", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.MkdirAll(filepath.Join(dir, "one", "two", "data.json", "data.json"), 0o755))
		}, nil, ""},
		{"too many files", func(*testing.T, string) {}, func(c *loader.Config) { c.Limits.Entries = 2 }, "more than 2 entries"},
		{"too many bytes", func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "one", "data.json"), []byte(`{"x": "`+strings.Repeat("x", 1000)+`"}`))
		}, func(c *loader.Config) { c.Limits.Bytes = 500 }, "it is larger than 500 bytes (at one/data.json)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			flat("one", `{"x": 1}`).write(t, dir)
			c.make(t, dir)
			cfg := loader.Config{Dir: dir}
			if c.limits != nil {
				c.limits(&cfg)
			}
			_, err := loader.Open(t.Context(), cfg)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	metrics, err := loader.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	flat("one", `{"x": 1}`).below("one").write(t, dir)
	r := run(t, loader.Config{Dir: dir, Metrics: metrics})
	r.event(t, "a first set", installed)
	flat("one", `{"x": `).below("one").renew(t, dir)
	r.event(t, "a refusal", refused)
	flat("one", `{"x": 2}`).below("one").renew(t, dir)
	flat("one", `{"x": 2}`).below("two").arrive(t, dir)
	r.event(t, "a conflict", func(e loader.Event) bool { return refused(e) && strings.Contains(e.Problems.Error(), "overlap") })
	r.until(t, "generation 2", func(s loader.Status) bool { return s.Generation == 2 && s.Degraded })
	got := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch {
			case strings.HasSuffix(name, "timestamp_seconds"):
				got[name] = float64(time.Unix(int64(m.GetGauge().GetValue()), 0).Compare(time.Now().Add(-time.Minute)))
			case m.GetHistogram() != nil:
				got[name] = float64(m.GetHistogram().GetSampleCount())
			default:
				got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{
		"rolegate_bundle_loads_total ok": 2, "rolegate_bundle_loads_total invalid": 1, "rolegate_bundle_loads_total conflict": 1,
		"rolegate_bundle_load_duration_seconds":          2,
		"rolegate_bundle_last_success_timestamp_seconds": 1, "rolegate_bundle_last_attempt_timestamp_seconds": 1,
		"rolegate_bundle_info one one-1": 1, "rolegate_bundle_generation": 2, "rolegate_bundle_watching": 1, "rolegate_bundle_degraded": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// An entry point without an answer to an unforeseen input is refused, unless the
// policy is read as OPA reads it.
func TestSmoke(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "policy.rego"), []byte("package mine\n\nallow if input.subject.id == \"ann\"\n"))
	cfg := loader.Config{Dir: dir, Entrypoint: "mine/allow"}
	_, err := loader.Open(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "the entry point mine/allow has no answer to an empty input") {
		t.Errorf("got %v", err)
	}
	cfg.Lenient = true
	if _, err := loader.Open(t.Context(), cfg); err != nil {
		t.Errorf("lenient: %v", err)
	}
	write(t, filepath.Join(dir, "policy.rego"), []byte("package mine\n\ndefault allow := false\n\nallow if input.subject.id == \"ann\"\n"))
	cfg.Lenient = false
	if _, err := loader.Open(t.Context(), cfg); err != nil {
		t.Errorf("with a default: %v", err)
	}
}

// A file is found again by the name that problems have for it, packed or not.
func TestText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := flat("one", `{"x": 1}`)
	one.below("one").write(t, dir)
	replace(t, filepath.Join(dir, "two.tar.gz"), one.pack(t))
	for _, c := range []struct{ dir, file string }{
		{dir, "one/one/data.json"},
		{dir, "two.tar.gz/one/data.json"},
		{filepath.Join(dir, "one"), "one/data.json"},
		{filepath.Join(dir, "two.tar.gz"), "one/data.json"},
	} {
		if got, err := loader.Text(c.dir, c.file); err != nil || string(got) != `{"x": 1}` {
			t.Errorf("Text(%s, %s): got %q, %v", c.dir, c.file, got, err)
		}
	}
	if got, err := loader.Text(dir, "three/data.json"); err == nil {
		t.Errorf("got %q, want an error", got)
	}
}
