package e2e_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// TestSlowPoliciesAreAskedOnce: a policy that does not come to an end is a 503 of
// rolegate's, with the decision's id, and Envoy does not ask a second time.
func TestSlowPoliciesAreAskedOnce(t *testing.T) {
	s := start(t, options{bundles: "testdata/slow", settings: "loader: {entrypoint: slow/decision}\n", edit: longTries})
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

// longTries has Envoy wait for an answer for as long as rolegate may take. Of a gRPC
// service's retry policy the longest pause is the limit of each try, too
// (convertCoreToRouteRetryPolicy in Envoy's source).
func longTries(c *envoy.Config) error {
	const pauses = authz + "/grpc_service/retry_policy/retry_back_off"
	backOff := map[string]any{}
	err := c.Get(pauses, &backOff)
	backOff["max_interval"] = "0.4s"
	return errors.Join(err, c.Set(pauses, backOff))
}
