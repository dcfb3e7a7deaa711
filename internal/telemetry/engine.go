package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Engine is one reading of the decision engine: counts since the start. The engine
// keeps them as plain numbers, because it knows no metrics.
type Engine struct {
	Hits, Misses, Waits, Bypassed uint64
	Stored, Dropped               uint64
	Audits, Mismatches            uint64
	BypassedBy                    map[string]uint64 // Bypassed by reason
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
		bypassed: prometheus.NewDesc("rolegate_cache_bypass_total",
			"Questions that may not be remembered: clock (the policy reads it and promises no bound), "+
				"nondeterministic (it calls what is no function of input and data), "+
				"audit (one found another answer; until the next generation).",
			[]string{"reason"}, nil),
		sets: prometheus.NewDesc("rolegate_cache_sets_total",
			"Decisions handed to the cache: accepted, or dropped because it was busy. "+
				"An accepted one may still be turned away for a more frequent one.",
			[]string{"result"}, nil),
		audits: prometheus.NewDesc("rolegate_cache_audits_total",
			"Decisions that were evaluated again on the whole input.", nil, nil),
		mismatches: prometheus.NewDesc("rolegate_cache_audit_mismatches_total",
			"Audits that found another answer. Must stay 0.", nil, nil),
	})
}

type engine struct {
	read                     func() Engine
	requests, bypassed, sets *prometheus.Desc
	audits, mismatches       *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (e engine) Describe(ch chan<- *prometheus.Desc) {
	ch <- e.requests
	ch <- e.bypassed
	ch <- e.sets
	ch <- e.audits
	ch <- e.mismatches
}

// Collect implements [prometheus.Collector].
func (e engine) Collect(ch chan<- prometheus.Metric) {
	now := e.read()
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	count(e.requests, now.Hits, "hit")
	count(e.requests, now.Misses, "miss")
	count(e.requests, now.Waits, "wait")
	count(e.requests, now.Bypassed, "bypass")
	for reason, n := range now.BypassedBy {
		count(e.bypassed, n, reason)
	}
	count(e.sets, now.Stored, "accepted")
	count(e.sets, now.Dropped, "dropped")
	count(e.audits, now.Audits)
	count(e.mismatches, now.Mismatches)
}
