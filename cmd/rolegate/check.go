package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// checkRequest is what `check` was called with.
type checkRequest struct {
	dir     string
	subject string
	tenant  string // "" when the route shall say
	at      string // "" when the tenant is the place
	asOf    string // "" is now
	quiet   bool
	config  string // a server's settings; "" for the usual ones

	resource, action string // of a permission
	method, url      string // of a request; instead of a permission
}

func (p *program) checkCommand() *cobra.Command {
	var r checkRequest
	cmd := &cobra.Command{
		Use:   "check SUBJECT RESOURCE:ACTION|METHOD URL -b DIR",
		Short: "Ask one question: may this subject do this?",
		Long: `Ask one question of the bundles in DIR, as the server would be asked it.

A subject at the command line has no session of its own: the connections and groups
that its record stores stand for one.

Exit codes: 0 allowed; 1 not allowed; 2 no answer: a subject, tenant, permission or
route that does not exist is an error, never a no.`,
		Example: `  rolegate check bob documents:read -t acme -b demo-bundle
  rolegate check ann documents:shred -t acme --at .vault.k1 -b demo-bundle
  rolegate check bob GET /v1/acme/documents -b demo-bundle`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(p.wantFormat("pretty", "json"), r.take(args)); err != nil {
				return err
			}
			return p.check(cmd.Context(), r)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&r.dir, "bundle-dir", "b", "", "folder with the bundle or the bundles")
	flags.StringVarP(&r.tenant, "tenant", "t", "", "tenant that is asked about")
	flags.StringVar(&r.at, "at", "", "place: a path, or .path below the tenant")
	flags.StringVar(&r.asOf, "as-of", "", "ask for this instant: 2026-01-31, 2026-01-31T12:00:00Z or milliseconds")
	flags.BoolVarP(&r.quiet, "quiet", "q", false, "only the exit code")
	asFlag(cmd, &r.config)
	return cmd
}

// take reads the arguments.
func (r *checkRequest) take(args []string) error {
	r.subject = args[0]
	switch {
	case r.dir == "":
		return hint(errors.New("no bundle"), "-b DIR names the folder with the bundle or the bundles")
	case len(args) == 3:
		r.method, r.url = args[1], args[2]
		if r.at != "" {
			return errors.New("--at goes with RESOURCE:ACTION: of a request, the route says the place")
		}
		return nil
	case r.tenant == "":
		return hint(errors.New("no tenant"), "-t TENANT says where")
	}
	resource, action, ok := strings.Cut(args[1], ":")
	if !ok {
		resource, action = "-", args[1]
	}
	r.resource, r.action = resource, action
	if resource == "" || action == "" {
		return hint(fmt.Errorf("%q is no question", args[1]), "RESOURCE:ACTION, or METHOD URL")
	}
	return nil
}

func (p *program) check(ctx context.Context, r checkRequest) error {
	now, err := instant(r.asOf, p.now())
	if err != nil {
		return err
	}
	engine, err := p.open(ctx, r.dir, r.config, r.quiet)
	if err != nil {
		return err
	}
	defer engine.Close()
	a, err := ask(ctx, engine, r, now)
	if err != nil {
		return err
	}
	if !r.quiet {
		if err := p.showAnswer(a); err != nil {
			return err
		}
	}
	if !a.Allowed {
		return errNo
	}
	return nil
}

// open makes an engine with the bundles of dir, read as the server with the settings in
// config reads them; "" for the usual ones. What
// is wrong with them is the error; what they warn of is printed.
func (p *program) open(ctx context.Context, dir, config string, quiet bool) (*policy.Engine, error) {
	cfg, err := p.loaderAs(config, dir)
	if err != nil {
		return nil, err
	}
	set, err := loader.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if !quiet {
		p.warn(set.Warnings)
	}
	// One question is not worth a memory; a slow machine is worth waiting for.
	engine, err := policy.NewEngine(policy.Config{Entries: -1, AuditEvery: -1, Timeout: patience})
	if err != nil {
		return nil, err
	}
	engine.Install(set.Snapshot)
	return engine, nil
}

// patience bounds one evaluation at the command line, where nobody's request waits.
const patience = 30 * time.Second

// mostWarnings are printed; the rest is counted.
const mostWarnings = 5

func (p *program) warn(warnings policy.Problems) {
	word := p.paint(p.stderr).yellow("warning:")
	for i, w := range warnings {
		if i == mostWarnings {
			fmt.Fprintf(p.stderr, "%s and %d more\n", word, len(warnings)-i)
			return
		}
		fmt.Fprintf(p.stderr, "%s %s\n", word, w)
	}
}

// instant reads a time: a date is its beginning in UTC.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	for _, layout := range [...]string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), nil
	}
	return time.Time{}, hint(fmt.Errorf("%q is no time", text), "2026-01-31, 2026-01-31T12:00:00Z or milliseconds since 1970")
}
