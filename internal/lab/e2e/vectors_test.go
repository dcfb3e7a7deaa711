package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// vector is one line of testdata/vectors.txt.
type vector struct {
	status        int
	line, headers string
	seen          map[string]string
}

// TestVectors sends every line of testdata/vectors.txt.
func TestVectors(t *testing.T) {
	for way, o := range ways() {
		t.Run(way, func(t *testing.T) {
			s := start(t, o)
			signed, err := s.token("ann", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range vectors(t) {
				before := s.app.Served()
				got, err := s.raw(t.Context(), v.request(signed))
				if err != nil {
					t.Errorf("%q with %q: %v", v.line, v.headers, err)
					continue
				}
				if got.status != v.status {
					t.Errorf("%q with %q is %d, want %d\n%s", v.line, v.headers, got.status, v.status, got.body)
				}
				if reached := s.app.Served() - before; reached != 0 != (got.status == http.StatusOK) {
					t.Errorf("%q with %q is %d and reached the application %d times", v.line, v.headers, got.status, reached)
				}
				for what, want := range v.seen {
					if have := seenOf(got, what); have != want {
						t.Errorf("%q with %q: the application's %s is %q, want %q", v.line, v.headers, what, have, want)
					}
				}
			}
			many := "GET /v1/acme/documents/1 HTTP/1.1\r\nHost: api.example.com\r\n"
			for i := range 101 {
				many += fmt.Sprintf("X-%d: 1\r\n", i)
			}
			if got, err := s.raw(t.Context(), many+"Authorization: Bearer "+signed+"\r\n\r\n"); err != nil || got.status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("101 headers more are %d, %v, want 431", got.status, err)
			}
		})
	}
}

// request is the line's request. "-" stands for no host; headers that name a host take
// the place of the usual one.
func (v vector) request(token string) string {
	head := v.line + " HTTP/1.1\r\nAuthorization: Bearer " + token + "\r\n"
	if v.headers != "-" && !strings.HasPrefix(v.headers, "Host:") {
		head += "Host: api.example.com\r\n"
	}
	if v.headers != "" && v.headers != "-" {
		head += v.headers + "\r\n"
	}
	return head + "\r\n"
}

func seenOf(a answer, what string) string {
	switch what {
	case "target":
		return a.seen.Target
	case "host":
		return a.seen.Host
	default:
		if values := a.seen.Header[what]; len(values) > 0 {
			return strings.Join(values, "|")
		}
		return "-"
	}
}

func vectors(t *testing.T) (all []vector) {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		v := vector{seen: map[string]string{}}
		status, rest, _ := strings.Cut(line, " ")
		if v.status, err = strconv.Atoi(status); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, into := range []*string{&v.line, &v.headers} {
			rest = strings.TrimSpace(rest)
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			rest = rest[len(quoted):]
			if *into, err = strconv.Unquote(quoted); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		for what := range strings.FieldsSeq(rest) {
			name, value, _ := strings.Cut(what, "=")
			if value, err = strconv.Unquote(`"` + value + `"`); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			v.seen[name] = value
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		t.Fatal("no vectors")
	}
	return all
}
