package canonical_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rolegate/rolegate/proxy/canonical"
)

// Path's laws: it is idempotent on its canonical form; segments hold nothing that
// a later reader could take for structure; each is what one decoding gives; and
// how a client escapes what may stand raw makes no difference.
func FuzzPath(f *testing.F) {
	_, inputs := corpus(f, "testdata/paths.txt")
	for _, input := range inputs {
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := canonical.Path(raw)
		if err != nil {
			refusal(t, "path", raw, err)
			if target.Segments != nil || target.String() != "" || target.RawQuery != "" {
				t.Errorf("Path(%q) is refused and still returns %+v", raw, target)
			}
			return
		}
		rawPath, rawQuery, _ := strings.Cut(raw, "?")
		if target.RawQuery != rawQuery {
			t.Errorf("Path(%q): got query %q, want %q", raw, target.RawQuery, rawQuery)
		}

		rawSegments := strings.Split(rawPath, "/")[1:]
		if len(rawSegments) != len(target.Segments) {
			t.Fatalf("Path(%q): got %d segments %q, want one for each raw one %q", raw, len(target.Segments), target.Segments, rawSegments)
		}
		for i, segment := range target.Segments {
			checkSegment(t, raw, segment, i == len(target.Segments)-1)
			want, err := url.PathUnescape(rawSegments[i])
			if err != nil || segment != want {
				t.Errorf("Path(%q): got segment %q, want %q, %v", raw, segment, want, err)
			}
		}

		form := target.String()
		again, err := canonical.Path(form)
		if err != nil {
			t.Fatalf("Path(%q) gives %q, which is refused: %v", raw, form, err)
		}
		if !slices.Equal(again.Segments, target.Segments) || again.String() != form || again.RawQuery != "" {
			t.Errorf("Path(%q) gives %q, and that %q %q", raw, form, again.String(), again.Segments)
		}

		shouted, err := canonical.Path(escapeAll(target.Segments))
		if err != nil || shouted.String() != form {
			t.Errorf("Path(%q) gives %q, fully escaped %q, %v", raw, form, shouted.String(), err)
		}
	})
}

func checkSegment(t *testing.T, raw, segment string, last bool) {
	t.Helper()
	name, _, _ := strings.Cut(segment, ";")
	switch {
	case name == "" && (!last || segment != ""),
		name == "." || name == "..",
		strings.ContainsAny(segment, `/\%`),
		strings.ContainsFunc(segment, unicode.IsControl),
		!utf8.ValidString(segment):
		t.Errorf("Path(%q) lets segment %q pass", raw, segment)
	}
}

// escapeAll writes segments with every byte escaped.
func escapeAll(segments []string) string {
	var b strings.Builder
	for _, segment := range segments {
		b.WriteByte('/')
		for i := range len(segment) {
			fmt.Fprintf(&b, "%%%02x", segment[i])
		}
	}
	return b.String()
}

// Host's laws: idempotent, lower case, and blind to case, a port and a trailing
// dot.
func FuzzHost(f *testing.F) {
	_, inputs := corpus(f, "testdata/hosts.txt")
	for _, input := range inputs {
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		host, err := canonical.Host(raw)
		if err != nil {
			refusal(t, "host", raw, err)
			if host != "" {
				t.Errorf("Host(%q) is refused and still returns %q", raw, host)
			}
			return
		}
		if host == "" || len(host) > 253 || strings.ContainsAny(host, "@,*%/\\ \t") || strings.ToLower(host) != host || strings.HasSuffix(host, ".") {
			t.Errorf("Host(%q) = %q", raw, host)
		}
		for _, same := range []string{host, strings.ToUpper(host), host + ":8443"} {
			if again, err := canonical.Host(same); again != host || err != nil {
				t.Errorf("Host(%q) = %q, but Host(%q) = %q, %v", raw, host, same, again, err)
			}
		}
		if host[0] != '[' {
			if again, err := canonical.Host(host + ".:1"); again != host || err != nil {
				t.Errorf("Host(%q) = %q, but with a dot and a port %q, %v", raw, host, again, err)
			}
		}
	})
}

// Query's laws: what it accepts, the standard library reads alike, and encoding
// the result again changes nothing.
func FuzzQuery(f *testing.F) {
	_, inputs := corpus(f, "testdata/queries.txt")
	for _, input := range inputs {
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := canonical.Query(raw)
		if err != nil {
			refusal(t, "query", raw, err)
			return
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("Query(%q) passes what url.ParseQuery refuses: %v", raw, err)
		}
		got := url.Values{}
		var encoded []string
		for _, v := range values {
			got.Add(v.Name, v.Value)
			encoded = append(encoded, url.QueryEscape(v.Name)+"="+url.QueryEscape(v.Value))
		}
		if got.Encode() != want.Encode() {
			t.Errorf("Query(%q) = %q, want %q", raw, got, want)
		}
		for name, list := range want {
			value, found := values.Get(name)
			if found != (len(list) == 1) || found && value != list[0] {
				t.Errorf("Query(%q).Get(%q) = %q, %v; want one of %q", raw, name, value, found, list)
			}
		}
		again, err := canonical.Query(strings.Join(encoded, "&"))
		if err != nil || !slices.Equal(again, values) {
			t.Errorf("Query(%q) = %q, encoded again %q, %v", raw, values, again, err)
		}
	})
}

func BenchmarkPath(b *testing.B) {
	for name, raw := range map[string]string{
		"escapes=0": "/v1/acme/documents/d-17?limit=10&after=d-16",
		"escapes=1": "/v1/acme/documents/caf%C3%A9?limit=10&after=d-16",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := canonical.Path(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHost(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canonical.Host("api.example.com:8443"); err != nil {
			b.Fatal(err)
		}
	}
}
