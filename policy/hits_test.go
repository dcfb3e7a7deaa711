package policy_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
)

const (
	users    = 10_000
	warmups  = 150_000 // requests before the count begins
	requests = 10_000  // that are counted
	// skew is the exponent of Zipf's law for how often each user asks.
	skew = 1.1
	// wantHits is the least part of requests that is answered from memory.
	wantHits = 0.95
)

// TestUniqueHeadersDoNotLowerTheHitRatio asks policies as people write them for Envoy
// about users who come and come again, each request with ids, traces, ports and times of
// its own.
func TestUniqueHeadersDoNotLowerTheHitRatio(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "hits", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			never := strings.Contains(string(archive), "\n-- never --\n")
			ratio, allowed := hitRatio(t, string(archive))
			t.Logf("%.1f %% of %d requests were answered from memory, %.1f %% were allowed", 100*ratio, requests, 100*allowed)
			if allowed == 0 || allowed == 1 {
				t.Errorf("%.0f %% of the requests are allowed: the policy decides nothing", 100*allowed)
			}
			if never && ratio > 0.01 || !never && ratio < wantHits {
				t.Errorf("%.1f %% hits, want at least %.0f %% (never: %t)", 100*ratio, 100*wantHits, never)
			}
		})
	}
}

// hitRatio answers which part of the requests was answered from memory once the memory
// is warm, and which part was allowed.
func hitRatio(t *testing.T, archive string) (hits, allowed float64) {
	t.Helper()
	src, s, e := engineFor(t, archive)
	e.Install(s)
	view := e.View()
	load := newLoad()
	decide := func(c call) policy.Decision {
		d, err := view.Decide(t.Context(), src.Entrypoint, load.request(c), time.UnixMilli(1))
		if err != nil {
			t.Fatalf("decide: %v", err)
		}
		if d.Origin != policy.OriginHit {
			view.Settle()
		}
		return d
	}
	seen := map[call]bool{}
	for range warmups {
		if c := load.next(); !seen[c] { // who asks again is answered from memory, or nothing is
			seen[c] = true
			decide(c)
		}
	}
	before := e.Stats()
	yes := 0
	for range requests {
		if decide(load.next()).Effect == policy.Allow {
			yes++
		}
	}
	after := e.Stats()
	if after.Audits == 0 || after.Mismatches > 0 {
		t.Errorf("%d decisions were checked on the whole input and %d differed", after.Audits, after.Mismatches)
	}
	return float64(after.Hits-before.Hits) / requests, float64(yes) / requests
}

// engineFor is an engine for a policy and the users who ask it.
func engineFor(tb testing.TB, archive string) (policy.Source, *policy.Snapshot, *policy.Engine) {
	tb.Helper()
	src := policytest.Source(tb, archive)
	src.Data["users"] = people()
	src.Data["permissions"] = map[string]any{
		"reader": []any{map[string]any{"method": "GET", "path": "api/*"}},
		"writer": []any{map[string]any{"method": "POST", "path": "api/*"}},
	}
	s, err := policy.Compile(tb.Context(), src)
	if err != nil {
		tb.Fatalf("compile: %v", err)
	}
	e, err := policy.NewEngine(policy.Config{Timeout: time.Minute, AuditEvery: 50})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	return src, s, e
}

// BenchmarkHitRatio tells how many requests are answered from memory, when the bundle
// stays and when a small change of it begins a new generation with an empty memory after
// so many requests: at as many requests a second, one change a second.
func BenchmarkHitRatio(b *testing.B) {
	for _, name := range []string{"basic-roles", "token-claims"} {
		archive, err := os.ReadFile(filepath.Join("testdata", "hits", name+".txtar"))
		if err != nil {
			b.Fatal(err)
		}
		for _, each := range []int{0, 20_000, 2_000} {
			b.Run(fmt.Sprintf("policy=%s/requests-per-change=%d", name, each), func(b *testing.B) {
				src, s, e := engineFor(b, string(archive))
				e.Install(s)
				load, n := newLoad(), 0
				ask := func() {
					n++
					if each > 0 && n%each == 0 {
						e.Install(s)
					}
					if _, err := e.View().Decide(b.Context(), src.Entrypoint, load.request(load.next()), time.UnixMilli(1)); err != nil {
						b.Fatal(err)
					}
				}
				for range requests {
					ask()
				}
				before := e.Stats().Hits
				for b.Loop() {
					ask()
				}
				b.ReportMetric(float64(e.Stats().Hits-before)/float64(b.N), "hits/op")
			})
		}
	}
}

