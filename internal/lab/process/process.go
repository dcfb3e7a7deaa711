// Package process runs child processes for tests and measurements, and never
// leaves one behind.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// outputLimit bounds what is kept of a child's output. Tests search all of it for
// secrets, so nothing is dropped below the limit.
const outputLimit = 64 << 20

// grace is how long a child may take to end by itself once its context is done: longer
// than any takes on a busy machine.
const grace = 15 * time.Second

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	Env  []string // added to this process's own
	Dir  string   // "" is this process's own
}

// Process is a running child. Its methods may be called concurrently.
type Process struct {
	stdout, stderr output
	cmd            *exec.Cmd
	done           chan struct{}
	err            error // of Wait; read after done
}

// Start runs a child until it ends or ctx is done; then it is asked to end
// (SIGTERM), and killed if it does not. The kernel kills it when this process dies.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, spec.Path, spec.Args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), spec.Env...)
	p.cmd.Dir = spec.Dir
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = grace
	dieWithParent(p.cmd)
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	return p, nil
}

// run starts and waits on one thread: the kernel's "parent died" is about the
// thread that started the child.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop asks the child to end and waits. A child that has to be killed, or ends with
// an error of its own, is an error.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the child as a crash would (SIGKILL), and waits.
func (p *Process) Kill() error {
	err := p.end(syscall.SIGKILL)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		return nil // it died of the signal
	}
	return err
}

func (p *Process) end(signal os.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %d: %w", p.PID(), err)
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(2 * grace):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("process %d did not end within %s of %s and was killed", p.PID(), 2*grace, signal)
	}
}

// Signal sends a signal and does not wait.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stdout is what the child has written so far.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr is what the child has complained of so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// output collects what a child writes, while others read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len()+len(b) > outputLimit {
		return 0, fmt.Errorf("more than %d bytes: %w", outputLimit, io.ErrShortWrite)
	}
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
