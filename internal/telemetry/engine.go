package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Engine is one reading of the decision engine: counts since the start. The engine
// keeps them as plain numbers, because it knows no metrics.
type Engine struct {
	Hits, Misses, Waits, Bypassed      uint64
	BypassedBy                         map[string]uint64 // Bypassed by reason
	Stored, Dropped, Rejected, Evicted uint64
	Cost, Capacity                     uint64 // entries now, and at most
	Audits, Mismatches                 uint64
	Shed, Overdue, Running             uint64
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
			"Decisions handed to the cache: accepted, or dropped because it was busy; and, of the "+
				"accepted, those it then rejected for more frequent ones.",
			[]string{"result"}, nil),
		evictions: prometheus.NewDesc("rolegate_cache_evictions_total",
			"Decisions that left the cache: for others, or because their time was over.", nil, nil),
		cost: prometheus.NewDesc("rolegate_cache_cost",
			"Entries that the cache holds; a decision with a long key counts as several.", nil, nil),
		capacity: prometheus.NewDesc("rolegate_cache_capacity", "Entries that the cache can hold.", nil, nil),
		shed: prometheus.NewDesc("rolegate_evaluations_shed_total",
			"Questions that were refused because too many evaluations were running.", nil, nil),
		overdue: prometheus.NewDesc("rolegate_evaluations_overdue_total",
			"Evaluations that still ran a second after their time limit.", nil, nil),
		running: prometheus.NewDesc("rolegate_evaluations_running", "Evaluations that run now.", nil, nil),
		audits: prometheus.NewDesc("rolegate_cache_audits_total",
			"Decisions that were evaluated again on the whole input.", nil, nil),
		mismatches: prometheus.NewDesc("rolegate_cache_audit_mismatches_total",
			"Audits that found another answer. Must stay 0.", nil, nil),
	})
}

type engine struct {
	read                      func() Engine
	requests, bypassed, sets  *prometheus.Desc
	evictions, cost, capacity *prometheus.Desc
	audits, mismatches        *prometheus.Desc
	shed, overdue, running    *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (e engine) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		e.requests, e.bypassed, e.sets, e.evictions, e.cost, e.capacity, e.audits, e.mismatches, e.shed, e.overdue, e.running,
	} {
		ch <- d
	}
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
	count(e.sets, now.Rejected, "rejected")
	count(e.evictions, now.Evicted)
	count(e.audits, now.Audits)
	count(e.mismatches, now.Mismatches)
	count(e.shed, now.Shed)
	count(e.overdue, now.Overdue)
	gauge := func(d *prometheus.Desc, n uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	gauge(e.cost, now.Cost)
	gauge(e.capacity, now.Capacity)
	gauge(e.running, now.Running)
}
