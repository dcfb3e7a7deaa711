package parsed

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzTarget: what is readable is read, and nothing else; and a path is what decoding it
// whole and splitting it gives.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{
		"", "/", "/a/", "//a//b", "/a%2Fb/../c//d/?q=1", "/a%3Fb=1", "/a#f?x=1", "*", "http://h/a?b=1", "/a?b", "/%zz", "/a?x=%zz",
		"/a?x=1;y=2", "%2Fmy%2Ftest", "/a?%", "/%", "/%4", "/a?x=%ff&=&&x", "/a?b?c",
	} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, errPath := Path(target)
		query, errQuery := Query(target)
		if err := Readable(target); (err == nil) != (errPath == nil && errQuery == nil) {
			t.Fatalf("%q: readable says %v, the path %v, the query %v", target, err, errPath, errQuery)
		}
		raw, rawQuery, _ := strings.Cut(target, "?")
		if errPath == nil {
			if whole, _ := url.PathUnescape(raw); strings.TrimLeft(whole, "/") != strings.Join(path, "/") {
				t.Errorf("%q: got %q", target, path)
			}
		}
		if want, err := url.ParseQuery(rawQuery); errQuery == nil && (err != nil || len(want) != len(query)) {
			t.Errorf("%q: got %q, want %q", target, query, want)
		}
	})
}

// FuzzBody: whatever a body and its headers are, they are read, or not, without a panic
// and within bounds; what is read is JSON's, in UTF-8 (of JSON itself as Go reads it).
func FuzzBody(f *testing.F) {
	services := shop(f)
	multi := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: application/json\r\n\r\n{\"n\": 1e400}\r\n--b--\r\n"
	for _, seed := range [][4]string{
		{"application/json", "", `{"a": [1, 2.50, null, "é"], "a": {}}`, "/"},
		{"application/json", "3", `[[[["\"[",{}]]]]`, "/"},
		{"application/json; charset=utf-8", "x", `1 2`, "/"},
		{"application/x-www-form-urlencoded", "", "a=1&b=%ff&c;d", "/"},
		{"multipart/form-data; boundary=b", "", multi, "/"},
		{"multipart/form-data; boundary=b", "1000", multi[:40], "/"},
		{"application/grpc", "", "\x00\x00\x00\x00\x06\x0a\x02o1\x10\x2a", "/shop.Orders/Place"},
		{"application/grpc", "", "\x00\xff\xff\xff\xff", "/shop.Orders/Place"},
		{"application/grpc", "", "\x00\x00\x00\x00\x00", "/shop.Orders"},
	} {
		f.Add(seed[0], seed[1], []byte(seed[2]), seed[3], false)
		f.Add(seed[0], seed[1], []byte(seed[2]), seed[3], true)
	}
	f.Fuzz(func(t *testing.T, kind, length string, body []byte, target string, raw bool) {
		r := Request{Headers: map[string]string{"content-type": kind}, Services: services}
		if length != "" {
			r.Headers["content-length"] = length
		}
		var err error
		if r.Path, err = Path(target); err != nil {
			return
		}
		if r.RawBody = body; !raw {
			r.Body, r.RawBody = string(body), nil
		}
		v, truncated, err := r.Read()
		if (err != nil || truncated) && v != nil {
			t.Errorf("%q of %q: got %v beside %t, %v", body, kind, v, truncated, err)
		}
		values := defaultValues + len(body) // the elements of one list are counted by their commas
		if !sound(v, 2*maxDepth, &values) {
			t.Errorf("%q of %q: got %#v", body, kind, v)
		}
	})
}

// sound says whether a value is JSON's, within bounds.
func sound(v any, depth int, values *int) bool {
	*values--
	if depth < 0 || *values < 0 {
		return false
	}
	switch v := v.(type) {
	case nil, bool:
		return true
	case string:
		return utf8.ValidString(v)
	case json.Number:
		return json.Valid([]byte(v))
	case []any:
		for _, element := range v {
			if !sound(element, depth-1, values) {
				return false
			}
		}
		return true
	case map[string]any:
		for name, member := range v {
			if !utf8.ValidString(name) || !sound(member, depth-1, values) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
