package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rolegate/rolegate/internal/lab/alwaysok"
	"github.com/rolegate/rolegate/internal/lab/process"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/token"
)

// startWithin bounds the start of a server.
const startWithin = 30 * time.Second

// alwaysOKCommand is the argument by which this program becomes an always-OK server.
const alwaysOKCommand = "always-ok"

// serveAlwaysOK is the child: it answers every check with the CheckResponse of file
// and writes its address to out.
func serveAlwaysOK(ctx context.Context, file string, out io.Writer) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	answer, err := decode(raw)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, l.Addr())
	return alwaysok.Serve(ctx, l, answer)
}

// startAlwaysOK runs this program again as an always-OK server that returns the same
// headers and metadata as answer.
func startAlwaysOK(ctx context.Context, dir string, answer []byte) (*process.Process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find this program: %w", err)
	}
	file := filepath.Join(dir, "answer")
	if err := os.WriteFile(file, answer, 0o600); err != nil {
		return nil, "", err
	}
	p, err := process.Start(ctx, process.Spec{Path: self, Args: []string{alwaysOKCommand, file}})
	if err != nil {
		return nil, "", err
	}
	for deadline := time.Now().Add(startWithin); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if address, _, ok := strings.Cut(p.Stdout(), "\n"); ok {
			return p, address, nil
		}
	}
	_ = p.Kill()
	return nil, "", errors.New("the always-OK server does not start: " + p.Stderr())
}

// startRolegate runs the real binary on the workload's bundle. extra is added to its
// configuration.
func startRolegate(ctx context.Context, binary, dir, extra string) (*sidecar.Sidecar, string, error) {
	file, err := os.CreateTemp(dir, "*.yaml")
	if err != nil {
		return nil, "", err
	}
	_, err = fmt.Fprintf(file, configuration+extra, issuer, filepath.Join(dir, "jwks.json"), audience)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, "", err
	}
	var addresses [2]string
	for i := range addresses {
		var err error
		if addresses[i], err = sidecar.FreePort(ctx); err != nil {
			return nil, "", err
		}
	}
	s, err := sidecar.Start(ctx, sidecar.Config{
		Binary: binary, Bundles: filepath.Join(dir, "bundle"), File: file.Name(), GRPC: addresses[0], Admin: addresses[1],
	})
	if err != nil {
		return nil, "", err
	}
	limit, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := s.Await(limit, s.Ready); err != nil {
		_ = s.Kill()
		return nil, "", fmt.Errorf("rolegate is not ready: %w\n%s", err, s.Stderr())
	}
	return s, addresses[0], nil
}

// writeInputs writes what rolegate reads: the bundle and the issuer's keys.
func writeInputs(dir string, idp token.Issuer) error {
	if err := writeBundle(filepath.Join(dir, "bundle")); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	keys, err := idp.JWKS()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "jwks.json"), keys, 0o600)
}

// oneAllow asks until a question is allowed and answers the response in bytes.
func oneAllow(ctx context.Context, c *client) ([]byte, error) {
	for n, r := range c.corpus {
		if !r.allow {
			continue
		}
		q, answer, err := c.send(ctx, 0, n)
		if got := outcome(q, answer, err, false); got != outcomeAllow {
			return nil, fmt.Errorf("%s %s is %s, want an allow (%w)", q.method, q.path, got, err)
		}
		return answer, nil
	}
	return nil, errors.New("no question is allowed")
}

// responseSize tells how much an allow says, for the report.
func responseSize(answer []byte) (headers, metadata int, err error) {
	r, err := decode(answer)
	if err != nil {
		return 0, 0, err
	}
	return len(r.GetOkResponse().GetHeaders()) + len(r.GetOkResponse().GetHeadersToRemove()), len(r.GetDynamicMetadata().GetFields()), nil
}
