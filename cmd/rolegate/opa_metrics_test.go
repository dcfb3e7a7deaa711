package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// The metrics that dashboards of opa-envoy-plugin read go on under their names.
func TestMetricsOfOPAEnvoyPlugin(t *testing.T) {
	reg := prometheus.NewRegistry()
	r, err := newOPARecorder(opaMetrics{Buckets: []float64{0.01, 1}}, reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []proxy.Record{
		{Protocol: proxy.ProtocolGRPC, Verdict: policy.VerdictAllow, Reason: policy.ReasonAllowed, Duration: time.Millisecond},
		{Protocol: proxy.ProtocolGRPC, Verdict: policy.VerdictDeny, Reason: policy.ReasonExplicitDeny, Duration: time.Second},
		{Protocol: proxy.ProtocolGRPC, Verdict: policy.VerdictError, Reason: policy.ReasonPolicyError, Error: "x", Duration: time.Millisecond},
		{Protocol: proxy.ProtocolGRPC, Verdict: policy.VerdictError, Reason: policy.ReasonMalformedRequest, Error: "x", Duration: time.Millisecond},
		{Protocol: proxy.ProtocolGRPC, Verdict: policy.VerdictError, Reason: policy.ReasonTimeout, Error: "x", Duration: time.Second},
		{Protocol: proxy.ProtocolGRPC, Verdict: policy.VerdictError, Reason: policy.ReasonNotReady, Error: "x"},
		{Protocol: proxy.ProtocolReverse, Verdict: policy.VerdictError, Reason: policy.ReasonTimeout, Error: "x"},
	} {
		r.Record(record)
	}
	want := []string{
		"error_counter reason=check_request_timeout 1",
		"error_counter reason=envoyauth_eval_error 1",
		"error_counter reason=request_parse_error 1",
		"error_counter reason=unknown_context_error 1",
		"grpc_request_duration_seconds handler=check 6",
	}
	if diff := cmp.Diff(want, gathered(t, reg, "error_counter", "grpc_request_duration_seconds")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// gathered are the metrics of some names, as lines.
func gathered(t *testing.T, reg prometheus.Gatherer, names ...string) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if !slices.Contains(names, f.GetName()) {
				continue
			}
			line := f.GetName()
			for _, l := range m.GetLabel() {
				line += " " + l.GetName() + "=" + l.GetValue()
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			lines = append(lines, fmt.Sprintf("%s %v", line, value))
		}
	}
	slices.Sort(lines)
	return lines
}
