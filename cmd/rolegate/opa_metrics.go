package main

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// opaMetrics has the metrics of opa-envoy-plugin kept too, under their names.
type opaMetrics struct {
	Buckets []float64 // of the histogram, in seconds; nil: the plugin's own
}

// opaRecorder keeps them.
type opaRecorder struct {
	duration prometheus.Observer
	errors   *prometheus.CounterVec // reason
}

func newOPARecorder(cfg opaMetrics, reg prometheus.Registerer) (*opaRecorder, error) {
	if cfg.Buckets == nil {
		cfg.Buckets = []float64{1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 3e-3, 5e-3, 0.1, 1}
	}
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "grpc_request_duration_seconds", Help: "A histogram of duration for grpc authz requests.", Buckets: cfg.Buckets,
	}, []string{"handler"})
	faults := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "error_counter", Help: "A counter for errors"}, []string{"reason"})
	if err := errors.Join(reg.Register(duration), reg.Register(faults)); err != nil {
		return nil, fmt.Errorf("register the metrics of opa-envoy-plugin: %w", err)
	}
	return &opaRecorder{duration: duration.WithLabelValues("check"), errors: faults}, nil
}

// Record implements [proxy.Recorder].
func (r *opaRecorder) Record(record proxy.Record) {
	if record.Protocol != proxy.ProtocolGRPC {
		return
	}
	r.duration.Observe(record.Duration.Seconds())
	if record.Error == "" || record.Verdict != policy.VerdictError {
		return
	}
	reason := "unknown_context_error"
	switch record.Reason {
	case policy.ReasonMalformedRequest:
		reason = "request_parse_error"
	case policy.ReasonTimeout:
		reason = "check_request_timeout"
	case policy.ReasonPolicyError:
		reason = "envoyauth_eval_error"
	}
	r.errors.WithLabelValues(reason).Inc()
}
