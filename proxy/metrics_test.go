package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy"
)

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	const rego = `package rolegate

decision := {"allow": false, "reason": input.route.error, "valid_until": null} if input.route.error

decision := {"allow": true, "reason": "the policy's own words", "valid_until": null} if input.route.id == "r"`
	const data = `{"routes": {"s": {"prefixes": ["/a"], "routes": [{"id": "r", "methods": ["GET"], "path": "/a"}]}}}`
	g, err := proxy.New(proxy.Config{}, engine(t, rego, data), nil, nil, reg, now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []proxy.Inbound{
		{Protocol: proxy.ProtocolGRPC, Method: "GET", Path: "/a"},
		{Protocol: proxy.ProtocolReverse, Method: "GET", Path: "/other/subject-in-a-path"},
		{Protocol: proxy.ProtocolGRPC, Method: "GET", Path: "/.."},
	} {
		g.Check(t.Context(), in)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			count := m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			got = append(got, fmt.Sprintf("%s{%s} %v", f.GetName(), strings.Join(labels, ","), count))
		}
	}
	want := []string{
		"rolegate_decision_duration_seconds{source=miss} 2",
		"rolegate_decision_duration_seconds{source=none} 1",
		"rolegate_decisions_total{protocol=grpc,reason=custom,source=miss,verdict=allow} 1",
		"rolegate_decisions_total{protocol=grpc,reason=malformed_request,source=none,verdict=error} 1",
		"rolegate_decisions_total{protocol=reverse,reason=no_route,source=miss,verdict=no_route} 1",
		"rolegate_route_unmatched_total{} 1",
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := proxy.New(proxy.Config{}, engine(t, "", ""), nil, nil, reg, now, zap.NewNop()); err == nil {
		t.Error("two gates share a registry")
	}
}

// TestMetricsThatAreTaken: a gate that cannot be counted does not begin.
func TestMetricsThatAreTaken(t *testing.T) {
	names := []string{"rolegate_decisions_total", "rolegate_decision_duration_seconds", "rolegate_route_unmatched_total"}
	dry := []string{"rolegate_dry_run", "rolegate_dry_run_lifted_total"}
	for _, dryRun := range []bool{false, true} {
		for _, name := range append(append([]string{""}, names...), dry...) {
			reg := prometheus.NewRegistry()
			if name != "" {
				reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "somebody else's"}))
			}
			_, err := proxy.New(proxy.Config{DryRun: dryRun}, engine(t, "", ""), nil, nil, reg, now, zap.NewNop())
			want := slices.Contains(names, name) || dryRun && slices.Contains(dry, name)
			if (err != nil) != want {
				t.Errorf("dry run %t, %q is taken: got %v, want an error: %t", dryRun, name, err, want)
			}
		}
	}
}
