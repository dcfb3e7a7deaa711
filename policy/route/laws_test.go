package route_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy/route"
)

// The alphabet is small, so that random routes meet, and every request over it can
// be tried.

func hostsOfLaw() []string {
	return []string{"a.x", "b.x", "c.b.x", "x", "y", "[::1]", ""}
}

func methodsOfLaw() []string { return []string{"GET", "HEAD", "POST"} }

// requestsOfLaw are all requests of up to three segments.
func requestsOfLaw() []route.Request {
	var paths [][]string
	level := [][]string{nil}
	for range 3 {
		var next [][]string
		for _, path := range level {
			for _, segment := range []string{"a", "b", "bb"} {
				next = append(next, append(slices.Clone(path), segment))
			}
		}
		paths = append(paths, next...)
		level = next
	}
	for _, path := range append([][]string{nil}, paths...) {
		paths = append(paths, append(slices.Clone(path), ""))
	}
	var requests []route.Request
	for _, host := range hostsOfLaw() {
		for _, method := range methodsOfLaw() {
			for _, path := range paths {
				requests = append(requests, route.Request{Method: method, Host: host, Segments: path})
			}
		}
	}
	return requests
}

func drawDocument(t *rapid.T) map[string]any {
	doc := map[string]any{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"s1", "s2", "s3"}), 1, 3, rapid.ID).Draw(t, "sets") {
		doc[name] = drawSet(t, name)
	}
	// As JSON decodes it.
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

func drawSet(t *rapid.T, name string) map[string]any {
	set := map[string]any{}
	prefixes := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"/", "/a", "/a/", "/b", "/b/a", "/bb/"}), 1, 2, rapid.ID).Draw(t, name)
	set["prefixes"] = prefixes
	if hosts := drawHosts(t, name); hosts != nil {
		set["hosts"] = hosts
	}
	if mode := rapid.SampledFrom([]string{"", "own", "same"}).Draw(t, name); mode != "" {
		set["trailing_slash"] = mode
	}
	var routes []map[string]any
	for i := range rapid.IntRange(0, 5).Draw(t, name) {
		r := map[string]any{
			"id":      "r" + strconv.Itoa(i),
			"path":    drawPath(t, rapid.SampledFrom(prefixes).Draw(t, "prefix")),
			"methods": rapid.SampledFrom([][]string{{"*"}, {"GET"}, {"HEAD"}, {"POST"}, {"GET", "POST"}, {"GET", "HEAD"}}).Draw(t, "methods"),
		}
		if rapid.IntRange(0, 3).Draw(t, "own hosts") == 0 {
			if hosts := drawHosts(t, name); hosts != nil {
				r["hosts"] = hosts
			}
		}
		routes = append(routes, r)
	}
	set["routes"] = append([]map[string]any{}, routes...)
	return set
}

func drawHosts(t *rapid.T, name string) []string {
	return rapid.SampledFrom([][]string{nil, nil, {"a.x"}, {"b.x"}, {"*.x"}, {"*.b.x"}, {"*.x", "x"}, {"a.x", "y"}, {"[::1]"}, {"*.b.x", "*.x"}}).Draw(t, name)
}

// drawPath is a path that usually begins with prefix.
func drawPath(t *rapid.T, prefix string) string {
	path := prefix
	if rapid.IntRange(0, 9).Draw(t, "outside") == 0 {
		path = "/"
	}
	for i := range rapid.IntRange(0, 3-strings.Count(strings.TrimSuffix(path, "/"), "/")).Draw(t, "depth") {
		if !strings.HasSuffix(path, "/") {
			path += "/"
		}
		segment := rapid.SampledFrom([]string{"a", "b", "bb", "{x%d}", "{y%d}", "{z%d...}"}).Draw(t, "segment")
		path += strings.ReplaceAll(segment, "%d", strconv.Itoa(i))
		if strings.HasSuffix(path, "...}") {
			return path
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "slash") == 0 && !strings.HasSuffix(path, "/") {
		path += "/"
	}
	return path
}

// Parse refuses exactly the documents that the definitions refuse; of the others
// Resolve gives the one most specific route, for every request.
func TestTableAgreesWithItsDescription(t *testing.T) {
	requests := requestsOfLaw()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t)
		table, problems := route.Parse(doc)

		got := map[string]map[string]bool{}
		for _, p := range problems {
			if got[p.Code] == nil {
				got[p.Code] = map[string]bool{}
			}
			if got[p.Code][p.Subject] && p.Code != route.CodeOutsideSet {
				t.Errorf("%s:%s is reported twice", p.Code, p.Subject)
			}
			got[p.Code][p.Subject] = true
		}
		want := map[string]map[string]bool{}
		overlapsOf(doc, want)
		outsidersOf(doc, want)
		rivalsOf(doc, requests, want)
		nameEachRivalOnce(want, got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("problems (-want +got):\n%s\nof %s", diff, format(t, doc))
		}

		if (table == nil) != (len(problems) > 0) {
			t.Fatalf("table %v with %d problems", table, len(problems))
		}
		if table == nil {
			takeOut(doc, problems)
			table = mustParse(t, doc)
		}
		for _, req := range requests {
			if want, got := reference(doc, req), table.Resolve(req); !reflect.DeepEqual(want, got) {
				t.Fatalf("%s %q %q (-want +got):\n%s\nof %s", req.Method, req.Host, req.Segments, cmp.Diff(want, got), format(t, doc))
			}
		}
	})
}

