package doctor

import (
	"fmt"
	"strings"
	"time"
)

// longest is how long a check may take before waiting clients do more harm than errors.
const longest = time.Second

// filter looks at one ext_authz filter.
func (e *examination) filter(at string, f, config any) {
	e.switches(at, f, config)
	e.failures(at, config)
	e.changes(at, config)
	service := child(config, "grpc_service")
	over := "grpc_service"
	name := text(service, "envoy_grpc", "cluster_name")
	if service == nil {
		service, over = child(config, "http_service"), "http_service"
		name = text(service, "server_uri", "cluster")
	}
	e.timeout(at, over, service)
	e.reached(at, service, name, over == "grpc_service")
}

// reached looks at who a filter asks.
func (e *examination) reached(at string, service any, name string, grpc bool) {
	if name == "" && child(service, "google_grpc") != nil {
		e.warn("google_grpc", at, "Google's gRPC client has no health checks", "envoy_grpc with a cluster of its own")
		return
	}
	e.cluster(at, name, grpc)
}

// connections looks at the filters of a listener that ask about connections.
func (e *examination) connections(listener any) {
	at := "listener " + text(listener, "name")
	for _, config := range ofType(listener, typeNetwork) {
		e.Filters++
		if truth(config, "failure_mode_allow") {
			e.fail("failure_mode_allow", at, "every error, and every time-out, lets the connection pass", "failure_mode_allow: false")
		}
		e.version3(at, config)
		service := child(config, "grpc_service")
		e.timeout(at, "grpc_service", service)
		e.reached(at, service, text(service, "envoy_grpc", "cluster_name"), true)
	}
}

// switches looks at what lets requests pass unasked.
func (e *examination) switches(at string, f, config any) {
	if truth(f, "disabled") {
		e.fail("filter_disabled", at, "the filter is disabled unless a route enables it", "disabled: false")
	}
	if truth(config, "shadow_mode") {
		e.fail("shadow_mode", at, "the filter asks and does not enforce", "shadow_mode: false")
	}
	if enabled := child(config, "filter_enabled"); enabled != nil && !everyRequest(child(enabled, "default_value")) {
		e.fail("filter_enabled", at, "only a part of the requests is asked about", "no filter_enabled, or 100 %")
	}
	if child(config, "filter_enabled_metadata") != nil {
		e.warn("filter_enabled_metadata", at, "what other filters note decides whether rolegate is asked", "no filter_enabled_metadata")
	}
	if truth(config, "failure_mode_allow") {
		e.fail("failure_mode_allow", at, "every error, and every time-out, lets the request pass", "failure_mode_allow: false")
	}
}

func everyRequest(fraction any) bool {
	n, _ := child(fraction, "numerator").(float64)
	switch text(fraction, "denominator") {
	case "", "HUNDRED":
		return n >= 100
	case "TEN_THOUSAND":
		return n >= 10_000
	default:
		return n >= 1_000_000
	}
}

// failures looks at what users see when no answer is had.
func (e *examination) failures(at string, config any) {
	if code := text(config, "status_on_error", "code"); code != "ServiceUnavailable" {
		e.warn("status_on_error", at, "an outage looks like a denial: without an answer the status is "+orDefault(code, "Forbidden"),
			"status_on_error: {code: ServiceUnavailable}")
	}
	e.version3(at, config)
}

func (e *examination) version3(at string, config any) {
	if v := text(config, "transport_api_version"); v != "" && v != "V3" && v != "AUTO" {
		e.fail("api_version", at, "transport_api_version is "+v, "V3")
	}
}

// changes looks at what reaches rolegate, and at what it may change.
func (e *examination) changes(at string, config any) {
	if !truth(config, "validate_mutations") {
		e.warn("validate_mutations", at, "a header that Envoy cannot send is dropped in silence", "validate_mutations: true")
	}
	switch rules := child(config, "decoder_header_mutation_rules"); {
	case rules == nil:
		e.warn("mutation_rules", at, "whoever answers may set headers that frame or route a request",
			"decoder_header_mutation_rules with disallow_is_error: true and a disallow_expression (deploy/envoy/envoy.yaml)")
	case !truth(rules, "disallow_is_error"):
		e.warn("mutation_rules", at, "a header that the rules refuse is dropped in silence, and the request goes on without it",
			"decoder_header_mutation_rules: {disallow_is_error: true}")
	}
	if truth(config, "clear_route_cache") {
		e.warn("clear_route_cache", at, "headers of a decision may choose another route than the one that was decided about", "clear_route_cache: false")
	}
	if body := child(config, "with_request_body"); truth(body, "allow_partial_message") {
		e.warn("partial_body", at, "a policy may see the beginning of a body only", "allow_partial_message: false, unless no policy reads the body")
	}
	if child(config, "grpc_service") != nil && !truth(config, "encode_raw_headers") {
		e.warn("raw_headers", at, "copies of a header are joined with a comma, and bytes that are not UTF-8 become \"!\"", "encode_raw_headers: true")
	}
}

func (e *examination) timeout(at, over string, service any) {
	given := text(service, "timeout")
	if over == "http_service" {
		given = text(service, "server_uri", "timeout")
	}
	if given == "" {
		return // 200 ms
	}
	if d, err := time.ParseDuration(given); err != nil || d <= 0 || d > longest {
		e.warn("timeout", at, fmt.Sprintf("%s.timeout is %s: clients wait that long when rolegate hangs", over, given), "0.25s to 1s")
	}
}

// cluster looks at how rolegate is reached.
func (e *examination) cluster(at, name string, grpc bool) {
	c, ok := e.clusters[name]
	if !ok {
		e.fail("cluster_missing", at, fmt.Sprintf("cluster %q is not configured", name), "a cluster with rolegate's address")
		return
	}
	where := "cluster " + name
	checks := list(c, "health_checks")
	if len(checks) == 0 {
		e.warn("health_check_missing", where, "requests go to a rolegate that is not ready, or ends", "a health check, with unhealthy_threshold: 1")
	}
	for _, check := range checks {
		if grpc && child(check, "grpc_health_check") == nil {
			e.warn("health_check_kind", where, "the health check does not ask what rolegate says of itself", "grpc_health_check: {}")
		}
		if truth(check, "reuse_connection") || child(check, "reuse_connection") == nil {
			e.warn("health_check_connection", where, "after a takeover the health check still asks the old server, on its old connection", "reuse_connection: false")
		}
	}
	if threshold := child(c, "common_lb_config", "healthy_panic_threshold"); threshold == nil || percent(threshold) > 0 {
		e.warn("panic_threshold", where, "when every rolegate is unhealthy, requests are sent to one all the same", "healthy_panic_threshold: {value: 0}")
	}
	e.hosts(where, e.statuses[name])
}

func percent(v any) float64 {
	n, _ := child(v, "value").(float64)
	return n
}

// hosts looks at whether anybody is there to be asked.
func (e *examination) hosts(where string, status any) {
	hosts, healthy := list(status, "host_statuses"), 0
	for _, h := range hosts {
		health, bad := members(child(h, "health_status")), false
		for key := range health {
			bad = bad || strings.HasPrefix(key, "failed_") || key == "pending_active_hc"
		}
		if !bad {
			healthy++
		}
	}
	if healthy == 0 {
		e.fail("no_healthy_host", where, fmt.Sprintf("none of %d hosts is healthy: every request is refused", len(hosts)),
			"a rolegate that is ready (`rolegate healthcheck`)")
	}
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
