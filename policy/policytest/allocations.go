package policytest

import (
	"runtime/debug"
	"testing"
)

// Allocations skips a test that counts allocations where the count means nothing: the
// race detector makes pools forget.
func Allocations(tb testing.TB) {
	tb.Helper()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			tb.Skip("pools forget under the race detector")
		}
	}
}
