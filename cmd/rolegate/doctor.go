package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/internal/doctor"
)

// dumpLimit bounds one answer of Envoy's admin page: a mesh's configuration has some
// ten megabytes.
const dumpLimit = 256 << 20

func (p *program) doctorCommand() *cobra.Command {
	var admin string
	cmd := &cobra.Command{
		Use:   "doctor --envoy-admin URL",
		Short: "Look at a running Envoy: is everything asked about, and what happens when no answer comes",
		Long: `Read a running Envoy's configuration from its admin page and say what would let requests
pass unasked, make an outage look like a denial, or lose requests when rolegate restarts.
Exit 0: nothing but warnings; 1: an error was found; 2: Envoy could not be asked.`,
		Example: `  rolegate doctor --envoy-admin http://127.0.0.1:9901`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.wantFormat("pretty", "json"); err != nil {
				return err
			}
			if admin == "" {
				return hint(errors.New("--envoy-admin is missing"), "it is the URL of Envoy's admin page, such as http://127.0.0.1:9901")
			}
			docs, err := envoyDocuments(cmd.Context(), admin)
			if err != nil {
				return err
			}
			report, err := doctor.Examine(docs)
			if err != nil {
				return err
			}
			return p.showReport(report)
		},
	}
	cmd.Flags().StringVar(&admin, "envoy-admin", "", "URL of Envoy's admin page")
	return cmd
}

// envoyDocuments asks Envoy's admin page. It only reads.
func envoyDocuments(ctx context.Context, admin string) (doctor.Documents, error) {
	base, err := url.Parse(admin)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return doctor.Documents{}, hint(fmt.Errorf("no URL %q", admin), "--envoy-admin wants one like http://127.0.0.1:9901")
	}
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	var d doctor.Documents
	for _, page := range []struct {
		path string
		into *[]byte
	}{{"config_dump", &d.ConfigDump}, {"server_info", &d.ServerInfo}, {"clusters?format=json", &d.Clusters}} {
		path, query, _ := strings.Cut(page.path, "?")
		u := base.JoinPath(path)
		u.RawQuery = query
		if *page.into, err = fetchPage(ctx, u); err != nil {
			return d, err
		}
	}
	return d, nil
}

func fetchPage(ctx context.Context, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, hint(fmt.Errorf("reach Envoy: %w", err), "--envoy-admin is the URL of its admin page, which the shipped configuration opens at 127.0.0.1:9901")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, hint(fmt.Errorf("%s answers %s", u.Redacted(), res.Status), "--envoy-admin is the URL of Envoy's admin page")
	}
	return io.ReadAll(io.LimitReader(res.Body, dumpLimit))
}

// reportJSON is what `doctor -f json` prints. Its members are a contract.
type reportJSON struct {
	SchemaVersion int `json:"schema_version"`
	doctor.Report
	Errors int `json:"errors"`
}

func (p *program) showReport(r doctor.Report) error {
	bad := r.Errors()
	if p.format == "json" {
		if r.Findings == nil {
			r.Findings = []doctor.Finding{}
		}
		if err := p.json(reportJSON{1, r, bad}); err != nil {
			return err
		}
	} else {
		c := p.paint(p.stdout)
		for _, f := range r.Findings {
			word := c.yellow("warning:")
			if f.Level == doctor.LevelError {
				word = c.red("error:")
			}
			fmt.Fprintf(p.stdout, "%s %s: %s: %s\n  = help: %s\n", word, f.Code, f.At, f.What, f.Want)
		}
		fmt.Fprintf(p.stdout, "Envoy %s, %s looked at: %s, %s\n", orUnknown(r.Version),
			count(r.Filters, "ext_authz filter"), count(bad, "error"), count(len(r.Findings)-bad, "warning"))
	}
	if bad > 0 {
		return errNo
	}
	return nil
}

func orUnknown(s string) string {
	if s == "" {
		return "of unknown version"
	}
	return s
}
