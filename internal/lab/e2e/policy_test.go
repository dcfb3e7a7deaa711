package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// policyCase is one line of testdata/own/own/cases/data.json: what a policy of one's
// own answers, and what comes of it behind Envoy.
type policyCase struct {
	Status   int                 `json:"status"`
	Upstream map[string][]string `json:"upstream"` // headers that the application gets; null: it gets none
	Client   map[string]string   `json:"client"`   // headers that the client gets
}

// TestPolicyAnswers has a policy answer whatever it likes, right and wrong. What is
// wrong is a denial, and never reaches the application.
func TestPolicyAnswers(t *testing.T) {
	raw, err := os.ReadFile("testdata/own/own/cases/data.json")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]policyCase{}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	s := start(t, options{bundles: "testdata/own", settings: "loader: {entrypoint: own/decision}\n"})
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for name := range cases {
		t.Run(name, func(t *testing.T) { policyAnswer(t, s, name, cases[name]) })
	}
	t.Run("undefined", func(t *testing.T) {
		policyAnswer(t, s, "no-such-case", policyCase{Status: http.StatusForbidden})
	})
}

func policyAnswer(t *testing.T, s *stack, name string, want policyCase) {
	t.Helper()
	before := s.app.Served()
	// The client's own x-user must go whenever the policy speaks of it.
	got, err := s.send(t.Context(), http.MethodGet, "/case/"+name, http.Header{"X-User": {impostor, impostor}})
	if err != nil {
		t.Fatal(err)
	}
	if got.status != want.Status {
		t.Errorf("%d, want %d\n%s", got.status, want.Status, got.body)
	}
	if reached := s.app.Served() - before; reached != 0 != (want.Status == http.StatusOK) {
		t.Errorf("%d, and it reached the application %d times", got.status, reached)
	}
	for header, values := range want.Upstream {
		if diff := cmp.Diff(values, got.seen.Header[header]); diff != "" {
			t.Errorf("the application's %s (-want +got):\n%s", header, diff)
		}
	}
	for header, value := range want.Client {
		if v := got.header.Get(header); v != value {
			t.Errorf("the client's %s is %q, want %q", header, v, value)
		}
	}
}
