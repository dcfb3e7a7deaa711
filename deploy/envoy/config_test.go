// Package envoy_test checks the Envoy configurations that ship.
package envoy_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/rolegate/rolegate/internal/lab/certs"
	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
)

func TestEnvoyAcceptsEveryConfiguration(t *testing.T) {
	envoytest.Require(t)
	for _, file := range configurations(t) {
		t.Run(file, func(t *testing.T) {
			c := shipped(t, file)
			if file == "envoy-mtls.yaml" {
				withCertificates(t, c, "static_resources/clusters/name=rolegate")
			}
			if err := envoy.Validate(t.Context(), c, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestConnections: the configuration for connections that are not HTTP fails closed too.
func TestConnections(t *testing.T) {
	c := shipped(t, "network/envoy.yaml")
	const chain = "static_resources/listeners/0/filter_chains/0"
	for path, want := range map[string]any{
		"admin/address/socket_address/address":                              "127.0.0.1",
		chain + "/transport_socket/typed_config/require_client_certificate": true,
		chain + "/filters/0/name":                                           "envoy.filters.network.ext_authz",
		chain + "/filters/0/typed_config/failure_mode_allow":                false,
		chain + "/filters/0/typed_config/include_tls_session":               true,
	} {
		var got any
		if err := c.Get(path, &got); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", path, got, err, want)
		}
	}
	envoytest.Require(t)
	withCertificates(t, c, chain)
	if err := envoy.Validate(t.Context(), c, t.TempDir()); err != nil {
		t.Error(err)
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
	always := map[string]any{
		"admin/address/socket_address/address":                               "127.0.0.1",
		hcm + "normalize_path":                                               true,
		hcm + "merge_slashes":                                                true,
		hcm + "path_with_escaped_slashes_action":                             "REJECT_REQUEST",
		hcm + "common_http_protocol_options/headers_with_underscores_action": "REJECT_REQUEST",
		hcm + "strip_any_host_port":                                          true,
		hcm + "strip_trailing_host_dot":                                      true,
		hcm + "use_remote_address":                                           true,
		authz + "failure_mode_allow":                                         false,
		authz + "status_on_error/code":                                       "ServiceUnavailable",
		authz + "clear_route_cache":                                          false,
		authz + "validate_mutations":                                         true,
		authz + "enforce_response_header_limits":                             true,
		authz + "decoder_header_mutation_rules/disallow_is_error/value":      true,
		gate + "common_lb_config/healthy_panic_threshold/value":              0,
		authz + "max_denied_response_body_bytes":                             16384,
		gate + "health_checks/0/unhealthy_threshold":                         1,
		gate + "health_checks/0/interval":                                    "0.5s",
		hcm + "http_filters/1/name":                                          "envoy.filters.http.router",
		hcm + "access_log/0/typed_config/log_format/json_format/path":        "%PATH(NQ)%",
		gate + "circuit_breakers/thresholds/0/max_retries":                   1024,
		gate + "circuit_breakers/thresholds/0/max_requests":                  1024,
		gate + "circuit_breakers/thresholds/0/max_pending_requests":          1024,
	}
	const decision = hcm + "access_log/0/typed_config/log_format/json_format/decision_id"
	const keepalive = gate + "typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/explicit_http_config/http2_protocol_options/connection_keepalive"
	grpc := map[string]any{
		authz + "grpc_service/retry_policy/retry_on": "connect-failure,refused-stream,reset,unavailable",
		authz + "grpc_service/timeout":               "0.5s",
		authz + "encode_raw_headers":                 true,
		gate + "health_checks/0/grpc_health_check":   map[string]any{},
		keepalive: map[string]any{"interval": "10s", "timeout": "2s"},
		decision:  "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%",
	}
	http := map[string]any{
		authz + "http_service/retry_policy/retry_on":                                                                                                "connect-failure,refused-stream,reset",
		authz + "http_service/server_uri/timeout":                                                                                                   "0.5s",
		gate + "health_checks/0/http_health_check/path":                                                                                             "/readyz",
		authz + "http_service/path_prefix":                                                                                                          "/ext_authz",
		authz + "allowed_headers/patterns/0/safe_regex/regex":                                                                                       ".*", // impostors' headers too
		authz + "http_service/authorization_response/allowed_upstream_headers/patterns/0/exact":                                                     "x-rolegate-subject",
		authz + "http_service/authorization_response/allowed_upstream_headers/patterns/1/exact":                                                     "x-rolegate-tenant",
		authz + "http_service/authorization_response/allowed_upstream_headers/patterns/2/exact":                                                     "x-rolegate-roles",
		gate + "typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/explicit_http_config/http_protocol_options": map[string]any{},
		decision: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:x-rolegate-decision-id)%",
	}
	for _, file := range configurations(t) {
		c, want, service := shipped(t, file), maps.Clone(always), "grpc_service"
		if file == "envoy-http.yaml" {
			service = "http_service"
			maps.Copy(want, http)
		} else {
			maps.Copy(want, grpc)
		}
		retry := authz + service + "/retry_policy/"
		maps.Copy(want, map[string]any{
			retry + "num_retries":                       8,
			retry + "retry_back_off/base_interval":      "0.01s",
			retry + "retry_back_off/max_interval":       "0.25s",
			retry + "retry_host_predicate/0/name":       "envoy.retry_host_predicates.previous_hosts",
			retry + "host_selection_retry_max_attempts": 5,
		})
		for path, value := range want {
			var got any
			if err := c.Get(path, &got); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if diff := cmp.Diff(value, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", file, path, diff)
			}
		}
	}
}

// TestVariantsDifferOnlyInTheWay takes out, of both configurations, what a variant is
// there for. All else is the same.
func TestVariantsDifferOnlyInTheWay(t *testing.T) {
	const (
		authz   = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/name=envoy.filters.http.ext_authz/typed_config"
		cluster = "static_resources/clusters/name=rolegate"
		fields  = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log/0/typed_config/log_format/json_format"
	)
	for file, differs := range map[string]map[string][]string{
		"envoy-unix.yaml": {cluster: {"load_assignment"}},
		"envoy-mtls.yaml": {cluster: {"transport_socket"}},
		"envoy-http.yaml": {
			authz:   {"grpc_service", "http_service", "encode_raw_headers", "allowed_headers", "disallowed_headers"},
			cluster: {"typed_extension_protocol_options", "health_checks", "circuit_breakers", "load_assignment"},
			fields:  {"decision_id"},
		},
	} {
		tcp, variant := shipped(t, "envoy.yaml"), shipped(t, file)
		for path, keys := range differs {
			for _, c := range []*envoy.Config{tcp, variant} {
				part := map[string]any{}
				if err := c.Get(path, &part); err != nil {
					t.Fatal(err)
				}
				for _, key := range keys {
					delete(part, key)
				}
				if err := c.Set(path, part); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, part := range []string{"admin", "overload_manager", "static_resources"} {
			var want, got any
			if err := errors.Join(tcp.Get(part, &want), variant.Get(part, &got)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of %s is not envoy.yaml's (-want +got):\n%s", part, file, diff)
			}
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

// withCertificates has a configuration read files that are there.
func withCertificates(t *testing.T, c *envoy.Config, path string) {
	t.Helper()
	authority, err := certs.New("test")
	if err != nil {
		t.Fatal(err)
	}
	f, err := authority.Issue(t.TempDir(), "envoy", "spiffe://example.org/envoy")
	if err == nil {
		err = c.TLSFiles(path, f.Cert, f.Key, f.CA)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func configurations(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 {
		t.Fatalf("found %v, want the TCP, the unix, the mTLS and the HTTP variant", files)
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