// takeOut removes the sets and routes that problems blame.
func takeOut(doc map[string]any, problems []route.Problem) {
	blamed := map[string]map[int]bool{}
	for _, p := range problems {
		set := p.Path[0]
		if p.Code == route.CodeSetOverlap {
			delete(doc, set)
			continue
		}
		if blamed[set] == nil {
			blamed[set] = map[int]bool{}
		}
		i, _ := strconv.Atoi(p.Path[2])
		blamed[set][i] = true
	}
	for name, value := range doc {
		set := value.(map[string]any)
		kept := []any{}
		for i, r := range set["routes"].([]any) {
			if !blamed[name][i] {
				kept = append(kept, r)
			}
		}
		set["routes"] = kept
	}
}

type fatal interface{ Fatal(args ...any) }

func format(t fatal, doc map[string]any) string {
	text, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func add(to map[string]map[string]bool, code, subject string) {
	if to[code] == nil {
		to[code] = map[string]bool{}
	}
	to[code][subject] = true
}

// overlapsOf finds sets that overlap: one host can match both, and a prefix of one
// begins with a prefix of the other.
func overlapsOf(doc map[string]any, to map[string]map[string]bool) {
	names := slices.Sorted(maps.Keys(doc))
	for i, first := range names {
		for _, second := range names[i+1:] {
			a, b := doc[first].(map[string]any), doc[second].(map[string]any)
			sameHost := slices.ContainsFunc(hostsOfLaw(), func(host string) bool {
				_, ok1 := rankHost(texts(a["hosts"]), host)
				_, ok2 := rankHost(texts(b["hosts"]), host)
				return ok1 && ok2
			})
			samePrefix := slices.ContainsFunc(texts(a["prefixes"]), func(p string) bool {
				return slices.ContainsFunc(texts(b["prefixes"]), func(q string) bool {
					return strings.HasPrefix(p, q) || strings.HasPrefix(q, p)
				})
			})
			if sameHost && samePrefix {
				add(to, route.CodeSetOverlap, first+":"+second)
			}
		}
	}
}

// outsidersOf finds routes whose path or hosts are not their set's.
func outsidersOf(doc map[string]any, to map[string]map[string]bool) {
	for name, value := range doc {
		set := value.(map[string]any)
		for _, item := range set["routes"].([]any) {
			r := item.(map[string]any)
			path := r["path"].(string)
			if set["trailing_slash"] == "same" {
				path += "/"
			}
			inside := slices.ContainsFunc(texts(set["prefixes"]), func(prefix string) bool {
				return strings.HasPrefix(r["path"].(string), prefix) || path == prefix
			})
			for _, host := range hostsOfLaw() {
				_, takes := rankHost(texts(r["hosts"]), host)
				_, owns := rankHost(texts(set["hosts"]), host)
				if r["hosts"] != nil && takes && !owns {
					inside = false
				}
			}
			if !inside {
				add(to, route.CodeOutsideSet, name+":"+r["id"].(string))
			}
		}
	}
}

// rivalsOf finds routes of one set that some request takes both, with equal rank.
func rivalsOf(doc map[string]any, requests []route.Request, to map[string]map[string]bool) {
	for _, req := range requests {
		list := candidates(doc, req)
		for i, first := range list {
			for _, second := range list[i+1:] {
				if first.set == second.set && slices.Equal(first.rank, second.rank) {
					add(to, route.CodeAmbiguous, first.set+":"+first.id+":"+second.id)
				}
			}
		}
	}
}

// nameEachRivalOnce takes the pairs out of want that Parse may leave out: of many
// routes of one rank it names each with the first, not with each other.
func nameEachRivalOnce(want, got map[string]map[string]bool) {
	named := map[string]bool{}
	for subject := range got[route.CodeAmbiguous] {
		parts := strings.Split(subject, ":")
		named[parts[0]+":"+parts[1]], named[parts[0]+":"+parts[2]] = true, true
	}
	for subject := range want[route.CodeAmbiguous] {
		parts := strings.Split(subject, ":")
		if !got[route.CodeAmbiguous][subject] && named[parts[0]+":"+parts[1]] && named[parts[0]+":"+parts[2]] {
			delete(want[route.CodeAmbiguous], subject)
		}
	}
}

// The order of sets and routes in the document is not part of its meaning.
func TestOrderOfRoutesDoesNotMatter(t *testing.T) {
	requests := requestsOfLaw()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t)
		table, problems := route.Parse(doc)
		reversed := map[string]any{}
		for name, value := range doc {
			set := maps.Clone(value.(map[string]any))
			routes := slices.Clone(set["routes"].([]any))
			slices.Reverse(routes)
			set["routes"] = routes
			reversed[name] = set
		}
		other, otherProblems := route.Parse(reversed)
		if len(problems) == 0 != (len(otherProblems) == 0) {
			t.Fatalf("%d problems, reversed %d, of %s", len(problems), len(otherProblems), format(t, doc))
		}
		if table == nil {
			return
		}
		req := rapid.SampledFrom(requests).Draw(t, "request")
		if diff := cmp.Diff(table.Resolve(req), other.Resolve(req)); diff != "" {
			t.Fatalf("%s %q %q (-as written +reversed):\n%s", req.Method, req.Host, req.Segments, diff)
		}
	})
}

