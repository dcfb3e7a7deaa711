// Package soak says how long a long run is. Tests that try as much as there is time for try
// little in CI, and as much as the environment says where somebody waits for it (make soak).
package soak

import (
	"os"
	"strconv"
	"testing"
)

// Number is a number of the environment, such as ROLEGATE_REQUESTS; otherwise where it is
// not set.
func Number(tb testing.TB, name string, otherwise int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return n
}
