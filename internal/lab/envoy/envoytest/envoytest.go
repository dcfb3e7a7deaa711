// Package envoytest gives a test a real Envoy.
package envoytest

import (
	"context"
	"os"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// Start runs Envoy for one test: it is ready when Start returns and has ended when
// the test has. A test that fails shows what Envoy said.
func Start(tb testing.TB, cfg *envoy.Config) *envoy.Envoy {
	tb.Helper()
	Require(tb)
	// Not the test's own context: it is done before the clean-up that stops Envoy.
	e, err := envoy.Start(context.WithoutCancel(tb.Context()), cfg, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Stop(); err != nil {
			tb.Errorf("envoy did not end well: %v", err)
		}
		if tb.Failed() {
			tb.Logf("envoy's log:\n%s", tail(e.Log()))
			tb.Logf("envoy's access log, its end:\n%s", tail(e.AccessLog()))
		}
	})
	return e
}

// Require skips a test where there is no Envoy and none can be installed. With
// CI=true it fails instead: a suite that skips its end-to-end tests is not green.
func Require(tb testing.TB) {
	tb.Helper()
	_, err := envoy.Find(tb.Context())
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
}

// tail is the last 16 KiB.
func tail(s string) string {
	const most = 16 << 10
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
