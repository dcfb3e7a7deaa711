// Command bench compares rolegate with an ext_authz server that allows everything:
// grpc-go, the generated protobuf code, the same headers and metadata. Both are asked
// in turn, in one run, so that what the machine does meanwhile hits both; what is
// published are ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// configuration is rolegate's. %[1]s is the issuer, %[2]s the file with its keys, %[3]s
// the audience.
const configuration = `
identity:
  authenticators:
    - jwt:
        issuers:
          - issuer: %[1]s
            jwks_file: %[2]s
            audiences: [%[3]s]
`

// withoutCache has every decision evaluated. Verified tokens are still remembered.
const withoutCache = `
cache:
  entries: -1
`

// options are the flags.
type options struct {
	binary   string
	rounds   int
	each     time.Duration
	inFlight int
	envoy    bool
	seed     uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := exitCode(dispatch(ctx, os.Args[1:]))
	stop()
	os.Exit(code) //nolint:forbidigo // this is main
}

// dispatch is the program, or the server that it starts itself as.
func dispatch(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == alwaysOKCommand {
		return serveAlwaysOK(ctx, args[1], os.Stdout)
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.binary, "rolegate", "", "the binary to measure; built from this module if empty")
	flags.IntVar(&o.rounds, "rounds", 7, "how often each server is asked for a while")
	flags.DurationVar(&o.each, "each", 2*time.Second, "how long a while is")
	flags.IntVar(&o.inFlight, "in-flight", 16, "requests under way at a time")
	flags.BoolVar(&o.envoy, "envoy", true, "measure behind a real Envoy too")
	flags.Uint64Var(&o.seed, "seed", 1, "of the questions")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return run(ctx, o, os.Stdout)
}

// exitCode tells of an error.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	b, err := newBed(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.prepare(ctx, out); err != nil {
		return err
	}
	if err := alternate(o.rounds, b.servers, func(s *server) (round, error) { return s.measure(ctx, o.inFlight, o.each) }); err != nil {
		return err
	}
	if err := directReport(out, b.servers, o.inFlight); err != nil || !o.envoy {
		return err
	}
	return b.behindEnvoy(ctx, out)
}
