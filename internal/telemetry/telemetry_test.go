package telemetry_test

import (
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rolegate/rolegate/internal/telemetry"
)

func TestReadBuild(t *testing.T) {
	got := telemetry.ReadBuild(&debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "github.com/rolegate/rolegate", Version: "v0.1.0"},
		Deps:      []*debug.Module{{Path: "github.com/open-policy-agent/opa", Version: "v1.22.2"}},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	})
	want := telemetry.Build{Version: "v0.1.0", Revision: "abc", Modified: true, Go: "go1.26.8", OPA: "v1.22.2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("build (-want +got):\n%s", diff)
	}
	if got := telemetry.ReadBuild(nil); got != (telemetry.Build{}) {
		t.Errorf("got %+v, want the zero Build, of no build info", got)
	}
}

func TestRegistry(t *testing.T) {
	reg, err := telemetry.NewRegistry(telemetry.Build{Version: "v1", Revision: "r", Go: "g", OPA: "o"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP rolegate_build_info 1, with what this binary is as labels.
# TYPE rolegate_build_info gauge
rolegate_build_info{go="g",opa="o",revision="r",version="v1"} 1
`
	got := scrape(t, reg)
	for _, want := range []string{want[1:], "\ngo_goroutines ", "\nprocess_start_time_seconds "} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q, in:\n%s", want, got)
		}
	}
}

func TestEngine(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	now := telemetry.Engine{Hits: 1, Misses: 2, Waits: 3, Bypassed: 4, Stored: 5, Dropped: 6, Rejected: 10, Evicted: 11, Cost: 12, Capacity: 13, Shed: 14, Overdue: 15, Running: 16, Audits: 8, Mismatches: 9, BypassedBy: map[string]uint64{"clock": 3, "audit": 1}}
	if err := telemetry.RegisterEngine(reg, func() telemetry.Engine { return now }); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP rolegate_cache_audit_mismatches_total Audits that found another answer. Must stay 0.
# TYPE rolegate_cache_audit_mismatches_total counter
rolegate_cache_audit_mismatches_total 9
# HELP rolegate_cache_audits_total Decisions that were evaluated again on the whole input.
# TYPE rolegate_cache_audits_total counter
rolegate_cache_audits_total 8
# HELP rolegate_cache_bypass_total Questions that may not be remembered: clock (the policy reads it and promises no bound), nondeterministic (it calls what is no function of input and data), audit (one found another answer; until the next generation).
# TYPE rolegate_cache_bypass_total counter
rolegate_cache_bypass_total{reason="audit"} 1
rolegate_cache_bypass_total{reason="clock"} 3
# HELP rolegate_cache_capacity Entries that the cache can hold.
# TYPE rolegate_cache_capacity gauge
rolegate_cache_capacity 13
# HELP rolegate_cache_cost Entries that the cache holds; a decision with a long key counts as several.
# TYPE rolegate_cache_cost gauge
rolegate_cache_cost 12
# HELP rolegate_cache_evictions_total Decisions that left the cache: for others, or because their time was over.
# TYPE rolegate_cache_evictions_total counter
rolegate_cache_evictions_total 11
# HELP rolegate_cache_requests_total Questions to the decision cache: hit (answered from it), miss (evaluated), wait (answered by another request's evaluation), bypass (may not be remembered).
# TYPE rolegate_cache_requests_total counter
rolegate_cache_requests_total{result="bypass"} 4
rolegate_cache_requests_total{result="hit"} 1
rolegate_cache_requests_total{result="miss"} 2
rolegate_cache_requests_total{result="wait"} 3
# HELP rolegate_cache_sets_total Decisions handed to the cache: accepted, or dropped because it was busy; and, of the accepted, those it then rejected for more frequent ones.
# TYPE rolegate_cache_sets_total counter
rolegate_cache_sets_total{result="accepted"} 5
rolegate_cache_sets_total{result="dropped"} 6
rolegate_cache_sets_total{result="rejected"} 10
# HELP rolegate_evaluations_overdue_total Evaluations that still ran a second after their time limit.
# TYPE rolegate_evaluations_overdue_total counter
rolegate_evaluations_overdue_total 15
# HELP rolegate_evaluations_running Evaluations that run now.
# TYPE rolegate_evaluations_running gauge
rolegate_evaluations_running 16
# HELP rolegate_evaluations_shed_total Questions that were refused because too many evaluations were running.
# TYPE rolegate_evaluations_shed_total counter
rolegate_evaluations_shed_total 14
`
	if diff := cmp.Diff(want[1:], scrape(t, reg)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// scrape answers what Prometheus would read.
func scrape(t *testing.T, reg prometheus.Gatherer) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	return w.Body.String()
}
