package e2e_test

import (
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/certs"
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
		file string
		edit map[string]any
		exit int
		want []string
	}{
		{"as it ships", "envoy.yaml", nil, 1, []string{"no_healthy_host"}}, // there is no rolegate here
		{"over unix, as it ships", "envoy-unix.yaml", nil, 1, []string{"no_healthy_host"}},
		{"over HTTP, as it ships", "envoy-http.yaml", nil, 1, []string{"no_healthy_host"}},
		{"over mTLS, as it ships", "envoy-mtls.yaml", nil, 1, []string{"no_healthy_host"}},
		{"for connections, as it ships", "network/envoy.yaml", nil, 1, []string{"no_healthy_host"}},
		{"an open door", "envoy.yaml", map[string]any{
			"static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/failure_mode_allow": true,
		}, 1, []string{"failure_mode_allow", "no_healthy_host"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := httptest.NewServer(&upstream.Echo{})
			t.Cleanup(app.Close)
			c, err := envoy.Shipped(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{c.Loopback(), c.Point("rolegate", "127.0.0.1:9"), c.Point("application", app.Listener.Addr().String())} {
				if err != nil {
					t.Fatal(err)
				}
			}
			switch tt.file { // Envoy reads these when it starts
			case "envoy-mtls.yaml":
				certified(t, c, "static_resources/clusters/name=rolegate")
			case "network/envoy.yaml":
				certified(t, c, "static_resources/listeners/0/filter_chains/0")
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

// certified has a configuration name files that are there.
func certified(t *testing.T, c *envoy.Config, path string) {
	t.Helper()
	authority, err := certs.New("test")
	if err != nil {
		t.Fatal(err)
	}
	f, err := authority.Issue(t.TempDir(), "envoy", "envoy")
	if err == nil {
		err = c.TLSFiles(path, f.Cert, f.Key, f.CA)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// examine answers the codes of what doctor finds, and its exit code.
func examine(t *testing.T, binary, admin string) ([]string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "doctor", "--envoy-admin", admin, "-f", "json")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	var report struct {
		Filters  int
		Findings []struct{ Code string }
	}
	if err := json.Unmarshal(out, &report); err != nil || report.Filters != 1 {
		t.Fatalf("%q: %v, want a report on one filter; it says %s", out, err, &complaints)
	}
	var codes []string
	for _, f := range report.Findings {
		codes = append(codes, f.Code)
	}
	return codes, cmd.ProcessState.ExitCode()
}
