package proxy_test

import (
	"testing"

	"github.com/rolegate/rolegate/proxy"
)

func TestParsedPaths(t *testing.T) {
	for target, want := range map[string]string{
		"":                        `[""] {}`,
		"/":                       `[""] {}`,
		"/a/":                     `["a", ""] {}`,
		"//a//b":                  `["a", "", "b"] {}`,
		"/a%2Fb/../c//d/?q=1":     `["a", "b", "..", "c", "", "d", ""] {"q": ["1"]}`,
		"/a%3Fb=1":                `["a?b=1"] {}`,
		"/a#f?x=1":                `["a#f"] {"x": ["1"]}`,
		"*":                       `["*"] {}`,
		"http://h/a?b=1":          `["http:", "", "h", "a"] {"b": ["1"]}`,
		"/a?b":                    `["a"] {"b": [""]}`,
		"/a?x=1&y=a=new%0aline&x": `["a"] {"x": ["1", ""], "y": ["a=new\nline"]}`,
		"/%zz":                    "path escapes",
		"/a?x=%zz":                "query escapes",
		"/a?x=1;y=2":              "query escapes",
	} {
		path, query, err := proxy.ParsedTarget(target)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = path.String() + " " + query.String()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", target, got, want)
		}
	}
}

// TestParsedTargetsPartByPart: what cannot be read of a target is nil, and what can is there.
func TestParsedTargetsPartByPart(t *testing.T) {
	for target, want := range map[string][2]bool{
		"/a?x=1":     {true, true},
		"/a":         {true, true},
		"/%zz?x=1":   {false, true},
		"/a?x=%zz":   {true, false},
		"/%zz?x=%zz": {false, false},
	} {
		path, query, err := proxy.ParsedTarget(target)
		if got := [2]bool{path != nil, query != nil}; got != want || (err == nil) != (want[0] && want[1]) {
			t.Errorf("%q: got %v, %v, %v, want path and query: %v", target, path, query, err, want)
		}
	}
}
