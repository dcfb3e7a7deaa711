package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Engine is one reading of the decision engine: counts since the start, and what
// answers now. The engine keeps them as plain numbers, because it knows no metrics.
type Engine struct {
	Hits, Misses, Waits, Bypassed uint64
	Stored, Dropped               uint64
	Generation                    uint64            // 0 before the first bundle
	Revisions                     map[string]string // bundle → revision
}

// RegisterEngine registers the metrics of the engine; read is called at each scrape,
// from any goroutine.
func RegisterEngine(reg prometheus.Registerer, read func() Engine) error {
	return reg.Register(engine{
		read: read,
		requests: prometheus.NewDesc("rolegate_cache_requests_total",
			"Questions to the decision cache: hit (answered from it), miss (evaluated), "+
				"wait (answered by another request's evaluation), bypass (may not be remembered).",
			[]string{"result"}, nil),
		sets: prometheus.NewDesc("rolegate_cache_sets_total",
			"Decisions handed to the cache: accepted, or dropped because it was busy. "+
				"An accepted one may still be turned away for a more frequent one.",
			[]string{"result"}, nil),
		generation: prometheus.NewDesc("rolegate_bundle_generation",
			"Number of the set of bundles that answers; 0 before the first.", nil, nil),
		info: prometheus.NewDesc("rolegate_bundle_info",
			"1 for each active bundle and its revision.", []string{"bundle", "revision"}, nil),
	})
}

type engine struct {
	read                             func() Engine
	requests, sets, generation, info *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (e engine) Describe(ch chan<- *prometheus.Desc) {
	ch <- e.requests
	ch <- e.sets
	ch <- e.generation
	ch <- e.info
}

// Collect implements [prometheus.Collector].
func (e engine) Collect(ch chan<- prometheus.Metric) {
	now := e.read()
	count := func(d *prometheus.Desc, n uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label)
	}
	count(e.requests, now.Hits, "hit")
	count(e.requests, now.Misses, "miss")
	count(e.requests, now.Waits, "wait")
	count(e.requests, now.Bypassed, "bypass")
	count(e.sets, now.Stored, "accepted")
	count(e.sets, now.Dropped, "dropped")
	ch <- prometheus.MustNewConstMetric(e.generation, prometheus.GaugeValue, float64(now.Generation))
	for bundle, revision := range now.Revisions {
		ch <- prometheus.MustNewConstMetric(e.info, prometheus.GaugeValue, 1, bundle, revision)
	}
}
