// Package envoy_test checks the Envoy configurations that ship.
package envoy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
)

func TestEnvoyAcceptsEveryConfiguration(t *testing.T) {
	envoytest.Require(t)
	for _, file := range configurations(t) {
		t.Run(file, func(t *testing.T) {
			if err := envoy.Validate(t.Context(), shipped(t, file), t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHardening names what must not be lost in an edit: each line is a way in, or an
// outage that looks like a denial, when it is missing.
func TestHardening(t *testing.T) {
	const (
		hcm   = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/"
		authz = hcm + "http_filters/name=envoy.filters.http.ext_authz/typed_config/"
		gate  = "static_resources/clusters/name=rolegate/"
	)
	for _, file := range configurations(t) {
		c := shipped(t, file)
		for path, want := range map[string]any{
			"admin/address/socket_address/address":                                              "127.0.0.1",
			hcm + "normalize_path":                                                              true,
			hcm + "merge_slashes":                                                               true,
			hcm + "path_with_escaped_slashes_action":                                            "REJECT_REQUEST",
			hcm + "common_http_protocol_options/headers_with_underscores_action":                "REJECT_REQUEST",
			hcm + "strip_any_host_port":                                                         true,
			hcm + "strip_trailing_host_dot":                                                     true,
			hcm + "use_remote_address":                                                          true,
			authz + "failure_mode_allow":                                                        false,
			authz + "status_on_error/code":                                                      "ServiceUnavailable",
			authz + "grpc_service/retry_policy/retry_on":                                        "connect-failure,refused-stream,reset,unavailable",
			authz + "encode_raw_headers":                                                        true,
			authz + "clear_route_cache":                                                         false,
			authz + "validate_mutations":                                                        true,
			authz + "enforce_response_header_limits":                                            true,
			authz + "decoder_header_mutation_rules/disallow_is_error/value":                     true,
			gate + "common_lb_config/healthy_panic_threshold/value":                             0,
			gate + "health_checks/0/unhealthy_threshold":                                        1,
			hcm + "http_filters/1/name":                                                         "envoy.filters.http.router",
			hcm + "access_log/0/typed_config/log_format/json_format/decision_id":                "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%",
			hcm + "access_log/0/typed_config/log_format/json_format/path":                       "%PATH(NQ)%",
			"static_resources/clusters/name=rolegate/circuit_breakers/thresholds/0/max_retries": 1024,
		} {
			var got any
			if err := c.Get(path, &got); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if got != want {
				t.Errorf("%s: %s = %v, want %v", file, path, got, want)
			}
		}
	}
}

func TestTheUnixVariantDiffersOnlyInTheAddress(t *testing.T) {
	tcp, unix := shipped(t, "envoy.yaml"), shipped(t, "envoy-unix.yaml")
	const address = "/run/rolegate/ext_authz.sock"
	if err := tcp.Point("rolegate", address); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"admin", "overload_manager", "static_resources"} {
		var want, got any
		if err := tcp.Get(part, &want); err != nil {
			t.Fatal(err)
		}
		if err := unix.Get(part, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s of envoy-unix.yaml is not envoy.yaml's with %s (-want +got):\n%s", part, address, diff)
		}
	}
}

// TestVariationsOfTheReadme puts each YAML block of the README where it says, under the
// virtual host, and has Envoy check the result.
func TestVariationsOfTheReadme(t *testing.T) {
	envoytest.Require(t)
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) < 2 {
		t.Fatalf("the README has %d YAML blocks, want at least 2", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		const host = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0"
		c, merged := shipped(t, "envoy.yaml"), map[string]any{}
		if err := errors.Join(c.Get(host, &merged), yaml.Unmarshal([]byte(block), &merged), c.Set(host, merged)); err != nil {
			t.Fatal(err)
		}
		if err := envoy.Validate(t.Context(), c, t.TempDir()); err != nil {
			t.Errorf("with\n%s%v", block, err)
		}
	}
}

func configurations(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Fatalf("found %v, want at least the TCP and the unix variant", files)
	}
	return files
}

func shipped(t *testing.T, file string) *envoy.Config {
	t.Helper()
	c, err := envoy.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
