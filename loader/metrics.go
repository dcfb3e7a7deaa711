package loader

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rolegate/rolegate/policy"
)

// Values of the label result.
const (
	resultOK       = "ok"       // decides
	resultInvalid  = "invalid"  // a bundle is wrong in itself
	resultConflict = "conflict" // bundles do not go together
)

// Metrics are a loader's numbers. A nil *Metrics counts nothing.
type Metrics struct {
	loads       *prometheus.CounterVec
	duration    prometheus.Histogram
	success     prometheus.Gauge
	attempt     prometheus.Gauge
	info        *prometheus.GaugeVec
	current     prometheus.Gauge
	watching    prometheus.Gauge
	degradation prometheus.Gauge
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &Metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rolegate_bundle_loads_total", Help: "Attempts to decide on newer bundles, by what they came to: ok, invalid, conflict.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rolegate_bundle_load_duration_seconds", Help: "From bundles read to bundles that decide.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14), // 5 ms to 41 s
		}),
		success: gauge("rolegate_bundle_last_success_timestamp_seconds", "When newer bundles last began to decide."),
		attempt: gauge("rolegate_bundle_last_attempt_timestamp_seconds", "When newer bundles were last tried."),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rolegate_bundle_info", Help: "1 for each bundle and the revision of it that decides.",
		}, []string{"bundle", "revision"}),
		current:     gauge("rolegate_bundle_generation", "The generation that decides; 0 for none."),
		watching:    gauge("rolegate_bundle_watching", "1 while changes are told by the system, 0 while they are found by looking now and then."),
		degradation: gauge("rolegate_bundle_degraded", "1 while something newer than what decides is there and is refused, or something is missing."),
	}
	for _, result := range []string{resultOK, resultInvalid, resultConflict} {
		m.loads.WithLabelValues(result)
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.loads, m.duration, m.success, m.attempt, m.info, m.current, m.watching, m.degradation} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// load counts an attempt that came to nothing.
func (m *Metrics) load(result string, now time.Time) {
	if m == nil {
		return
	}
	m.loads.WithLabelValues(result).Inc()
	m.attempt.Set(seconds(now))
}

func (m *Metrics) installed(generation uint64, deciding []*bundle, took time.Duration, now time.Time) {
	if m == nil {
		return
	}
	m.load(resultOK, now)
	m.duration.Observe(took.Seconds())
	m.success.Set(seconds(now))
	m.current.Set(float64(generation))
	m.info.Reset()
	for _, b := range deciding {
		m.info.WithLabelValues(b.name, b.version()).Set(1)
	}
}

func (m *Metrics) state(watching, degraded bool) {
	if m == nil {
		return
	}
	m.watching.Set(truth(watching))
	m.degradation.Set(truth(degraded))
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// resultOf tells faults of one bundle from those between bundles.
func resultOf(problems policy.Problems) string {
	for _, p := range problems {
		if p.Code == codeRootsOverlap {
			return resultConflict
		}
	}
	return resultInvalid
}
