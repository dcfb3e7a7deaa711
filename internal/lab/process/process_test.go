package process_test

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/internal/lab/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStopEndsTheChildAndKeepsItsOutput(t *testing.T) {
	p := start(t, `trap 'echo bye; exit 0' TERM; echo careful >&2; echo ready; while :; do sleep 0.01; done`)
	until(t, func() bool { return p.Stdout() == "ready\n" })
	if err := p.Stop(); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if got, want := p.Stdout(), "ready\nbye\n"; got != want {
		t.Errorf("stdout = %q, want %q", got, want)
	}
	if got, want := p.Stderr(), "careful\n"; got != want {
		t.Errorf("stderr = %q, want %q", got, want)
	}
}

func TestStopTellsOfABadEnd(t *testing.T) {
	p := start(t, `trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done`)
	until(t, func() bool { return p.Stdout() == "ready\n" })
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Stop = %v, want exit status 3", err)
	}
}

func TestKillEndsAChildThatIgnoresSignals(t *testing.T) {
	p := start(t, `trap '' TERM; echo ready; while :; do sleep 0.01; done`)
	until(t, func() bool { return p.Stdout() == "ready\n" })
	if err := p.Kill(); err != nil {
		t.Fatalf("Kill: %v", err)
	}
	if err := syscall.Kill(p.PID(), 0); err == nil {
		t.Errorf("process %d is still there", p.PID())
	}
}

func TestTheContextEndsTheChild(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	sh := shell(t)
	p, err := process.Start(ctx, process.Spec{Path: sh, Args: []string{"-c", "while :; do sleep 0.01; done"}})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatal("the child outlived its context")
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	_, err := process.Start(t.Context(), process.Spec{Path: "/nowhere/envoy"})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/envoy") {
		t.Errorf("Start = %v, want an error that names /nowhere/envoy", err)
	}
}

func start(t *testing.T, script string) *process.Process {
	t.Helper()
	// Not the test's context: it ends before the clean-up that stops the child.
	p, err := process.Start(context.WithoutCancel(t.Context()), process.Spec{Path: shell(t), Args: []string{"-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func shell(t *testing.T) string {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	return sh
}

// patience bounds what a test waits for; it is long because machines are slow.
const patience = time.Minute

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("nothing happened within %v", patience)
		}
		time.Sleep(time.Millisecond) // between two looks; nothing depends on its length
	}
}
