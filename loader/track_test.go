package loader

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The clock of these tests is far behind that of the files, so that no file is
// taken for one that has just changed; looked at is what lies on a real disk.
func start() time.Time { return time.Now().Add(-time.Hour) }

const good = `{"revision": "1", "roots": ["one"]}`

func folder(t *testing.T) (dir string, b *tracked) {
	t.Helper()
	dir = t.TempDir()
	put(t, dir, ".manifest", good)
	put(t, dir, "one/data.json", `{"x": 1}`)
	return dir, &tracked{location: location{name: "one", path: dir}}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lookAt looks some time after the start, and holds the answer against what is expected.
func lookAt(t *testing.T, b *tracked, began time.Time, after, wantDue time.Duration) {
	t.Helper()
	due := b.look(t.Context(), Config{}.withDefaults(), began.Add(after))
	got := time.Duration(0)
	if !due.IsZero() {
		got = due.Sub(began)
	}
	if got != wantDue {
		t.Errorf("after %v the next look is at %v, want %v", after, got, wantDue)
	}
}

const ms = time.Millisecond

func TestAFolderIsReadWhenQuiet(t *testing.T) {
	t.Parallel()
	dir, b := folder(t)
	t0 := start()
	lookAt(t, b, t0, 0, 50*ms)
	lookAt(t, b, t0, 30*ms, 50*ms)
	put(t, dir, "one/data.json", `{"x": 12}`)
	lookAt(t, b, t0, 49*ms, 99*ms)
	if b.next != nil || b.settled() {
		t.Fatalf("it was read before it was quiet: %+v", b)
	}
	lookAt(t, b, t0, 99*ms, 0)
	if b.next == nil || !b.settled() || b.next.revision != "1" {
		t.Fatalf("it was not read when it was quiet: %+v", b)
	}
	lookAt(t, b, t0, time.Hour, 0)
}

func TestAFolderThatIsNeverQuietIsReadAfterASecond(t *testing.T) {
	t.Parallel()
	dir, b := folder(t)
	t0 := start()
	text := `{"x": 1`
	for at := 0 * ms; at < 960*ms; at += 40 * ms {
		text += "0"
		put(t, dir, "one/data.json", text+"}")
		lookAt(t, b, t0, at, min(at+50*ms, time.Second))
	}
	put(t, dir, "one/data.json", text+"9}")
	lookAt(t, b, t0, time.Second, 0)
	if b.next == nil {
		t.Errorf("it was not read: %+v", b)
	}
}

func TestAFaultInAFolderIsToldAtOnceAndForgotten(t *testing.T) {
	t.Parallel()
	dir, b := folder(t)
	t0 := start()
	put(t, dir, "one/data.json", `{"x": `)
	lookAt(t, b, t0, 0, 50*ms)
	lookAt(t, b, t0, 50*ms, 0)
	if len(b.faults) != 1 || b.next != nil || !b.changed {
		t.Fatalf("got %+v, want one fault", b)
	}
	put(t, dir, "one/data.json", `{"x": 2}`)
	lookAt(t, b, t0, 100*ms, 150*ms)
	lookAt(t, b, t0, 150*ms, 0)
	if len(b.faults) != 0 || b.next == nil {
		t.Fatalf("got %+v, want no fault", b)
	}
}

// What stat does not tell is found when everything is read again.
func TestAChangeThatStatDoesNotTell(t *testing.T) {
	t.Parallel()
	dir, b := folder(t)
	t0 := start()
	lookAt(t, b, t0, 0, 50*ms)
	lookAt(t, b, t0, 50*ms, 0)
	b.install(t0)
	put(t, dir, "one/data.json", `{"x": 2}`)
	tree, err := scan(t.Context(), b.location, Config{}.Limits)
	if err != nil {
		t.Fatal(err)
	}
	b.seen, b.read = tree.stat, tree.stat // as if the system had said that nothing changed
	lookAt(t, b, t0, time.Second, 0)
	if b.next != nil {
		t.Fatal("the test shows nothing: the change was seen")
	}
	b.rereadAt = t0.Add(2 * time.Second)
	lookAt(t, b, t0, 2*time.Second, 0)
	if b.next == nil {
		t.Error("the change was not found")
	}
}

// A file that changed within the last tick of its clock may change again unseen.
func TestWhatIsYoungIsReadAgain(t *testing.T) {
	t.Parallel()
	dir, b := folder(t)
	b.packed, b.path = true, filepath.Join(dir, "one.tar.gz")
	put(t, dir, "one.tar.gz", "no archive")
	tree, err := scan(t.Context(), b.location, Config{}.Limits)
	if err != nil {
		t.Fatal(err)
	}
	now := tree.changed.Add(5 * ms)
	b.torn = tree.stat // so that it is settled, if with faults
	if due := b.look(t.Context(), Config{}.withDefaults(), now); !due.IsZero() || len(b.faults) != 1 {
		t.Errorf("due %v, %+v", due, b)
	}
	b.packed, b.path, b.read = false, dir, fingerprint{}
	cfg := Config{Settle: 1}.withDefaults()
	tree, err = scan(t.Context(), b.location, cfg.Limits)
	if err != nil {
		t.Fatal(err)
	}
	b.look(t.Context(), cfg, tree.changed.Add(5*ms))
	if due := b.look(t.Context(), cfg, tree.changed.Add(6*ms)); !due.Equal(tree.changed.Add(clockTick)) {
		t.Errorf("a folder that changed 6 ms ago is read %v after its change, want after %v", due.Sub(tree.changed), clockTick)
	}
}

func TestATornArchiveIsTriedAgainBeforeItIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "one.tar.gz")
	b := &tracked{location: location{name: "one.tar.gz", prefix: "one.tar.gz/", path: path, packed: true}}
	t0 := start()
	put(t, dir, "one.tar.gz", "half")
	lookAt(t, b, t0, 0, 50*ms)
	lookAt(t, b, t0, 20*ms, 50*ms)
	if len(b.faults) > 0 {
		t.Fatalf("told too early: %v", b.faults)
	}
	put(t, dir, "one.tar.gz", "half and more")
	lookAt(t, b, t0, 40*ms, 50*ms) // it grew: the pause stays
	lookAt(t, b, t0, 50*ms, 150*ms)
	lookAt(t, b, t0, 150*ms, 0) // the same as before: it is as its writer meant it
	if len(b.faults) != 1 || b.faults[0].Code != codeArchive || b.faults[0].File != "one.tar.gz" {
		t.Fatalf("got %v, want it told", b.faults)
	}
	// Another one in its place is tried at once.
	put(t, dir, "next", "half again")
	lookAt(t, b, t0, 200*ms, 0)
	if err := os.Rename(filepath.Join(dir, "next"), path); err != nil {
		t.Fatal(err)
	}
	lookAt(t, b, t0, 201*ms, 251*ms)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	b.vanish(t0.Add(210 * ms))
	if b.settled() || !b.gone || !b.changed {
		t.Errorf("gone: %+v", b)
	}
}

func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]kind{
		".manifest": kindManifest, "a/.manifest": kindManifest, "x.manifest": kindOther, ".manifest.pb": kindRefused,
		"data.json": kindData, "a/b/data.yaml": kindData, "a/data.yml": kindData, "a/other.json": kindOther, "mydata.json": kindOther,
		"a.rego": kindRego, "a_test.rego": kindTest, "a/b/_test.rego": kindTest, "a.rego.bak": kindOther, ".a.rego": kindOther,
		"cases.json": kindCases, "a/my_cases.yml": kindCases, "cases/x.yaml": kindCases, "a/cases/x.json": kindCases, "cases/data.json": kindData,
		"cases/a.txt": kindOther, ".hidden/cases.json": kindOther, "a/cases/b/x.json": kindOther,
		"patch.json": kindRefused, ".git/data.json": kindOther, "a/..data/data.json": kindOther, "policy.wasm": kindOther,
	} {
		if got := kindOf(name); got != want {
			t.Errorf("kindOf(%q): got %d, want %d", name, got, want)
		}
	}
}
