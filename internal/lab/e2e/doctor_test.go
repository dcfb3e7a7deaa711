package e2e_test

import (
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/upstream"
)

// TestDoctor asks a real Envoy: the configurations that ship need no mending, and what is
// wrong on purpose is found.
func TestDoctor(t *testing.T) {
	binary, err := sidecar.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		edit map[string]any
		exit int
		want []string
	}{
		{"as it ships", nil, 1, []string{"no_healthy_host"}}, // there is no rolegate here
		{"an open door", map[string]any{
			"static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/failure_mode_allow": true,
		}, 1, []string{"failure_mode_allow", "no_healthy_host"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := httptest.NewServer(&upstream.Echo{})
			t.Cleanup(app.Close)
			c, err := envoy.Shipped("envoy.yaml")
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{c.Loopback(), c.Point("rolegate", "127.0.0.1:9"), c.Point("application", app.Listener.Addr().String())} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for path, value := range tt.edit {
				if err := c.Set(path, value); err != nil {
					t.Fatal(err)
				}
			}
			e := envoytest.Start(t, c)
			got, exit := examine(t, binary, e.Admin())
			for begin := time.Now(); !cmp.Equal(got, tt.want) && time.Since(begin) < patience; got, exit = examine(t, binary, e.Admin()) {
				time.Sleep(50 * time.Millisecond) // the first health check has yet to fail
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || exit != tt.exit {
				t.Errorf("exit %d, want %d; findings (-want +got):\n%s", exit, tt.exit, diff)
			}
		})
	}
}

// examine answers the codes of what doctor finds, and its exit code.
func examine(t *testing.T, binary, admin string) ([]string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "doctor", "--envoy-admin", admin, "-f", "json")
	out, err := cmd.Output()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	var report struct {
		Filters  int
		Findings []struct{ Code string }
	}
	if err := json.Unmarshal(out, &report); err != nil || report.Filters != 1 {
		t.Fatalf("%q: %v, want a report on one filter", out, err)
	}
	var codes []string
	for _, f := range report.Findings {
		codes = append(codes, f.Code)
	}
	return codes, cmd.ProcessState.ExitCode()
}
