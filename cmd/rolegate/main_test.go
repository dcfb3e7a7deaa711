package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/bundles/demo"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"rolegate": main})
}

// leakChecked fails a run that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// The commands, as users run them.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROLEGATE_HTTP_ADDR", "off") // scripts run beside each other
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"demo":       writeDemo,
			"exits":      exits,
			"freeport":   freePort,
			"eventually": eventually,
		},
	})
}

// writeDemo writes the demo's bundle: demo FOLDER.
func writeDemo(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[0]), demo.Files()))
}

// exits runs a command that must end with a code: exits CODE COMMAND ARGUMENT….
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

// freePort puts a loopback address that was free a moment ago into a variable. It is none
// of those that outgoing connections get: one of them would take it before it is used.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	address, err := sidecar.FreePort(context.Background())
	ts.Check(err)
	ts.Setenv(args[0], address)
}

// patienceOfTests bounds what a test waits for; it is long because machines are slow.
const patienceOfTests = time.Minute

// eventually runs a command until it succeeds.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(patienceOfTests)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v: %v", args, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
