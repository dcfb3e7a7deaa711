// Package sidecar runs the real rolegate binary, as a process of its own.
package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/process"
)

const (
	// lookEvery is the pause between two looks at something that is awaited.
	lookEvery = 2 * time.Millisecond
	// adminAnswer bounds an answer of the admin listener.
	adminAnswer = 8 << 20
)

// Build compiles the binary from the module that the current directory is in.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := envoy.Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "rolegate")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/rolegate")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rolegate: %w\n%s", err, out)
	}
	return binary, nil
}

// Config says how to run it.
type Config struct {
	Binary  string
	Bundles string // directory
	File    string // configuration; "" is none
	GRPC    string // host:port, or unix:///path
	HTTP    string // of the HTTP service, likewise; "" is off
	Admin   string // host:port
	Env     []string
}

// Sidecar is a running rolegate.
type Sidecar struct {
	*process.Process
	cfg Config
}

// Start runs it until ctx is done or it is stopped. It returns at once: see Await.
func Start(ctx context.Context, cfg Config) (*Sidecar, error) {
	args := []string{"serve", "--bundle-dir", cfg.Bundles, "--grpc-addr", cfg.GRPC, "--admin-addr", cfg.Admin}
	if cfg.File != "" {
		args = append(args, "--config", cfg.File)
	}
	// A variable, because binaries that are compared may be older than the setting.
	env := append(slices.Clone(cfg.Env), "ROLEGATE_HTTP_ADDR="+cmp.Or(cfg.HTTP, "off"))
	p, err := process.Start(ctx, process.Spec{Path: cfg.Binary, Args: args, Env: env})
	if err != nil {
		return nil, err
	}
	return &Sidecar{Process: p, cfg: cfg}, nil
}

// Await polls until ok answers nil, for as long as ctx allows. Its error is the last
// one of ok's.
func (s *Sidecar) Await(ctx context.Context, ok func(context.Context) error) error {
	var last error
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // not what was cut off
		}
		select {
		case <-ctx.Done():
			return last
		case <-s.Done():
			return fmt.Errorf("rolegate ended: %w", last)
		case <-time.After(lookEvery):
		}
	}
}

// Ready says whether it would serve: nil when /readyz says 200.
func (s *Sidecar) Ready(ctx context.Context) error {
	status, body, err := s.Get(ctx, "/readyz")
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("/readyz is %d: %s", status, body)
	}
	return nil
}

// Get asks the admin listener.
func (s *Sidecar) Get(ctx context.Context, path string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.cfg.Admin+path, http.NoBody)
	if err != nil {
		return 0, "", fmt.Errorf("ask rolegate's admin listener: %w", err)
	}
	req.Close = true
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("ask rolegate's admin listener: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, adminAnswer))
	return resp.StatusCode, string(raw), err
}

// The ports that FreePort chooses from lie below those that Linux gives to outgoing
// connections: on a busy machine one of them would be taken before it is used.
const (
	firstPort = 20_000
	lastPort  = 31_999
)

// given are the ports that this process was told: one that nobody listens on yet is not
// told a second time.
var given sync.Map //nolint:gochecknoglobals // a port is the process's; int → struct{}

// FreePort finds a loopback address that nobody listens on, another one each time. A
// program that is started again on the same address has no better way than to be told one.
func FreePort(ctx context.Context) (string, error) {
	const tries = 100
	last := errors.New("every port looked at was told before")
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // any port will do
		if _, twice := given.LoadOrStore(port, struct{}{}); twice {
			continue
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			return address, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("find a free port, %d times: %w", tries, last)
}

// Prebuilt answers the binary that the environment names (ROLEGATE_BINARY), "" when
// it names none.
func Prebuilt() string { return os.Getenv("ROLEGATE_BINARY") }