// Nearest never lists what it cannot explain, and lists a route that is taken first.
func TestNearestToWhatIsTakenIsTheRoute(t *testing.T) {
	requests := requestsOfLaw()
	rapid.Check(t, func(t *rapid.T) {
		table, _ := route.Parse(drawDocument(t))
		req := rapid.SampledFrom(requests).Draw(t, "request")
		set, id, taken := table.Find(req)
		list := table.Nearest(req, 100)
		exact := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !strings.HasSuffix(s, ")") })
		if taken && !slices.ContainsFunc(exact, func(s string) bool { return strings.HasSuffix(s, "("+set+":"+id+")") }) {
			t.Fatalf("%s %q %q takes %s:%s, nearest are %q", req.Method, req.Host, req.Segments, set, id, list)
		}
		if !taken && len(exact) > 0 {
			t.Fatalf("%s %q %q takes no route, and %q are said to differ in nothing", req.Method, req.Host, req.Segments, exact)
		}
	})
}

// An escaped value is one well-formed segment, and nothing is lost.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"acme", "a.b", "a%2Eb", "@root", "*", "$self", " \t", "é\u00a0\u2028\u0085", "\xff\xfe", "\ufffd", "a\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		escaped := route.Escape(value)
		if want := escapeSlowly(value, false); escaped != want {
			t.Errorf("Escape(%q) = %q, want %q", value, escaped, want)
		}
		if value != "" && !isNode(escaped) || strings.Contains(escaped, ".") {
			t.Errorf("Escape(%q) = %q, which is not one segment", value, escaped)
		}
		if back, err := url.PathUnescape(escaped); back != value || err != nil {
			t.Errorf("Escape(%q) = %q, and that unescaped %q, %v", value, escaped, back, err)
		}
	})
}

