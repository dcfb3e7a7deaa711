package loader_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

// Members are checked in Go because they come by the million; the role library
// checks them in Rego for stock OPA. Both find the same.
func TestMembersAsTheLibraryFindsThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data.json"), []byte(`{"rbac": {"tenants": {"@root": {}}}}`))
	base, err := loader.Open(t.Context(), loader.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := policy.NewEngine(policy.Config{Entries: -1, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	found := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		doc := drawWorld(rt)
		snapshot, err := base.Snapshot.WithData(t.Context(), map[string]any{"rbac": doc})
		if err != nil {
			rt.Fatal(err)
		}
		engine.Install(snapshot)
		v, err := engine.View().Eval(t.Context(), "rolegate/admin/member_validation", policy.Document{}, time.Time{})
		if err != nil {
			rt.Fatal(err)
		}
		var want []string
		list, err := ast.JSON(v)
		if err != nil {
			rt.Fatal(err)
		}
		for _, p := range list.([]any) {
			want = append(want, codeOf(p))
		}
		var got []string
		for _, f := range rbac.NewWorld(doc).Members(doc) {
			got = append(got, fmt.Sprintf("%s:%s at %s", f.Code, f.Subject, strings.Join(f.Path[1:], "/")))
			found[f.Code]++
		}
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			text, err := json.Marshal(doc)
			rt.Fatalf("the library and the loader differ (-Rego +Go):\n%s\n%s %v", diff, text, err)
		}
	})
	for _, code := range []string{rbac.CodeKind, rbac.CodeUnknownTenant, rbac.CodeUnknownRole, rbac.CodeNotVisible, rbac.CodeWindow} {
		if found[code] == 0 {
			t.Errorf("no world had a %s", code)
		}
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func codeOf(problem any) string {
	p, _ := problem.(map[string]any)
	path, _ := p["path"].([]any)
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = fmt.Sprint(name)
	}
	return fmt.Sprintf("%v:%v at %s", p["code"], p["subject"], strings.Join(names, "/"))
}

// drawWorld draws a document of the right shape, whose members may be wrong.
func drawWorld(t *rapid.T) map[string]any {
	nodes := []string{"@root", "acme", "acme.eu", "initech"}
	tenants := map[string]any{}
	for _, node := range nodes {
		if rapid.IntRange(0, 4).Draw(t, "registered") > 0 {
			tenants[node] = map[string]any{}
		}
	}
	names := []string{"viewer", "hidden", "acme.ops", "acme.eu.ops"}
	roles := map[string]any{}
	for _, name := range names {
		if rapid.IntRange(0, 4).Draw(t, "defined") == 0 {
			continue
		}
		role := map[string]any{"owner": rapid.SampledFrom(nodes).Draw(t, "owner"), "key": name}
		if v := rapid.SampledFrom([]string{"", "ALL", "NONE", "INCLUDE", "OWNER"}).Draw(t, "visibility"); v != "" {
			role["visibility"] = v
		}
		if rapid.Bool().Draw(t, "include") {
			role["include"] = map[string]any{rapid.SampledFrom(nodes).Draw(t, "included"): true}
		}
		roles[name] = role
	}
	members := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "nodes") {
		records := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "records") {
			records[rapid.SampledFrom([]string{"ann", "bob", "ci"}).Draw(t, "principal")] = drawRecord(t, names)
		}
		members[rapid.SampledFrom(append(nodes, "globex")).Draw(t, "node")] = records
	}
	return map[string]any{"tenants": tenants, "roles": roles, "members": members}
}

func drawRecord(t *rapid.T, roles []string) map[string]any {
	record := map[string]any{}
	if rapid.Bool().Draw(t, "kind") {
		record["kind"] = rapid.SampledFrom([]any{"user", "m2m", "api_key", "external", "robot", "", nil, json.Number("1")}).Draw(t, "word")
	}
	if rapid.IntRange(0, 4).Draw(t, "granted") == 0 {
		return record
	}
	grants := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "grants") {
		grants[rapid.SampledFrom(append(roles, "nobody")).Draw(t, "role")] = drawWindows(t)
	}
	record["grants"] = grants
	return record
}

func drawWindows(t *rapid.T) any {
	bound := rapid.SampledFrom([]any{
		json.Number("1"), json.Number("2"), json.Number("1767225600000"), json.Number("-5"), json.Number("2.5"), "1", nil, true,
	})
	windows := []any{}
	for range rapid.IntRange(0, 2).Draw(t, "windows") {
		window := []any{}
		for range rapid.SampledFrom([]int{2, 2, 2, 2, 1, 3, 0}).Draw(t, "bounds") {
			window = append(window, bound.Draw(t, "bound"))
		}
		windows = append(windows, window)
	}
	return rapid.SampledFrom([]any{windows, windows, windows, nil, map[string]any{}, "always"}).Draw(t, "list")
}
