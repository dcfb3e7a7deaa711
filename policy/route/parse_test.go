package route_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/policy/route"
)

func TestProblemCases(t *testing.T) {
	runCases(t, "testdata/problems/*.txtar", func(t *testing.T, parts map[string]string) string {
		t.Helper()
		table, problems := route.Parse(decode(t, parts["routes.json"]))
		if table != nil || len(problems) == 0 {
			t.Errorf("Parse: got table %v and %d problems, want no table and some", table, len(problems))
		}
		return explain(problems)
	})
}

func TestEmptyDocumentMatchesNothing(t *testing.T) {
	for _, doc := range []map[string]any{nil, {}} {
		table, problems := route.Parse(doc)
		if table == nil || problems != nil {
			t.Fatalf("Parse(%v): got %v, %v; want a table and no problems", doc, table, problems)
		}
		checkMatchesNothing(t, table)
	}
	checkMatchesNothing(t, nil)
	checkMatchesNothing(t, &route.Table{})
}

func checkMatchesNothing(t *testing.T, table *route.Table) {
	t.Helper()
	req := route.Request{Method: "GET", Host: "a.example.com", Segments: []string{"a", ""}}
	if got, want := table.Resolve(req), (route.Match{Error: route.NoRoute}); !cmp.Equal(got, want) {
		t.Errorf("Resolve: got %+v, want %+v", got, want)
	}
	if set, id, ok := table.Find(req); ok || set != "" || id != "" {
		t.Errorf("Find: got %q, %q, %v; want nothing", set, id, ok)
	}
	if table.Len() != 0 || table.Public() != nil || table.Incomplete() != nil || table.Nearest(req, 5) != nil {
		t.Errorf("an empty table has routes: %d, %q, %q", table.Len(), table.Public(), table.Incomplete())
	}
}

// Thousands of sets on one host, or with one prefix, are usual, and must load fast.
func TestManySetsDoNotOverlap(t *testing.T) {
	doc := map[string]any{}
	for i := range 5000 {
		doc[fmt.Sprintf("by-prefix-%d", i)] = map[string]any{
			"hosts": []any{"api.example.com"}, "prefixes": []any{fmt.Sprintf("/s%d/", i)}, "routes": []any{},
		}
		doc[fmt.Sprintf("by-host-%d", i)] = map[string]any{
			"hosts": []any{fmt.Sprintf("h%d.example.com", i)}, "prefixes": []any{"/"}, "routes": []any{},
		}
	}
	mustParse(t, doc)
}

func TestOverlapsAreBounded(t *testing.T) {
	doc := map[string]any{}
	for i := range 2000 {
		doc[fmt.Sprint(i)] = map[string]any{"prefixes": []any{"/"}, "routes": []any{}}
	}
	table, problems := route.Parse(doc)
	if table != nil || len(problems) != 100 {
		t.Errorf("got %d problems, want the first 100 of two million", len(problems))
	}
}

