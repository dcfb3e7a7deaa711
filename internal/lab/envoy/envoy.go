package envoy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rolegate/rolegate/internal/lab/process"
)

const (
	// startWithin is long for an Envoy that starts in 0.2 s, on a busy machine too.
	startWithin = time.Minute
	// lookEvery is the pause between two looks at an Envoy that is starting.
	lookEvery = 5 * time.Millisecond
	// adminAnswer bounds an answer of the admin page.
	adminAnswer = 8 << 20
)

// Envoy is a running Envoy.
type Envoy struct {
	process *process.Process
	admin   string // host:port
	listen  string // host:port of the first listener
}

// Start runs Envoy on cfg until ctx is done or Stop, and answers when it is ready:
// its first health checks are done and it listens. dir is for its files and must be
// its own.
func Start(ctx context.Context, cfg *Config, dir string) (*Envoy, error) {
	binary, err := Find(ctx)
	if err != nil {
		return nil, err
	}
	file, err := write(cfg, dir)
	if err != nil {
		return nil, err
	}
	adminFile := filepath.Join(dir, "admin-address")
	p, err := process.Start(ctx, process.Spec{Path: binary, Args: []string{
		"-c", file, "--admin-address-path", adminFile,
		// Shared memory for hot restarts would be shared by every Envoy of this machine.
		"--disable-hot-restart",
		"--concurrency", "2", "-l", "warning",
		// The access log is read by tests: it is written at once.
		"--file-flush-interval-msec", "10",
	}})
	if err != nil {
		return nil, err
	}
	e := &Envoy{process: p}
	if err := e.wait(ctx, adminFile); err != nil {
		_ = p.Kill()
		return nil, fmt.Errorf("envoy is not ready: %w\n%s", err, p.Stderr())
	}
	return e, nil
}

// Validate has Envoy check a configuration without starting it.
func Validate(ctx context.Context, cfg *Config, dir string) error {
	binary, err := Find(ctx)
	if err != nil {
		return err
	}
	file, err := write(cfg, dir)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, binary, "--mode", "validate", "-l", "error", "-c", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("envoy refuses the configuration: %w\n%s", err, out)
	}
	return nil
}

// URL is the address of the first listener, "http://127.0.0.1:41234".
func (e *Envoy) URL() string { return "http://" + e.listen }

// Admin is the URL of its admin page.
func (e *Envoy) Admin() string { return "http://" + e.admin }

// Addr is the first listener as host:port, for clients that write their own bytes.
func (e *Envoy) Addr() string { return e.listen }

// PID is the process id.
func (e *Envoy) PID() int { return e.process.PID() }

// AccessLog is what the access log holds so far.
func (e *Envoy) AccessLog() string { return e.process.Stdout() }

// Log is Envoy's own log so far.
func (e *Envoy) Log() string { return e.process.Stderr() }

// Stop ends Envoy and waits for it.
func (e *Envoy) Stop() error { return e.process.Stop() }

// Counter reads one counter or gauge by its whole name, 0 where there is none.
func (e *Envoy) Counter(ctx context.Context, name string) (uint64, error) {
	text, err := e.get(ctx, "/stats?usedonly&filter=^"+strings.ReplaceAll(name, ".", `\.`)+"$")
	if err != nil {
		return 0, err
	}
	_, value, ok := strings.Cut(strings.TrimSpace(text), ": ")
	if !ok {
		return 0, nil
	}
	return strconv.ParseUint(value, 10, 64)
}

// Healthy says whether Envoy's health checks find the only host of a cluster healthy.
func (e *Envoy) Healthy(ctx context.Context, cluster string) (bool, error) {
	n, err := e.Counter(ctx, "cluster."+cluster+".membership_healthy")
	return n > 0, err
}

func write(cfg *Config, dir string) (string, error) {
	raw, err := cfg.YAML()
	if err != nil {
		return "", fmt.Errorf("write an Envoy configuration: %w", err)
	}
	file := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return "", fmt.Errorf("write an Envoy configuration: %w", err)
	}
	return file, nil
}

// wait polls until Envoy listens and its admin page says LIVE.
func (e *Envoy) wait(ctx context.Context, adminFile string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	err := errors.New("it wrote no admin address")
	for {
		if e.admin == "" {
			e.admin = adminAddress(adminFile)
		}
		if e.admin != "" {
			if err = e.ready(ctx); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", startWithin, err)
		case <-e.process.Done():
			return errors.New("it ended")
		case <-time.After(lookEvery):
		}
	}
}

// adminAddress is "" until Envoy has written it whole.
func adminAddress(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	address := strings.TrimSpace(string(raw))
	if _, _, err := net.SplitHostPort(address); err != nil {
		return ""
	}
	return address
}

func (e *Envoy) ready(ctx context.Context) error {
	if _, err := e.get(ctx, "/ready"); err != nil {
		return err
	}
	raw, err := e.get(ctx, "/listeners?format=json")
	if err != nil {
		return err
	}
	var listeners struct {
		Statuses []struct {
			Address struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal([]byte(raw), &listeners); err != nil {
		return fmt.Errorf("read Envoy's listeners: %w", err)
	}
	if len(listeners.Statuses) == 0 || listeners.Statuses[0].Address.Socket.Port == 0 {
		return errors.New("it does not listen")
	}
	at := listeners.Statuses[0].Address.Socket
	e.listen = net.JoinHostPort(at.Address, strconv.Itoa(at.Port))
	return nil
}

// get asks the admin page; an answer that is not 200 is an error.
func (e *Envoy) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.admin+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("ask Envoy's admin page: %w", err)
	}
	req.Close = true // no connection outlives the question
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return "", fmt.Errorf("ask Envoy's admin page: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, adminAnswer))
	if err != nil {
		return "", fmt.Errorf("ask Envoy's admin page: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("envoy's admin page answers %d to %s: %s", resp.StatusCode, path, body)
	}
	return string(body), nil
}
