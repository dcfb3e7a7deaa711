package identity

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rolegate/rolegate/proxy/identity/token"
)

// metrics counts what identity does. No label holds anything of a credential.
type metrics struct {
	validations *prometheus.CounterVec // by result
	refreshes   *prometheus.CounterVec
	verified    prometheus.Counter // of validations, looked up once
	remembered  prometheus.Counter
	refreshed   prometheus.Counter
	unreadable  prometheus.Counter
	broken      prometheus.Gauge
}

func newMetrics() *metrics {
	validations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rolegate_jwt_validations_total",
		Help: "Tokens that were looked at, by result: verified, remembered, or why they are bad.",
	}, []string{"result"})
	refreshes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rolegate_jwks_refreshes_total",
		Help: "Key files that were taken into use (ok), and looks at a file that was of no use (error).",
	}, []string{"result"})
	broken := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rolegate_jwks_broken",
		Help: "Key files that were of no use when last looked at; their last good keys stay in use.",
	})
	return &metrics{
		validations: validations,
		refreshes:   refreshes,
		verified:    validations.WithLabelValues("verified"),
		remembered:  validations.WithLabelValues("remembered"),
		refreshed:   refreshes.WithLabelValues("ok"),
		unreadable:  refreshes.WithLabelValues("error"),
		broken:      broken,
	}
}

// register registers the metrics with reg; nil is nowhere.
func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	if err := errors.Join(reg.Register(m.validations), reg.Register(m.refreshes), reg.Register(m.broken)); err != nil {
		return fmt.Errorf("register the metrics of identity: %w", err)
	}
	return nil
}

// bad counts a bad credential by its word.
func (m *metrics) bad(err error) {
	if word, ok := errors.AsType[token.Error](err); ok {
		m.validations.WithLabelValues(string(word)).Inc()
	}
}
