package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What a command tells by its exit code, the same in every format.
const (
	exitYes         = 0   // yes, done, no difference
	exitNo          = 1   // the answer is no
	exitUnable      = 2   // no answer could be had
	exitInterrupted = 130 // by a signal, as a shell says it
)

// errNo is the error of a command whose answer is no. The answer was printed.
var errNo = errors.New("the answer is no")

// hinted is an error with what would help.
type hinted struct {
	error
	help string
}

// Unwrap answers the error without its hint.
func (h hinted) Unwrap() error { return h.error }

// hint adds what would help to an error; nothing when help is "".
func hint(err error, help string) error {
	if help == "" {
		return err
	}
	return hinted{err, help}
}

// exit prints err, if there is something to say, and answers the exit code.
func (p *program) exit(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return exitInterrupted
	}
	for line := range strings.Lines(strings.TrimRight(err.Error(), "\n") + "\n") {
		fmt.Fprintf(p.stderr, "%s %s", p.paint(p.stderr).red("error:"), line)
	}
	if h, ok := errors.AsType[hinted](err); ok {
		fmt.Fprintf(p.stderr, "  = help: %s\n", h.help)
	}
	return exitUnable
}
