package extauthz

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy/certs"
)

// loadCerts reads the certificate of a listener; nil when it has none. The error names
// the settings by their field.
func loadCerts(cfg certs.Config, field string, log *zap.Logger) (*certs.Certs, error) {
	if !cfg.Enabled() {
		return nil, nil //nolint:nilnil // a listener without TLS is no error
	}
	c, err := certs.New(cfg, log)
	if err == nil {
		err = c.Load()
	}
	if err != nil {
		return nil, fmt.Errorf("%s.tls: %w", field, err)
	}
	return c, nil
}

// follow has c follow its files until stop, which waits for it; c may be nil.
func follow(ctx context.Context, c *certs.Certs) (stop func()) {
	if c == nil {
		return func() {}
	}
	// The last connections of a drain, too, are made with the newest certificate.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx) // always nil
	}()
	return func() {
		cancel()
		<-done
	}
}
