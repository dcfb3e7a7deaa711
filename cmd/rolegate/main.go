// Command rolegate decides whether a request may pass: as Envoy's external
// authorization server, as a proxy of its own, and at the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// Both signals end a server by draining it; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, &program{
		stdout: os.Stdout, stderr: os.Stderr, env: os.Environ(), now: time.Now,
	}))
}
