package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/token"
)

// ways are the configurations that ship, by how Envoy asks rolegate.
func ways() map[string]options {
	return map[string]options{"tcp": {}, "unix": {unix: true}, "http": {http: true}, "mtls": {mtls: true}}
}

// TestDecisions asks every line of testdata/decisions.txt, in every way.
func TestDecisions(t *testing.T) {
	for way, o := range ways() {
		t.Run(way, func(t *testing.T) { decisions(t, o) })
	}
}

func decisions(t *testing.T, o options) {
	t.Helper()
	s := start(t, o)
	credentials := credentials(t, s)
	for _, line := range table(t, "testdata/decisions.txt", 4) {
		who, method, path, want := line[0], line[1], line[2], line[3]
		t.Run(who+" "+method+" "+path, func(t *testing.T) {
			authorization, special := credentials[who]
			if !special {
				signed, err := s.token(who, nil)
				if err != nil {
					t.Fatal(err)
				}
				authorization = []string{"Bearer " + signed}
			}
			header := http.Header{}
			if authorization != nil {
				header["Authorization"] = authorization
			}
			before := s.app.Served()
			got, err := s.send(t.Context(), method, path, header)
			if err != nil {
				t.Fatal(err)
			}
			if strconv.Itoa(got.status) != want {
				t.Fatalf("%s %s as %s is %d, want %s\n%s", method, path, who, got.status, want, got.body)
			}
			if reached := s.app.Served() - before; reached != 0 != (got.status == http.StatusOK) {
				t.Errorf("%s %s as %s is %d and reached the application %d times", method, path, who, got.status, reached)
			}
			checkHeaders(t, who, got, special)
		})
	}
}

// checkHeaders looks at what a client and the application are told.
func checkHeaders(t *testing.T, who string, got answer, special bool) {
	t.Helper()
	switch id := got.header.Get("X-Rolegate-Decision-Id"); {
	case got.status == http.StatusOK:
		want := []string{who}
		if special || got.seen.Target == "/healthz" {
			want = nil
		}
		if diff := cmp.Diff(want, got.seen.Header["x-rolegate-subject"]); diff != "" {
			t.Errorf("the application's x-rolegate-subject (-want +got):\n%s", diff)
		}
	case id == "":
		t.Errorf("a denial without x-rolegate-decision-id: %v", got.header)
	case !strings.Contains(got.body, id):
		t.Errorf("a denial whose body lacks its id %s: %s", id, got.body)
	}
	if challenge := got.header.Get("Www-Authenticate"); (got.status == http.StatusUnauthorized) != (challenge != "") {
		t.Errorf("%d with WWW-Authenticate %q", got.status, challenge)
	}
}

// credentials are the values of Authorization of everybody in decisions.txt who is
// not simply a user.
func credentials(t *testing.T, s *stack) map[string][]string {
	t.Helper()
	other, err := token.New(issuer, "k1")
	if err != nil {
		t.Fatal(err)
	}
	hour := int64(time.Hour / time.Second)
	now := time.Now().Unix()
	var failed error
	one := func(signed string, err error) []string {
		if err != nil {
			failed = err
		}
		return []string{"Bearer " + signed}
	}
	good := one(s.token("ann", nil))
	all := map[string][]string{
		"nobody":         nil,
		"garbage":        {"Bearer " + canary},
		"basic":          {"Basic YW5uOmFubg=="},
		"unsigned":       one(s.idp.Unsigned(body("ann", nil))),
		"bad-signature":  {flip(good[0])},
		"other-key":      one(other.Sign(body("ann", nil))),
		"other-issuer":   one(s.token("ann", map[string]any{"iss": "https://evil.example"})),
		"other-audience": one(s.token("ann", map[string]any{"aud": "billing-api"})),
		"expired":        one(s.token("ann", map[string]any{"exp": now - hour})),
		"not-yet":        one(s.token("ann", map[string]any{"nbf": now + hour})),
		"two-tokens":     append(one(s.token("bob", nil)), good...),
	}
	if failed != nil {
		t.Fatal(failed)
	}
	return all
}

// flip changes one bit in the middle of a token's signature.
func flip(s string) string {
	at := len(s) - 20
	c := byte('A')
	if s[at] == c {
		c = 'B'
	}
	return s[:at] + string(c) + s[at+1:]
}

// TestPaths sends every line of testdata/paths.txt as bytes, in every way.
func TestPaths(t *testing.T) {
	for way, o := range ways() {
		t.Run(way, func(t *testing.T) { paths(t, o) })
	}
}

func paths(t *testing.T, o options) {
	t.Helper()
	s := start(t, o)
	signed, err := s.token("bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range table(t, "testdata/paths.txt", 2) {
		target, want := line[0], line[1]
		t.Run(target, func(t *testing.T) {
			before := s.app.Served()
			got, err := s.raw(t.Context(), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", target, signed))
			if err != nil {
				t.Fatal(err)
			}
			if strconv.Itoa(got.status) != want {
				t.Errorf("%s is %d, want %s\n%s", target, got.status, want, got.body)
			}
			reached := ""
			if len(line) > 2 {
				reached = line[2]
			}
			if got.seen.Target != reached {
				t.Errorf("%s reaches the application as %q, want %q", target, got.seen.Target, reached)
			}
			if reached == "" && s.app.Served() != before {
				t.Errorf("%s reached the application", target)
			}
		})
	}
}

// table reads the lines of a file, split at white space; "#" at the beginning of a
// line makes a comment.
func table(t *testing.T, file string, least int) (lines [][]string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		if strings.HasPrefix(scan.Text(), "#") {
			continue
		}
		switch words := strings.Fields(scan.Text()); {
		case len(words) == 0:
		case len(words) < least:
			t.Fatalf("%s: %q has %d words, want %d", file, scan.Text(), len(words), least)
		default:
			lines = append(lines, words)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s has no lines", file)
	}
	return lines
}