// people are users with roles, actions and tenants.
func people() map[string]any {
	all := map[string]any{}
	for i := range users {
		person := map[string]any{"roles": []any{"reader"}, "actions": []any{"read"}, "tenants": []any{"acme"}}
		switch i % 4 {
		case 1:
			person["roles"], person["actions"] = []any{"reader", "writer"}, []any{"read", "write"}
		case 2:
			person["tenants"] = []any{"globex"}
		case 3:
			person["roles"] = []any{}
		}
		all[fmt.Sprintf("user-%d", i)] = person
	}
	return all
}

// call is what is the same when somebody asks again.
type call struct {
	user, endpoint int
}

// load draws calls. Each user has one endpoint that most of the user's calls go to.
type load struct {
	r    *rand.Rand
	zipf *rand.Zipf
	n    int
}

const endpoints = 6

func newLoad() *load {
	r := rand.New(rand.NewPCG(1, 2))
	return &load{r: r, zipf: rand.NewZipf(r, skew, 1, users-1)}
}

func (l *load) next() call {
	c := call{user: int(l.zipf.Uint64())}
	c.endpoint = c.user % endpoints
	if l.r.IntN(10) == 0 {
		c.endpoint = l.r.IntN(endpoints)
	}
	return c
}

// request is a document of the shape that OPA's plugin for Envoy gives policies.
type request map[string]any

// Lookup implements [policy.Input]: only what is asked for is converted.
func (q request) Lookup(path ast.Ref) (ast.Value, bool) {
	var at any = map[string]any(q)
	for _, t := range path {
		switch below := at.(type) {
		case map[string]any:
			k, isKey := t.Value.(ast.String)
			v, ok := below[string(k)]
			if !isKey || !ok {
				return nil, false
			}
			at = v
		case []any:
			n, isIndex := t.Value.(ast.Number)
			i, ok := n.Int()
			if !isIndex || !ok || i >= len(below) {
				return nil, false
			}
			at = below[i]
		default:
			return nil, false
		}
	}
	v, err := ast.InterfaceToValue(at)
	return v, err == nil
}

// request makes a request of a call: much of it is only its own.
func (l *load) request(c call) request {
	l.n++
	user := fmt.Sprintf("user-%d", c.user)
	method, path := "GET", []any{"api", "orders"}
	switch c.endpoint {
	case 1:
		path = []any{"api", "invoices"}
	case 2:
		method = "POST"
	case 3:
		path = []any{"public"}
	case 4:
		method = "DELETE"
	case 5:
		path = []any{"internal", "metrics"}
	}
	id := fmt.Sprintf("%08x-%d", l.r.Uint32(), l.n)
	headers := map[string]any{
		"x-request-id": id, "traceparent": "00-" + id + "-01", "x-b3-traceid": id, "x-timestamp": fmt.Sprint(l.n),
		"x-user": user, "x-tenant": "acme",
		"x-basic":       "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":secret")),
		"authorization": "Bearer " + token(user),
	}
	if c.user%10 == 9 {
		delete(headers, "x-tenant")
	}
	return request{
		"attributes": map[string]any{
			"source": map[string]any{"address": map[string]any{"socketAddress": map[string]any{"address": "10.0.0.1", "portValue": 1024 + l.n%60_000}}},
			"request": map[string]any{
				"time": map[string]any{"seconds": 1_700_000_000 + l.n, "nanos": l.r.IntN(1e9)},
				"http": map[string]any{
					"id": id, "method": method, "host": "api.example.com", "protocol": "HTTP/1.1",
					"path":    "/" + path[0].(string) + "?trace=" + id,
					"headers": headers,
				},
			},
		},
		"parsed_path":  path,
		"parsed_query": map[string]any{},
	}
}

// token is an unsigned one, for policies that only decode it.
func token(user string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(`{"sub":"`+user+`","tenant":"acme"}`)) + "."
}
