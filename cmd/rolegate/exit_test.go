package main

import (
	"context"
	"testing"
	"time"
)

// Who interrupts a question gets neither yes nor no.
func TestInterrupted(t *testing.T) {
	d := demoDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out output
	args := []string{"rolegate", "check", "bob", "documents:read", "-t", "acme", "-b", d.dir}
	got := run(ctx, args, &program{stdout: &out, stderr: &out, now: time.Now})
	if got != exitInterrupted {
		t.Errorf("got exit code %d, want %d, of %q: %s", got, exitInterrupted, args, &out)
	}
}