// isNode is N1: @root, or non-empty segments without what a key cannot hold.
func isNode(path string) bool {
	return path == "@root" || regexp.MustCompile(`^[^.$@*]+(\.[^.$@*]+)*$`).MatchString(path) &&
		!strings.ContainsFunc(path, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// Whatever a request holds: Resolve does not panic, agrees with the reference, and
// tenant and place are well-formed, or the whole of one claim was not.
func FuzzResolve(f *testing.F) {
	doc := decode(f, `{
	 "own":{"prefixes":["/a/","/b"],"routes":[
	  {"id":"one","methods":["GET","POST"],"path":"/a/{x}/{y}","tenant":"{x}","at":".p.{y}-{x}.{host}","owner":"{subject.id}","resource":"{query.q}","action":"a-{header.h}"},
	  {"id":"rest","methods":["*"],"path":"/a/{x}/{r...}","tenant":"t.{x}","at":"abs.{r}.{x}"},
	  {"id":"ext","methods":["GET"],"path":"/b/{x}","tenant":"{ext.t}","at":".{claim.d}"},
	  {"id":"claim","methods":["*"],"path":"/b/c","tenant":"{claim.t}","at":".d","owner":"{claim.o}{ext.o}"}]},
	 "same":{"hosts":["same.test","*.same.test"],"trailing_slash":"same","prefixes":["/s/"],"routes":[
	  {"id":"root","methods":["GET"],"path":"/s/","tenant":"@root","at":".{host}"},
	  {"id":"rest","methods":["GET"],"path":"/s/{r...}","tenant":"{r}","at":".x"},
	  {"id":"c","hosts":["c.same.test"],"methods":["HEAD"],"path":"/s/{c}","tenant":"c-{claim.t}","at":".{r1}.{c}"}]}}`)
	// A placeholder that is not there: the table must be refused, so use none.
	sameRoutes := doc["same"].(map[string]any)["routes"].([]any)
	sameRoutes[2].(map[string]any)["at"] = ".{c}"
	table := mustParse(f, doc)

	f.Add("GET", "a.test", "/a/x/y", "q", "h", "t", "d", "ann", "acme")
	f.Add("POST", "a.test", "/a/x.y/@root", "", "h", "t", "d", "ann", "acme")
	f.Add("HEAD", "", "/a/x/y/z/", "q", "h", "t", "d", "", "@root")
	f.Add("GET", "b", "/b/x", "q", "h", "a.b", "*", "ann", "")
	f.Add("GET", "b", "/b/c", "q", "h", "a..b", "$self", "ann", "acme.eu")
	f.Add("GET", "same.test", "/s", "q", "h", "t", "d", "ann", "acme")
	f.Add("GET", "x.same.test", "/s/a/b/", "q", "h", "t", "d", "ann", "acme")
	f.Add("HEAD", "c.same.test", "/s/\xff", "q", "h", "\u2028", "d", "ann", "acme")
	f.Add("GET", ".same.test", "//", "q", "h", "t", "d", "ann", "acme")
	f.Fuzz(func(t *testing.T, method, host, path, query, header, tenant, dept, subject, alias string) {
		// What the canonical path promises: only the last segment may be empty.
		segments := slices.DeleteFunc(strings.Split(strings.Trim(path, "/"), "/"), func(s string) bool { return s == "" })
		if strings.HasSuffix(path, "/") || len(segments) == 0 {
			segments = append(segments, "")
		}
		one := func(value string) func(string) (string, bool) {
			return func(string) (string, bool) { return value, value != "" }
		}
		req := route.Request{
			Method: method, Host: host, Segments: segments, Query: one(query), Header: one(header),
			Claim: lookup(map[string]string{"t": tenant, "d": dept, "o": dept}), Extension: lookup(map[string]string{"t": tenant, "o": tenant}),
			SubjectID: subject,
		}
		if alias != "" {
			req.Alias = one(alias)
		}
		match := table.Resolve(req)
		if diff := cmp.Diff(reference(doc, req), match); diff != "" {
			t.Fatalf("%s %q %q (-want +got):\n%s", method, host, segments, diff)
		}
		dotted := match.ID == "ext" || match.ID == "claim"
		if match.Tenant != "" && !dotted && !isNode(match.Tenant) {
			t.Errorf("%s %q %q: tenant %q is not well-formed", method, host, segments, match.Tenant)
		}
		relative := match.ID != "rest" || match.Set == "same"
		if match.Path != "" && !isNode(match.Path) && (!relative || alias == "" && !dotted) {
			t.Errorf("%s %q %q: place %q is not well-formed", method, host, segments, match.Path)
		}
		table.Nearest(req, 3)
		// Segments that break the promise must not break more than the answer.
		req.Segments = strings.Split(path, "/")
		table.Resolve(req)
		req.Segments = nil
		table.Resolve(req)
	})
}

// Whatever a document holds: Parse does not panic, gives a table or problems, and
// each problem says where, in order.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/resolve/*.txtar", "testdata/problems/*.txtar"} {
		for _, text := range seeds(f, pattern) {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var doc map[string]any
		if json.Unmarshal([]byte(text), &doc) != nil {
			return
		}
		table, problems := route.Parse(doc)
		if (table == nil) != (len(problems) > 0) {
			t.Fatalf("table %v with %d problems", table, len(problems))
		}
		for _, p := range problems {
			if p.Code == "" || p.Message == "" || len(p.Path) == 0 {
				t.Errorf("a problem that does not say enough: %+v", p)
			}
			if !exists(doc, p.Path) {
				t.Errorf("problem %+v is nowhere in the document", p)
			}
		}
		if again, problemsAgain := route.Parse(doc); (again == nil) != (table == nil) || !cmp.Equal(problems, problemsAgain) {
			t.Errorf("Parse answers differently the second time: %s", cmp.Diff(problems, problemsAgain))
		}
		table.Resolve(route.Request{Method: "GET", Host: "a.example.com", Segments: []string{"a", ""}})
		if n := len(table.Public()) + len(table.Incomplete()); n > table.Len() {
			t.Errorf("%d public and incomplete routes of %d", n, table.Len())
		}
	})
}

