package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoTokenIsWrittenDown sends tokens, good and bad, in every way that ends in a log
// line, and then looks for any part of them in all that was written.
func TestNoTokenIsWrittenDown(t *testing.T) {
	s := start(t, options{})
	secrets := []string{canary}
	for who, values := range credentials(t, s) {
		for _, path := range []string{"/v1/acme/documents/1", "/nowhere", "/healthz", "/v1/acme/documents/a%25"} {
			if _, err := s.send(t.Context(), http.MethodGet, path, http.Header{"Authorization": values}); err != nil {
				t.Fatalf("%s as %s: %v", path, who, err)
			}
		}
		for _, value := range values {
			_, credential, _ := strings.Cut(value, " ")
			for part := range strings.SplitSeq(credential, ".") {
				if len(part) > 8 && !strings.HasPrefix(part, "eyJhbGci") { // every token's head is the same
					secrets = append(secrets, part)
				}
			}
		}
	}
	if _, err := s.get(t.Context(), http.MethodGet, "/v1/acme/documents/1?access_token="+canary, "ann"); err != nil {
		t.Fatal(err)
	}
	written := map[string]string{"Envoy's log": s.envoy.Log(), "Envoy's access log": s.envoy.AccessLog()}
	for _, page := range []string{"/metrics", "/status"} {
		_, body, err := s.gate.Get(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		written[page] = body
	}
	if err := s.gate.Stop(); err != nil { // so that everything buffered is written
		t.Error(err)
	}
	written["rolegate's stdout"], written["rolegate's stderr"] = s.gate.Stdout(), s.gate.Stderr()
	decisions, err := os.ReadFile(s.decisionLog())
	if err != nil {
		t.Fatal(err)
	}
	written["the decision log"] = string(decisions)
	if n := strings.Count(string(decisions), "\n"); n < 40 {
		t.Errorf("the decision log has %d lines, want one for each of more than 40 requests", n)
	}
	for where, text := range written {
		for _, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds %q: …%s…", where, secret, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
}

// decisionLog is where rolegate writes its decisions.
func (s *stack) decisionLog() string {
	return filepath.Join(filepath.Dir(s.config.File), "decisions.jsonl")
}
