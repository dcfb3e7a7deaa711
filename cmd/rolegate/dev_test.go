package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startDemo runs the demo on free ports; it has ended when the test has.
func startDemo(t *testing.T, dir string) (*demoRun, *output) {
	t.Helper()
	out := &output{}
	p := &program{name: "rolegate", stdout: out, stderr: out, now: time.Now}
	cfg := defaultConfig()
	cfg.Loader.Dir, cfg.GRPC.Addr, cfg.Admin.Addr = dir, "127.0.0.1:0", "127.0.0.1:0"
	cfg.GRPC.DrainWait = 0
	d, err := p.newDemo(t.Context(), cfg.patient(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.server.run(t.Context()) }()
	t.Cleanup(func() { // t.Context ended just before
		if err := <-ended; err != nil {
			t.Errorf("got %v at the end of the demo, want none", err)
		}
		d.server.close()
	})
	until(t, "the requests to paste", func() bool { return strings.Contains(out.String(), "/healthz") })
	return d, out
}

// pasted is a line of the demo's output, taken apart as a shell would.
func pasted(line string) (person, method, url string, status int, ok bool) {
	m := regexp.MustCompile(`^curl -i(?: -X (\w+))?(?: -H "Authorization: Bearer \$\(rolegate dev token --dir (\S+) (\S+)\)")? (http://\S+) +# → (\d+) `).
		FindStringSubmatch(strings.TrimSpace(line))
	if m == nil {
		return "", "", "", 0, false
	}
	status, _ = strconv.Atoi(m[5])
	if m[1] == "" {
		m[1] = http.MethodGet
	}
	return m[3], m[1], m[4], status, true
}

// Each line that the demo prints gives the status that it says.
func TestDemoLines(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	_, out := startDemo(t, dir)
	count := 0
	for line := range strings.Lines(out.String()) {
		person, method, url, want, ok := pasted(line)
		if !ok {
			continue
		}
		count++
		token := ""
		if person != "" {
			var stdout, stderr output
			args := []string{"rolegate", "dev", "token", "--dir", dir, person}
			if code := run(t.Context(), args, &program{stdout: &stdout, stderr: &stderr, now: time.Now}); code != 0 {
				t.Fatalf("got exit code %d of %q: %s", code, args, stderr.String())
			}
			token = strings.TrimSpace(stdout.String())
		}
		if got, body := fetch(t, method, url, token); got != want {
			t.Errorf("got %d, want %d, of %s\n%s", got, want, line, body)
		}
	}
	if want := len(tries()); count != want {
		t.Errorf("got %d lines to paste, want %d, in:\n%s", count, want, out)
	}
}

// replace edits a file of the demo as an editor does that never shows half of one.
func replace(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(text), from, to, 1)
	if edited == string(text) {
		t.Fatalf("%s does not hold %s", file, from)
	}
	beside := filepath.Join(t.TempDir(), "edited")
	if err := os.WriteFile(beside, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, file); err != nil {
		t.Fatal(err)
	}
}

// A save is told in one line and decides; a broken one is told in one line and does
// not.
func TestDemoReloads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo-bundle")
	d, out := startDemo(t, dir)
	token, err := demoFolder{dir}.token("ann", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	vault := d.proxy.url() + "/v1/acme/vault/k1"
	if status, body := fetch(t, http.MethodDelete, vault, token); status != http.StatusForbidden {
		t.Fatalf("got %d %s, want 403: ann is frozen", status, body)
	}

	told := len(out.String())
	since := func() []string {
		return slices.Collect(strings.Lines(out.String()[told:]))
	}
	replace(t, filepath.Join(dir, "rbac", "members", "acme", "data.json"), `, "acme.frozen": []`, ``)
	until(t, "a line about the save", func() bool { return len(since()) > 0 })
	if status, body := fetch(t, http.MethodDelete, vault, token); status != http.StatusOK {
		t.Errorf("got %d %s, want 200: ann is not frozen any more", status, body)
	}
	want := regexp.MustCompile(`^↻ \d\d:\d\d:\d\d rbac/members changed: 1 member of 1 tenant → generation 2 in [\d.]+ ms\n$`)
	if got := since(); len(got) != 1 || !want.MatchString(got[0]) {
		t.Errorf("got %q, want one line like %s", got, want)
	}

	told = len(out.String())
	replace(t, filepath.Join(dir, "rbac", "roles", "data.json"), `"visibility": "NONE"`, `"visibilty": "NONE"`)
	until(t, "a line about what is wrong", func() bool { return len(since()) > 0 })
	want = regexp.MustCompile(`^✗ \d\d:\d\d:\d\d rbac/roles/data\.json:\d+:\d+: bad_shape: unknown key "visibilty" \(did you mean "visibility"\?\) — still deciding with generation 2\n$`)
	if got := since(); len(got) != 1 || !want.MatchString(got[0]) {
		t.Errorf("got %q, want one line like %s", got, want)
	}
	if status, body := fetch(t, http.MethodDelete, vault, token); status != http.StatusOK {
		t.Errorf("got %d %s, want 200: the last good bundle decides", status, body)
	}
}

// The demo's folder is written whole and once, and its secret is its owner's.
func TestDemoFolder(t *testing.T) {
	d := demoDir(t)
	info, err := os.Stat(d.keyFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want the key with mode 0600", info, err)
	}
	before, err := os.ReadFile(d.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	if wrote, err := d.prepare(); wrote || err != nil {
		t.Errorf("got %v, %v of a second time, want nothing written", wrote, err)
	}
	after, err := os.ReadFile(d.keyFile())
	if err != nil || !bytes.Equal(after, before) {
		t.Errorf("got another key the second time (%v)", err)
	}
	left, err := os.ReadDir(filepath.Dir(d.dir))
	if err != nil || len(left) != 1 {
		t.Errorf("got %v beside the folder, %v, want nothing", left, err)
	}
}

// The bundle that ships warns of nothing, and its people are in it.
func TestDemoBundle(t *testing.T) {
	d := demoDir(t)
	var out output
	p := &program{stdout: &out, stderr: &out, now: time.Now}
	engine, err := p.open(t.Context(), d.dir, "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	if out.String() != "" {
		t.Errorf("got warnings, want none:\n%s", &out)
	}
	names := newNames(engine.View())
	if got := len(names.object("roles")); got != 8 {
		t.Errorf("got %d roles, want 8", got)
	}
	people, err := d.people()
	if err != nil {
		t.Fatal(err)
	}
	var strangers []string
	for name := range people {
		if names.subject(name) != nil {
			strangers = append(strangers, name)
		}
	}
	if !slices.Equal(strangers, []string{"eve"}) { // she is known by her token alone
		t.Errorf("got people without a record %v, want eve alone", strangers)
	}
}
