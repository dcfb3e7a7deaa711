package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// policyCase is one line of testdata/own/own/cases/data.json: what a policy of one's
// own answers, and what comes of it behind Envoy.
type policyCase struct {
	Status   int                 `json:"status"`
	HTTP     int                 `json:"http"`     // status over the HTTP service, where it differs
	Upstream map[string][]string `json:"upstream"` // headers that the application gets; null: it gets none
	Target   string              `json:"target"`   // that the application gets; "": not looked at
	Client   map[string]string   `json:"client"`   // headers that the client gets
	Body     string              `json:"body"`     // that the client gets; "": not looked at
	Metadata map[string]any      `json:"metadata"` // among what Envoy notes of the request (gRPC alone)
}

func policyCases(t *testing.T) map[string]policyCase {
	t.Helper()
	raw, err := os.ReadFile("testdata/own/own/cases/data.json")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]policyCase{}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

const ownPolicy = "loader: {entrypoint: own/decision}\n"

// TestPolicyAnswers has a policy answer whatever it likes, right and wrong. What is
// wrong is a denial, and never reaches the application.
func TestPolicyAnswers(t *testing.T) {
	for way, o := range map[string]options{
		"grpc": {edit: logMetadata},
		"http": {http: true, edit: passHeaders},
	} {
		t.Run(way, func(t *testing.T) {
			o.bundles, o.settings = "testdata/own", ownPolicy
			s := start(t, o)
			s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			for name, c := range policyCases(t) {
				if o.http && c.HTTP != 0 {
					c = policyCase{Status: c.HTTP}
				}
				if o.http {
					c.Metadata = nil
				}
				t.Run(name, func(t *testing.T) { policyAnswer(t, s, name, c) })
			}
			t.Run("undefined", func(t *testing.T) {
				policyAnswer(t, s, "no-such-case", policyCase{Status: http.StatusForbidden})
			})
		})
	}
}

// TestPolicyErrors has the operator want errors to be errors: a policy that says nothing
// that can be told is 503 with Retry-After; what it says is what it was.
func TestPolicyErrors(t *testing.T) {
	for way, o := range map[string]options{"grpc": {}, "http": {http: true}} {
		t.Run(way, func(t *testing.T) {
			o.bundles, o.settings = "testdata/own", ownPolicy+"gate: {on_policy_error: error, retry_after: 7s}\n"
			s := start(t, o)
			for name, want := range map[string]policyCase{
				"allow":              {Status: http.StatusOK},
				"deny":               {Status: http.StatusForbidden, Client: map[string]string{"retry-after": ""}},
				"body":               {Status: http.StatusPaymentRequired, Body: "pay first"},
				"number":             {Status: http.StatusServiceUnavailable, Client: map[string]string{"retry-after": "7", "content-type": "application/json"}},
				"identity":           {Status: http.StatusServiceUnavailable, Client: map[string]string{"retry-after": "7"}},
				"response-splitting": {Status: http.StatusServiceUnavailable, Client: map[string]string{"retry-after": "7"}},
				"no-such-case":       {Status: http.StatusServiceUnavailable, Client: map[string]string{"retry-after": "7"}},
			} {
				if o.http && want.Status == http.StatusServiceUnavailable {
					want.Client = nil // Envoy answers errors of the HTTP service itself
				}
				t.Run(name, func(t *testing.T) { policyAnswer(t, s, name, want) })
			}
			// A request that cannot be read is the client's fault, and no error of ours.
			got, err := s.get(t.Context(), http.MethodGet, "/case/a%25", "")
			if err != nil || got.status != http.StatusBadRequest {
				t.Errorf("a path without meaning is %d, %v, want 400", got.status, err)
			}
		})
	}
}

func policyAnswer(t *testing.T, s *stack, name string, want policyCase) {
	t.Helper()
	before := s.app.Served()
	// The client's own x-user must go whenever the policy speaks of it.
	got, err := s.send(t.Context(), http.MethodGet, "/case/"+name+"?as=mallory&debug=1", http.Header{
		"X-User": {impostor, impostor}, "X-Rolegate-Subject": {impostor}, "X-Rolegate-Roles": {impostor},
	})
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
	for header, values := range got.seen.Header {
		if strings.HasPrefix(header, "x-rolegate-") && strings.Contains(strings.Join(values, ","), impostor) {
			t.Errorf("the application's %s is the client's: %q", header, values)
		}
	}
	if want.Target != "" && got.seen.Target != want.Target {
		t.Errorf("the application's target is %q, want %q", got.seen.Target, want.Target)
	}
	for header, value := range want.Client {
		if v := got.header.Get(header); v != value {
			t.Errorf("the client's %s is %q, want %q", header, v, value)
		}
	}
	if want.Body != "" && got.body != want.Body {
		t.Errorf("the client's body is %q, want %q", got.body, want.Body)
	}
	if want.Metadata != nil {
		checkMetadata(t, s, name, got.header.Get("X-Rolegate-Decision-Id"), want.Metadata)
	}
}

// checkMetadata looks at what Envoy's access log has of a request.
func checkMetadata(t *testing.T, s *stack, name, id string, want map[string]any) {
	t.Helper()
	var noted map[string]any
	for deadline := time.Now().Add(patience); noted == nil; time.Sleep(time.Millisecond) {
		for line := range strings.Lines(s.envoy.AccessLog()) {
			var entry struct {
				Path     string         `json:"path"`
				Metadata map[string]any `json:"metadata"`
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Path == "/case/"+name {
				noted = entry.Metadata
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line of the access log has metadata of %s", name)
		}
	}
	for key, value := range want {
		if diff := cmp.Diff(value, noted[key]); diff != "" {
			t.Errorf("Envoy's %s (-want +got):\n%s", key, diff)
		}
	}
	// A policy cannot say which decision it was.
	if noted["decision_id"] == "mine" || id != "" && noted["decision_id"] != id {
		t.Errorf("Envoy's decision_id is %v, the client's %q", noted["decision_id"], id)
	}
}

// logMetadata has the access log tell all that rolegate noted.
func logMetadata(c *envoy.Config) error {
	const format = manager + "access_log/0/typed_config/log_format/json_format"
	fields := map[string]any{}
	err := c.Get(format, &fields)
	fields["metadata"] = "%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%"
	return errors.Join(err, c.Set(format, fields))
}

// passHeaders lets the headers of the cases through, as the README says that one must.
func passHeaders(c *envoy.Config) error {
	const response = manager + "http_filters/name=envoy.filters.http.ext_authz/typed_config/http_service/authorization_response"
	settings := map[string]any{}
	if err := c.Get(response, &settings); err != nil {
		return err
	}
	upstream, ok := settings["allowed_upstream_headers"].(map[string]any)
	if !ok {
		return errors.New("no allowed_upstream_headers")
	}
	patterns, _ := upstream["patterns"].([]any)
	upstream["patterns"] = append(patterns, map[string]any{"exact": "x-user"})
	settings["allowed_client_headers_on_success"] = map[string]any{"patterns": []any{map[string]any{"exact": "x-seen"}}}
	return c.Set(response, settings)
}
