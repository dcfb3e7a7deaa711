// Package e2e_test runs the real rolegate behind a real Envoy, on the configuration
// that ships, with an application behind both that tells what reached it.
package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/internal/lab/sidecar"
)

// buildWithin bounds compiling the binary, OPA included, on a slow machine.
const buildWithin = 10 * time.Minute

// TestMain builds the binary once, unless ROLEGATE_BINARY names one that is to be
// tested, and hands its path to the tests in that variable.
func TestMain(m *testing.M) {
	flag.Parse()
	clean := func() {}
	if !testing.Short() && sidecar.Prebuilt() == "" {
		var err error
		if clean, err = build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // the end of a TestMain
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		clean()
		os.Exit(code) //nolint:forbidigo // the end of a TestMain
	}))
}

func build() (clean func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildWithin)
	defer cancel()
	dir, err := os.MkdirTemp("", "rolegate-e2e-")
	if err != nil {
		return nil, err
	}
	clean = func() { _ = os.RemoveAll(dir) }
	binary, err := sidecar.Build(ctx, dir)
	if err == nil {
		err = os.Setenv("ROLEGATE_BINARY", binary)
	}
	if err != nil {
		clean()
	}
	return clean, err
}
