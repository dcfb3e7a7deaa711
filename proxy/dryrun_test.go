package proxy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// TestDryRun: what the policy denies passes, remembered or not, and is recorded and
// counted as denied; what nobody could decide is denied.
func TestDryRun(t *testing.T) {
	const rego = "package mine\n\ndecision := input.route.error == \"x\" if input.route\n\ndecision := 1 if input.broken\n"
	reg := prometheus.NewRegistry()
	var records recorded
	e := engineWith(t, policy.Config{Timeout: time.Minute, AuditEvery: -1}, rego, "")
	g, err := proxy.New(proxy.Config{DryRun: true, Profile: proxy.ProfileOPAEnvoy}, e, nil, []proxy.Recorder{&records}, reg, now, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r request) proxy.Answer { return g.Check(t.Context(), r.inbound(t)) }
	for range 50 {
		a := ask(request{Protocol: proxy.ProtocolGRPC, Method: "GET", Host: "h", Path: "/"})
		if !a.Passes() || a.Effect != policy.Deny || len(a.Reply.RemoveHeaders) == 0 {
			t.Fatalf("got %+v, want a denial that passes", a)
		}
	}
	for name, r := range map[string]request{
		"no decision": {Method: "GET", Host: "h", Path: "/", Rest: []byte(`{"broken": true}`)},
		"no request":  {Method: "GET", Host: "h", Path: "/%zz"},
	} {
		if a := ask(r); a.Passes() {
			t.Errorf("%s: got %+v, want a denial", name, a)
		}
	}
	for _, r := range records {
		if !r.DryRun || r.Effect != policy.Deny {
			t.Errorf("recorded as %+v", r)
		}
	}
	want := []string{"rolegate_dry_run 1", "rolegate_dry_run_lifted_total 50", "rolegate_route_unmatched_total 51"}
	if diff := cmp.Diff(want, gathered(t, reg, "rolegate_dry_run", "rolegate_dry_run_lifted_total", "rolegate_route_unmatched_total")); diff != "" {
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

// TestDryRunLiftsDenialsAlone: what the policy allows was not let through in spite of it.
func TestDryRunLiftsDenialsAlone(t *testing.T) {
	reg := prometheus.NewRegistry()
	g, err := proxy.New(proxy.Config{DryRun: true}, engine(t, "package mine\n\ndecision := true", ""), nil, nil, reg, now, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	if a := g.Check(t.Context(), get("/")); !a.Passes() || a.Effect != policy.Allow {
		t.Errorf("got %+v, want an allow", a)
	}
	if diff := cmp.Diff([]string{"rolegate_dry_run_lifted_total 0"}, gathered(t, reg, "rolegate_dry_run_lifted_total")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
