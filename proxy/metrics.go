package proxy

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
)

// metrics of the gate. No label names a subject, a tenant or anything else that a
// caller chooses.
type metrics struct {
	decisions *prometheus.CounterVec   // verdict, reason, source, protocol
	duration  *prometheus.HistogramVec // source
	unmatched prometheus.Counter
	lifted    prometheus.Counter // in a dry run
}

// newMetrics makes the metrics and registers them with reg, unless it is nil.
func newMetrics(reg prometheus.Registerer, dryRun bool) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rolegate_decisions_total",
			Help: "Decisions, by verdict, reason (custom for a policy's own), source (hit, miss, wait, bypass, none) and protocol.",
		}, []string{"verdict", "reason", "source", "protocol"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rolegate_decision_duration_seconds",
			Help: "Time from a request read to its answer made, by source.",
			Buckets: []float64{
				10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3,
			},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"source"}),
		unmatched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rolegate_route_unmatched_total",
			Help: "Requests that no route of the active bundles matches.",
		}),
		lifted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rolegate_dry_run_lifted_total",
			Help: "Requests that a policy denied and that were let through all the same: there while nothing is enforced.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.decisions, m.duration, m.unmatched}
	if dryRun {
		on := prometheus.NewGauge(prometheus.GaugeOpts{Name: "rolegate_dry_run", Help: "1 while nothing that a policy denies is stopped."})
		on.Set(1)
		all = append(all, on, m.lifted)
	}
	var err error
	for _, c := range all {
		err = errors.Join(err, reg.Register(c))
	}
	return m, err
}

// series are where answers of one kind are counted.
type series struct {
	decisions prometheus.Counter
	duration  prometheus.Observer
}

// seriesOf finds where an answer is counted: by labels, which costs more than counting.
func (m *metrics) seriesOf(a *Answer, protocol Protocol) series {
	source := string(a.Origin)
	if a.Origin == policy.OriginNone {
		source = "none"
	}
	return series{
		decisions: m.decisions.WithLabelValues(string(a.Verdict()), a.ReasonLabel(), source, string(protocol)),
		duration:  m.duration.WithLabelValues(source),
	}
}

func (m *metrics) observe(s series, r *route.Match, took time.Duration) {
	s.decisions.Inc()
	s.duration.Observe(took.Seconds())
	if r.Error == route.NoRoute {
		m.unmatched.Inc()
	}
}