// Lists for people: what is public, what asks nothing, and what is near.
func TestLists(t *testing.T) {
	table := mustParse(t, decode(t, `{
	 "shop":{"hosts":["shop.example.com"],"prefixes":["/"],"routes":[
	  {"id":"health","methods":["GET"],"path":"/healthz","public":true},
	  {"id":"assets","methods":["GET","HEAD"],"path":"/assets/{file...}","public":true},
	  {"id":"orders","methods":["GET"],"path":"/v1/{tenant}/orders","tenant":"{tenant}","action":"list"},
	  {"id":"order","methods":["GET","DELETE"],"path":"/v1/{tenant}/orders/{order}","tenant":"{tenant}","action":"read"},
	  {"id":"admin","methods":["*"],"path":"/v1/{tenant}/admin/{rest...}","roles_any":["owner"]},
	  {"id":"forgotten","methods":["POST"],"path":"/v1/{tenant}/orders","resource":"orders","tenant":"{tenant}","roles_any":[]}]},
	 "files":{"hosts":["files.example.com"],"prefixes":["/"],"trailing_slash":"same","routes":[
	  {"id":"by id","methods":["GET"],"path":"/files/{file}"}]}}`))
	if got := table.Len(); got != 7 {
		t.Errorf("Len: got %d, want 7", got)
	}
	compareLists(t, "Public", table.Public(), "GET /healthz (shop:health)", "GET,HEAD /assets/{file...} (shop:assets)")
	compareLists(t, "Incomplete", table.Incomplete(), "GET /files/{file} (files:by id)", "POST /v1/{tenant}/orders (shop:forgotten)")

	for _, c := range []struct {
		request string
		want    []string
	}{
		{"PUT shop.example.com /v1/acme/orders", []string{
			"GET /v1/{tenant}/orders (shop:orders): other method",
			"POST /v1/{tenant}/orders (shop:forgotten): other method",
			"GET,DELETE /v1/{tenant}/orders/{order} (shop:order): other path and method",
		}},
		{"GET shop.example.com /v1/acme/oders/o-1", []string{
			"GET,DELETE /v1/{tenant}/orders/{order} (shop:order): other path",
			"GET /v1/{tenant}/orders (shop:orders): other path",
			"POST /v1/{tenant}/orders (shop:forgotten): other path and method",
		}},
		{"GET shop.example.com /v1/acme/orders/", []string{
			"GET /v1/{tenant}/orders (shop:orders): other path",
			"POST /v1/{tenant}/orders (shop:forgotten): other path and method",
			"GET,DELETE /v1/{tenant}/orders/{order} (shop:order): other path",
		}},
		{"GET shop.example.com /helthz", []string{"GET /healthz (shop:health): other path"}},
		{"GET shop.example.com /assets", []string{"GET,HEAD /assets/{file...} (shop:assets): other path"}},
		{"GET www.example.com /healthz", []string{"GET /healthz (shop:health): other host"}},
		{"DELETE shop.example.com /files/f/", []string{"GET /files/{file} (files:by id): other host and method"}},
		{"GET files.example.com /files", []string{"GET /files/{file} (files:by id): other path"}},
		{"GET .example.com /healthz", []string{"GET /healthz (shop:health): other host"}},
		{"GET shop.example.com /nothing/like/it", nil},
		{"GET shop.example.com /", nil},
	} {
		compareLists(t, "Nearest to "+c.request, table.Nearest(parseRequest(t, c.request), 3), c.want...)
	}
	if got := table.Nearest(parseRequest(t, "PUT shop.example.com /v1/acme/orders"), 1); len(got) != 1 {
		t.Errorf("Nearest of at most 1: got %q", got)
	}
	if got := table.Nearest(parseRequest(t, "PUT shop.example.com /v1/acme/orders"), -1); got != nil {
		t.Errorf("Nearest of at most -1: got %q", got)
	}
}

func compareLists(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got  %s\n want %s", what, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}

// An incomplete route says so, and nothing else: no policy may take half a route
// for a whole one. Find says which it was.
func TestIncompleteRouteHidesItself(t *testing.T) {
	table := mustParse(t, decode(t, `{"s":{"prefixes":["/"],"routes":[
	 {"id":"r","methods":["GET"],"path":"/{x}","public":true,"roles_any":["a"],"action":"read","tenant":"{claim.tenant}"}]}}`))
	req := parseRequest(t, "GET - /a")
	if got, want := table.Resolve(req), (route.Match{Error: route.Incomplete, Missing: "claim.tenant"}); !cmp.Equal(got, want) {
		t.Errorf("Resolve: got %+v, want %+v", got, want)
	}
	if set, id, ok := table.Find(req); set != "s" || id != "r" || !ok {
		t.Errorf("Find: got %q, %q, %v; want s, r, true", set, id, ok)
	}
}

// Callers promise canonical segments; one who breaks the promise gets no route
// that a shorter path would have.
func TestEmptyInnerSegmentIsNoTrailingSlash(t *testing.T) {
	table := mustParse(t, decode(t, `{"s":{"prefixes":["/"],"trailing_slash":"same","routes":[
	 {"id":"r","methods":["GET"],"path":"/a","public":true},{"id":"x","methods":["GET"],"path":"/a/{x}/c"}]}}`))
	for _, segments := range [][]string{{"a", "", "b"}, {"a", "", ""}, {"", "a"}, {"a", "", "c"}, {}} {
		if m := table.Resolve(route.Request{Method: "GET", Segments: segments}); m.Error != route.NoRoute {
			t.Errorf("segments %q: got %+v, want no route", segments, m)
		}
	}
}
