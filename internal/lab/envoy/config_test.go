package envoy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

const small = `# a comment
static_resources:
  clusters:
    - name: a
      port: 1
    - name: b
      load_assignment:
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9191}}}
`

func TestSetReplacesOneValue(t *testing.T) {
	c := read(t, small)
	if err := c.Set("static_resources/clusters/name=a/port", 7); err != nil {
		t.Fatal(err)
	}
	if err := c.Point("b", "/run/x.sock"); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(small, "port: 1", "port: 7", 1)
	want = strings.Replace(want, "{socket_address: {address: 127.0.0.1, port_value: 9191}}", "{pipe: {path: /run/x.sock}}", 1)
	if diff := cmp.Diff(tree(t, read(t, want)), tree(t, c)); diff != "" {
		t.Errorf("after Set and Point (-want +got):\n%s", diff)
	}
}

func TestSetNeedsTheValueToBeThere(t *testing.T) {
	for _, path := range []string{"static_resources/clusters/name=c/port", "static_resources/clusters/2", "admin", "static_resources/clusters/name=a/port/x"} {
		if err := read(t, small).Set(path, 1); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Set(%s) = %v, want an error that names the path", path, err)
		}
	}
}

// TestPatient: whatever ships can be made to wait, and nothing of it is left hasty.
func TestPatient(t *testing.T) {
	for _, file := range []string{"envoy.yaml", "envoy-unix.yaml", "envoy-mtls.yaml", "envoy-http.yaml", "network/envoy.yaml"} {
		c, err := envoy.Shipped(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Patient(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		text, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		for _, hasty := range []string{"timeout: 0.", "max_interval: 0."} {
			if strings.Contains(string(text), hasty) {
				t.Errorf("%s: got %q still, want it patient", file, hasty)
			}
		}
	}
}

func TestPointRefusesWhatIsNoAddress(t *testing.T) {
	for _, address := range []string{"", "localhost", "127.0.0.1:x", "127.0.0.1:70000"} {
		if err := read(t, small).Point("b", address); err == nil {
			t.Errorf("Point(%q) = nil, want an error", address)
		}
	}
}

func read(t *testing.T, text string) *envoy.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := envoy.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tree(t *testing.T, c *envoy.Config) any {
	t.Helper()
	var v any
	if err := c.Get("static_resources", &v); err != nil {
		t.Fatal(err)
	}
	return v
}
