package e2e_test

import (
	"net/http"
	"testing"
)

// TestSlowPoliciesAreAskedOnce: a policy that does not come to an end is a 503 of
// rolegate's, with the decision's id, and Envoy does not ask a second time.
func TestSlowPoliciesAreAskedOnce(t *testing.T) {
	s := start(t, options{bundles: "testdata/slow", settings: "loader: {entrypoint: slow/decision}\n", hasty: true})
	got, err := s.get(t.Context(), http.MethodGet, "/", "")
	if err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusServiceUnavailable || got.header.Get("X-Rolegate-Decision-Id") == "" || got.header.Get("Retry-After") == "" {
		t.Errorf("got %d with %v, want 503 with a decision's id and Retry-After", got.status, got.header)
	}
	if n := s.app.Served(); n > 0 {
		t.Errorf("the application was asked %d times", n)
	}
	retries, err := s.envoy.Counter(t.Context(), "cluster.rolegate.upstream_rq_retry")
	if err != nil || retries != 0 {
		t.Errorf("Envoy asked again %d times, %v", retries, err)
	}
}
