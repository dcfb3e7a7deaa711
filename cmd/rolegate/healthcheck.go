package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/internal/admin"
)

// healthLimit bounds one probe: a server that takes longer is not healthy.
const healthLimit = 3 * time.Second

func (p *program) healthcheckCommand() *cobra.Command {
	s := newSettings(p)
	live := false
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server whether it is ready, for probes of images without a shell",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.read(cmd)
			if err != nil {
				return err
			}
			addr, err := dialable(cmp.Or(cfg.Admin.Addr, admin.DefaultAddr))
			if err != nil {
				return err
			}
			page := "readyz"
			if live {
				page = "livez"
			}
			return p.healthcheck(cmd.Context(), addr, page)
		},
	}
	s.configFlag(cmd)
	s.flag(cmd, "admin.addr", "admin-addr", "", `where the server's admin listener is (default "127.0.0.1:9193")`)
	cmd.Flags().BoolVar(&live, "live", false, "ask whether it is alive, not whether it is ready")
	return cmd
}

func (p *program) healthcheck(ctx context.Context, addr, page string) error {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/"+page, http.NoBody)
	if err != nil {
		return fmt.Errorf("admin address %q: %w", addr, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("reach the server: %w", err)
	}
	defer res.Body.Close()
	line, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	fmt.Fprintln(p.stdout, strings.TrimSpace(string(line)))
	if res.StatusCode != http.StatusOK {
		return errNo
	}
	return nil
}

// dialable is an address to reach a listener at: one that listens everywhere is
// reached at the loopback interface.
func dialable(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("admin address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}
