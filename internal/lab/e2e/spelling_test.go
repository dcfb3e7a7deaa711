package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// spelled is how many spellings are tried of one configuration.
const spelled = 600

// TestSpellings: two requests that an application takes for one resource get one
// decision, or are refused. What the application gets is asked of an Envoy without
// rolegate; how applications read that differs, and the law holds for each reading.
func TestSpellings(t *testing.T) {
	for name, o := range map[string]options{
		"as shipped":               {},
		"paths as they come":       {edit: pathsUnchanged},
		"slashes unescaped":        {edit: slashesUnescaped},
		"http, as shipped":         {http: true},
		"http, paths as they come": {http: true, edit: pathsUnchanged},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, o)
			open := s.withoutGate(t, o)
			signed, err := s.token("kim", nil) // who may read everything but the vault
			if err != nil {
				t.Fatal(err)
			}
			const seed = 20261125
			random := rand.New(rand.NewPCG(seed, spelled)) //nolint:gosec // the same every time
			groups := map[string]map[string]decided{}      // reading → resource → the first decision
			counts := map[int]int{}
			for range spelled {
				target := spell(random)
				ask := func(s *stack) answer {
					got, err := s.raw(t.Context(), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", target, signed))
					if err != nil {
						t.Fatalf("%q: %v", target, err)
					}
					return got
				}
				got, through := ask(s), ask(open)
				counts[got.status]++
				if got.status == http.StatusOK && got.seen.Target != through.seen.Target {
					t.Errorf("%q reaches the application as %q, without rolegate as %q", target, got.seen.Target, through.seen.Target)
				}
				switch got.status {
				case http.StatusBadRequest: // refused
				case http.StatusOK, http.StatusForbidden:
					for reading, resource := range readings(through.seen.Target) {
						hold(t, groups, reading, resource, decided{target, got.status})
					}
				default:
					t.Errorf("%q is %d, want 200, 400 or 403", target, got.status)
				}
			}
			t.Logf("%v; %d resources as Go reads them", counts, len(groups["decoded"]))
			for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden} {
				if counts[status] < spelled/50 {
					t.Errorf("%d requests of %d are %d: too few to say something", counts[status], spelled, status)
				}
			}
		})
	}
}

// decided is a request and what became of it.
type decided struct {
	target string
	status int
}

// hold notes a decision on a resource, which must be the one that there is.
func hold(t *testing.T, groups map[string]map[string]decided, reading, resource string, now decided) {
	t.Helper()
	if groups[reading] == nil {
		groups[reading] = map[string]decided{}
	}
	before, known := groups[reading][resource]
	if known && before.status != now.status {
		t.Errorf("%s, %q and %q are both %q: one is %d, the other %d", reading, before.target, now.target, resource, before.status, now.status)
	}
	if !known {
		groups[reading][resource] = now
	}
}

// readings are what applications make of a target.
func readings(target string) map[string]string {
	raw, _, _ := strings.Cut(target, "?")
	once, err := url.PathUnescape(raw)
	if err != nil {
		return map[string]string{"raw": raw} // whoever takes it reads it in a way of his own
	}
	all := map[string]string{"raw": raw, "decoded": once, "cleaned": cleaned(once), "with backslashes": cleaned(strings.ReplaceAll(once, `\`, "/"))}
	if twice, err := url.PathUnescape(once); err == nil {
		all["decoded twice"] = cleaned(twice)
	}
	return all
}

// cleaned resolves dot segments and slashes; a slash at the end stays.
func cleaned(p string) string {
	c := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && c != "/" {
		c += "/"
	}
	return c
}

// spell writes one of a few resources in one of very many ways.
func spell(r *rand.Rand) string {
	bases := [...]string{
		"/v1/acme/documents/vault", "/v1/acme/documents/vault", "/v1/acme/documents/1", "/v1/acme/documents/a",
		"/v1/globex/documents/1", "/healthz", "/files/x", "/v1/acme/documents/vau",
	}
	target := bases[r.IntN(len(bases))]
	for range r.IntN(4) {
		at := r.IntN(len(target))
		switch r.IntN(14) {
		case 0, 1, 2: // an escape, of the byte or of its neighbor in ASCII
			target = target[:at] + fmt.Sprintf([...]string{"%%%02x", "%%%02X"}[r.IntN(2)], target[at]) + target[at+1:]
		case 3: // escaped twice
			target = target[:at] + fmt.Sprintf("%%25%02x", target[at]) + target[at+1:]
		case 4:
			target = slash(target, r, pick(r, "//", "/./", "/%2e/", "/%2E/", "///"))
		case 5:
			target = slash(target, r, pick(r, "/x/../", "/x/%2e%2e/", "/x/.%2e/", "/../", "/x/..;/", "/..%2f", "/x%2f../", "/x/..%5c", "/x/..\\"))
		case 6:
			target = slash(target, r, pick(r, "%2f", "%2F", "%5c", "%5C", "\\", "%252f", "/%20/", "/;/", "/.;a/"))
		case 7: // the end
			target += pick(r, "/", "/.", "/..", "/%2e", "%2f", "?x=1", "?", "?x=/../y", "#f", "%23f", "%3fx", "%00", "%20", "%09", "%0a", "%7f", "%")
		case 8:
			target = target[:at] + strings.ToUpper(target[at:at+1]) + target[at+1:]
		case 9: // bytes that some take for others
			target = slash(target, r, pick(r, "/%c0%af", "/%e2%80%a5/", "%ef%bc%8f", "/%c0%ae%c0%ae/", "/%u002e/", "/\x7f", "/%80/"))
		case 10:
			target = pick(r, "http://api.example.com", "http://u:p@evil", "HTTP://api.example.com:80", "//api.example.com", "x:") + target
		case 11:
			target = target[:at] + pick(r, "%", "%z", "%zz", "%4", "+", "%2b", "~", "%7e", "'", "é", "%c3%a9", "%41") + target[at:]
		default:
		}
	}
	// What no HTTP/1 request line can hold is another test's.
	return strings.NewReplacer(" ", "%20", "\t", "%09", "\n", "%0a").Replace(target)
}

// slash puts something in place of one of the target's slashes.
func slash(target string, r *rand.Rand, with string) string {
	n := strings.Count(target, "/")
	if n == 0 {
		return target + with
	}
	parts := strings.SplitN(target, "/", r.IntN(n)+2)
	last := len(parts) - 1
	return strings.Join(parts[:last], "/") + with + parts[last]
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

const manager = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/"

// pathsUnchanged is what Envoy does unless it is told otherwise.
func pathsUnchanged(c *envoy.Config) error {
	for key, value := range map[string]any{"normalize_path": false, "merge_slashes": false, "path_with_escaped_slashes_action": "KEEP_UNCHANGED"} {
		if err := c.Set(manager+key, value); err != nil {
			return err
		}
	}
	return nil
}

func slashesUnescaped(c *envoy.Config) error {
	return c.Set(manager+"path_with_escaped_slashes_action", "UNESCAPE_AND_FORWARD")
}

// withoutGate is the same application behind another Envoy of the same configuration,
// which asks nobody.
func (s *stack) withoutGate(t *testing.T, o options) *stack {
	t.Helper()
	open, edit := *s, o.edit
	o.edit = func(c *envoy.Config) error {
		var filters []any
		if err := c.Get(manager+"http_filters", &filters); err != nil {
			return err
		}
		if err := c.Set(manager+"http_filters", filters[1:]); err != nil || edit == nil {
			return err
		}
		return edit(c)
	}
	open.startEnvoy(t, o)
	return &open
}