// exists says whether a path leads to a value of the document.
func exists(value any, path []string) bool {
	for _, key := range path {
		switch v := value.(type) {
		case map[string]any:
			next, found := v[key]
			if !found {
				return false
			}
			value = next
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				return false
			}
			value = v[i]
		default:
			return false
		}
	}
	return true
}

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		table := mustParse(b, bigDocument(n))
		last := n/10 - 1
		req := route.Request{
			Method: "GET", Host: "api.example.com", Segments: []string{"v1", "service-" + strconv.Itoa(last), "acme", "documents", "d-17"},
		}
		if m := table.Resolve(req); m.Path != "acme.documents" {
			b.Fatalf("got %+v", m)
		}
		for _, params := range []bool{true, false} {
			b.Run(fmt.Sprintf("routes=%d/params=%v", n, params), func(b *testing.B) {
				req.WithoutParams = !params
				b.ReportAllocs()
				for b.Loop() {
					if table.Resolve(req).Error != "" {
						b.Fatal("no match")
					}
				}
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 10000} {
		doc := bigDocument(n)
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := route.Parse(doc); problems != nil {
					b.Fatal(problems)
				}
			}
		})
	}
}

// bigDocument has n routes: sets of ten on one host, one for each service.
func bigDocument(n int) map[string]any {
	doc := map[string]any{}
	for i := range n / 10 {
		var routes []any
		for _, name := range []string{"documents", "folders", "users", "orders", "reports"} {
			base := fmt.Sprintf("/v1/service-%d/{tenant}/%s", i, name)
			routes = append(routes,
				map[string]any{"id": name + ".list", "methods": []any{"GET"}, "path": base, "resource": name, "action": "list", "tenant": "{tenant}", "at": "." + name},
				map[string]any{"id": name + ".read", "methods": []any{"GET"}, "path": base + "/{id}", "resource": name, "action": "read", "tenant": "{tenant}", "at": "." + name})
		}
		doc[fmt.Sprintf("service-%d", i)] = map[string]any{
			"hosts": []any{"api.example.com"}, "prefixes": []any{fmt.Sprintf("/v1/service-%d/", i)}, "routes": routes,
		}
	}
	return doc
}

// The hot path allocates the place that it joins, and the parameters if somebody
// can read them.
func TestResolveAllocatesOnlyWhatItMakes(t *testing.T) {
	table := mustParse(t, bigDocument(100))
	public := mustParse(t, decode(t, `{"s":{"prefixes":["/"],"routes":[{"id":"r","methods":["GET"],"path":"/{x}","tenant":"{x}","action":"{x}"}]}}`))
	for _, c := range []struct {
		what  string
		table *route.Table
		req   route.Request
		want  float64
	}{
		{"a place below the tenant", table, route.Request{Method: "GET", Segments: []string{"v1", "service-3", "acme", "users", "u"}, WithoutParams: true, Host: "api.example.com"}, 1},
		{"values that are there already", public, route.Request{Method: "GET", Segments: []string{"acme"}, WithoutParams: true}, 0},
		{"no route", public, route.Request{Method: "PUT", Segments: []string{"acme"}}, 0},
	} {
		got := testing.AllocsPerRun(100, func() { c.table.Resolve(c.req) })
		if got != c.want {
			t.Errorf("%s: got %v allocations, want %v", c.what, got, c.want)
		}
	}
}
