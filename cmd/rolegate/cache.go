package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/internal/admin"
	"github.com/rolegate/rolegate/policy"
)

// statusLimit bounds a status document; with thousands of bundles it has a few hundred
// kilobytes.
const statusLimit = 16 << 20

// cacheStats is what `cache stats` says. Its members as JSON are a contract.
type cacheStats struct {
	SchemaVersion int    `json:"schema_version"`
	Generation    uint64 `json:"generation"` // that answers; 0 before the first
	Degraded      bool   `json:"degraded"`
	admin.Cache
	// HitRatio is hits of all questions, those that may not be remembered included; null
	// before the first question.
	HitRatio *float64 `json:"hit_ratio"`
}

func (p *program) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look at the memory of a running server",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.cacheStatsCommand())
	return cmd
}

func (p *program) cacheStatsCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Say how many decisions came from memory, and why others did not",
		Example: `  rolegate cache stats
  rolegate cache stats --server http://127.0.0.1:9193 -f json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.wantFormat("pretty", "json"); err != nil {
				return err
			}
			now, err := statusOf(cmd.Context(), server)
			if err != nil {
				return err
			}
			return p.showCache(statsOf(now))
		},
	}
	cmd.Flags().StringVar(&server, "server", "http://"+admin.DefaultAddr, "URL of the server's admin listener")
	return cmd
}

// statusOf reads the status of a running server.
func statusOf(ctx context.Context, server string) (admin.Status, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return admin.Status{}, hint(fmt.Errorf("no URL %q", server), "--server wants one like http://"+admin.DefaultAddr)
	}
	at := u.Redacted()
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("status").String(), http.NoBody)
	if err != nil {
		return admin.Status{}, fmt.Errorf("server %q: %w", at, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // what was asked stands before it already
		}
		return admin.Status{}, hint(fmt.Errorf("reach the server at %s: %w", at, err),
			"--server is the URL of its admin listener, which `rolegate serve` opens at "+admin.DefaultAddr)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return admin.Status{}, hint(fmt.Errorf("the server at %s answers %s", at, res.Status), "--server is the URL of the admin listener")
	}
	var now admin.Status
	if err := json.NewDecoder(io.LimitReader(res.Body, statusLimit)).Decode(&now); err != nil {
		return admin.Status{}, hint(fmt.Errorf("read the status of the server at %s: %w", at, err), "--server is the URL of the admin listener")
	}
	if now.SchemaVersion != admin.StatusVersion {
		return admin.Status{}, fmt.Errorf("the server at %s tells its status in version %d, this command reads %d",
			at, now.SchemaVersion, admin.StatusVersion)
	}
	return now, nil
}

func statsOf(now admin.Status) cacheStats {
	s := cacheStats{SchemaVersion: 1, Generation: now.Generation, Degraded: now.Degraded, Cache: now.Cache}
	if all := s.Hits + s.Misses + s.Waits + s.Bypassed; all > 0 {
		s.HitRatio = new(float64(s.Hits) / float64(all))
	}
	return s
}

func (p *program) showCache(s cacheStats) error {
	if p.format == "json" {
		return p.json(s)
	}
	c := p.paint(p.stdout)
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	ratio := "nothing was asked yet"
	if s.HitRatio != nil {
		ratio = fmt.Sprintf("%.1f %%", 100**s.HitRatio)
	}
	fmt.Fprintf(w, "hit ratio\t%s\tgeneration %d\n", ratio, s.Generation)
	row := func(name string, n uint64, what string) { fmt.Fprintf(w, "%s\t%d\t%s\n", name, n, what) }
	row("hits", s.Hits, "answered from memory")
	row("misses", s.Misses, "evaluated")
	row("waits", s.Waits, "answered by another request's evaluation")
	row("bypassed", s.Bypassed, "evaluated, may not be remembered")
	for _, reason := range slices.Sorted(maps.Keys(s.BypassedBy)) {
		row("  "+reason, s.BypassedBy[reason], bypassText(reason))
	}
	row("stored", s.Stored, "handed to memory and accepted")
	row("dropped", s.Dropped, "handed to memory while it was busy")
	row("rejected", s.Rejected, "of the stored, turned away for more frequent ones")
	row("evicted", s.Evicted, "made room for others, or their time was over")
	row("held", s.Cost, fmt.Sprintf("entries, of %d; a long key counts as several", s.Capacity))
	row("audits", s.Audits, "decided again on the whole input")
	row("mismatches", s.Mismatches, "of those, which differed: must stay 0")
	if err := w.Flush(); err != nil {
		return err
	}
	if s.NotRemembered != "" {
		fmt.Fprintf(p.stdout, "%s nothing is remembered now: %s", c.yellow("note:"), bypassText(s.NotRemembered))
		if s.NotRemembered != policy.BypassAudit {
			fmt.Fprint(p.stdout, "; `rolegate footprint` names the line")
		}
		fmt.Fprintln(p.stdout)
	}
	if s.Mismatches > 0 {
		fmt.Fprintf(p.stdout, "%s an audit found another answer: report this, with the server's log\n", c.red("error:"))
	}
	return nil
}

// bypassText says what a label means; "" of an unknown one.
func bypassText(label string) string {
	switch label {
	case policy.BypassClock:
		return "the policy reads the clock and does not say how long its answer holds"
	case policy.BypassNondeterministic:
		return "the policy calls what is no function of its input and data"
	case policy.BypassAudit:
		return "an audit found another answer, until the next generation"
	default:
		return ""
	}
}
