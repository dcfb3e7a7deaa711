package faults

import (
	"os"
	"strings"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/envoy/envoytest"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/soak"
)

// TestFaults breaks everything once. ROLEGATE_FAULTS and ROLEGATE_REQUESTS make it at
// least so many. What is lost is told and no error: a busy machine loses more, and never
// lets more through.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	envoytest.Require(t)
	dir, err := os.MkdirTemp("", "rg") //nolint:usetesting // t.TempDir's paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary := sidecar.Prebuilt()
	if binary == "" {
		if binary, err = sidecar.Build(t.Context(), t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	const askers = 12
	report, err := Run(t.Context(), Config{
		Binary: binary, Bundles: os.DirFS("testdata/bundles"), Dir: dir, Askers: askers, Seed: 1,
		Faults: soak.Number(t, "ROLEGATE_FAULTS", len(all())), Requests: int64(soak.Number(t, "ROLEGATE_REQUESTS", 0)),
	})
	var text strings.Builder
	if e := report.Print(&text); e != nil {
		t.Error(e)
	}
	t.Logf("\n%s", text.String())
	if err != nil {
		t.Error(err)
	}
	for _, wrong := range report.Shown {
		t.Errorf("let through: %s", wrong)
	}
	for _, k := range report.Kinds {
		if strings.HasPrefix(k.Name, "issuer ") && k.Refused() > 0 {
			t.Errorf("%s: got %d tokens that were refused, want its last good keys to serve", k.Name, k.Refused())
		}
	}
	if report.Wrong > 0 {
		t.Errorf("got %d requests that were let through wrongly, want none", report.Wrong)
	}
	if report.Passed == 0 || report.Passed == report.Requests {
		t.Errorf("%d of %d requests passed: nothing was tried", report.Passed, report.Requests)
	}
}
