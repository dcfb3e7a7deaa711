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
	unchanged   prometheus.Counter
	unreadable  prometheus.Counter
	broken      prometheus.Gauge
	credentials *prometheus.CounterVec // that are no tokens, by kind and result
}

func newMetrics() *metrics {
	validations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rolegate_jwt_validations_total",
		Help: "Tokens that were looked at, by result: verified, remembered, or why they are bad.",
	}, []string{"result"})
	refreshes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rolegate_jwks_refreshes_total",
		Help: "Key sets that were taken into use (ok), fetched and found to be those in use (unchanged), " +
			"and looks at a file or fetches that were of no use (error).",
	}, []string{"result"})
	broken := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rolegate_jwks_broken",
		Help: "Key sets that were of no use when last looked at or fetched; their last good keys stay in use.",
	})
	credentials := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rolegate_credentials_total",
		Help: "Credentials other than signed tokens that were looked at, by kind and result: verified, or why they are bad.",
	}, []string{"kind", "result"})
	return &metrics{
		validations: validations,
		refreshes:   refreshes,
		verified:    validations.WithLabelValues("verified"),
		remembered:  validations.WithLabelValues("remembered"),
		refreshed:   refreshes.WithLabelValues("ok"),
		unchanged:   refreshes.WithLabelValues("unchanged"),
		unreadable:  refreshes.WithLabelValues("error"),
		broken:      broken,
		credentials: credentials,
	}
}

// register registers the metrics with reg; nil is nowhere.
func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	if err := errors.Join(reg.Register(m.validations), reg.Register(m.refreshes), reg.Register(m.broken), reg.Register(m.credentials)); err != nil {
		return fmt.Errorf("register the metrics of identity: %w", err)
	}
	return nil
}

// bad counts a bad credential by its word.
func (m *metrics) bad(err error) {
	word, _ := errors.AsType[token.Error](err)
	m.validations.WithLabelValues(string(word)).Inc()
}

// credential counts one that is no token.
func (m *metrics) credential(kind string, err error) {
	result := "verified"
	if err != nil {
		word, _ := errors.AsType[token.Error](err)
		result = string(word)
	}
	m.credentials.WithLabelValues(kind, result).Inc()
}
