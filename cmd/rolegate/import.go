package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/policy"
)

// importRequest is what `import` was called with.
type importRequest struct {
	vendor, dir, authority string
	files, issuers         []string
	progress               string
	verbose, leaveOut      bool
}

func (p *program) importCommand() *cobra.Command {
	var r importRequest
	cmd := &cobra.Command{
		Use:   "import " + strings.Join(importer.Vendors(), "|") + " FILE... -o DIR",
		Short: "Make a bundle of what another system exports",
		Long: `Make a bundle of what another system exports: lists, pages, single objects and lines of
objects, in any order; - is stdin. What each record is, is seen by its fields;
KIND=FILE says it, and KIND:OF=FILE also which tenant it is of where it does not say so.

What a rule of the other system gives is not recorded: the rule is, and gives it again.
What cannot be mapped is told, with its line. DIR is written whole or not at all; an
earlier import in it is replaced, anything else is left alone.

Exit codes: 0 written; 1 the export is at fault, and nothing is written; 2 it could not
be read.`,
		Example: `  rolegate import stytch policy.json organizations.json members.ndjson -o bundles/stytch
  rolegate import frontegg user_roles:acct-1=roles.json accounts.json - -o bundles/frontegg --issuer https://x.frontegg.com`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.vendor, r.files = args[0], args[1:]
			cfg, err := p.importConfig(r)
			if err != nil {
				return err
			}
			return p.importFiles(cmd.Context(), r, cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&r.dir, "output", "o", "", "folder that becomes the bundle")
	flags.StringArrayVar(&r.issuers, "issuer", nil, "ISS or ISS=TENANT: iss of the tokens that will come, and the tenant that it speaks for")
	flags.StringVar(&r.authority, "authority", "", "what --issuer is believed about: bundle, token_roles or token_permissions")
	flags.BoolVar(&r.leaveOut, "leave-out", false, "leave out what refers to something that is not in the export, instead of refusing all")
	flags.BoolVarP(&r.verbose, "verbose", "v", false, "list the fields that are not known, and every warning")
	flags.StringVar(&r.progress, "progress", "auto", "auto, plain, json or none: on stderr, every few seconds")
	return cmd
}

// importConfig checks what the command was called with.
func (p *program) importConfig(r importRequest) (importer.Config, error) {
	progress := []string{"auto", "plain", "json", "none"}
	authorities := []string{"", "bundle", "token_roles", "token_permissions"}
	switch {
	case !slices.Contains(importer.Vendors(), r.vendor):
		return importer.Config{}, unknownName("vendor", r.vendor, importer.Vendors(), "one of "+strings.Join(importer.Vendors(), ", "))
	case len(r.files) == 0:
		return importer.Config{}, hint(errors.New("no file"), "name the files of the export; - is stdin")
	case r.dir == "":
		return importer.Config{}, hint(errors.New("no output"), "-o DIR names the folder that becomes the bundle")
	case !slices.Contains(progress, r.progress):
		return importer.Config{}, unknownName("form of progress", r.progress, progress, "one of "+strings.Join(progress, ", "))
	case !slices.Contains(authorities, r.authority):
		return importer.Config{}, unknownName("authority", r.authority, authorities[1:], "one of "+strings.Join(authorities[1:], ", "))
	case r.authority != "" && len(r.issuers) == 0:
		return importer.Config{}, errors.New("--authority goes with --issuer")
	}
	if err := p.wantFormat("pretty", "json"); err != nil {
		return importer.Config{}, err
	}
	cfg := importer.Config{Vendor: r.vendor, Dir: r.dir, LeaveOut: r.leaveOut, Issuers: map[string]importer.Issuer{}}
	for _, text := range r.issuers {
		iss, tenant, _ := strings.Cut(text, "=")
		cfg.Issuers[iss] = importer.Issuer{Authority: r.authority, Tenant: tenant}
	}
	seen := map[string]bool{}
	for _, arg := range r.files {
		f := importer.NamedFile(arg, os.Stdin)
		if seen[f.Name] {
			return importer.Config{}, fmt.Errorf("%s is given twice", f.Name)
		}
		seen[f.Name] = true
		cfg.Files = append(cfg.Files, f)
	}
	if r.progress != "none" {
		meter := &meter{out: p.stderr, now: p.now, json: r.progress == "json", began: p.now()}
		cfg.Progress = meter.progress
	}
	return cfg, nil
}

func (p *program) importFiles(ctx context.Context, r importRequest, cfg importer.Config) error {
	result, err := importer.Run(ctx, cfg)
	problems, faulty := errors.AsType[policy.Problems](err)
	if err != nil && !faulty {
		return err
	}
	if p.format == "json" {
		err = p.encodeImport(r, result, problems)
	} else {
		err = p.showImport(r, result, problems)
	}
	if err == nil && faulty {
		return errNo
	}
	return err
}

// showImport prints the summary, and to stderr what is wrong.
func (p *program) showImport(r importRequest, result importer.Result, faults policy.Problems) error {
	most := mostProblems
	if r.verbose {
		most = len(faults) + len(result.Warnings)
	}
	for i, problem := range slices.Concat(faults, result.Warnings) {
		if i < most {
			p.showImportProblem(problem)
		}
	}
	if more := len(faults) + len(result.Warnings) - most; more > 0 {
		fmt.Fprintf(p.stderr, "and %d more (-v or -f json has all)\n", more)
	}
	if len(faults) > 0 {
		_, err := fmt.Fprintf(p.stderr, "%s: %s is as it was\n", count(len(faults), "error"), r.dir)
		return err
	}
	p.showUnknown(r, result.Unknown)
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tread\tmapped\tre-derived\tleft out\t")
	for _, l := range tallies(result.Count) {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t\n", l.name, l.tally.Read, l.tally.Mapped, l.tally.Rederived, l.tally.LeftOut)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "wrote %s (revision %s), %s\n", r.dir, result.Revision, count(len(result.Warnings), "warning"))
	return err
}

// showImportProblem says where a problem is, and does not print the line: exports hold
// secrets.
func (p *program) showImportProblem(problem policy.Problem) {
	paint := p.paint(p.stderr)
	word := paint.red("error:")
	if problem.Warning {
		word = paint.yellow("warning:")
	}
	fmt.Fprintf(p.stderr, "%s %s: %s\n", word, problem.Code, problem.Message)
	if problem.File != "" {
		fmt.Fprintf(p.stderr, "  ╭─ %s:%d:%d\n", problem.File, problem.Line, problem.Column)
	}
	if problem.Hint != "" {
		fmt.Fprintf(p.stderr, "  = help: %s\n", problem.Hint)
	}
}

func (p *program) showUnknown(r importRequest, unknown []importer.Unknown) {
	if len(unknown) == 0 {
		return
	}
	if !r.verbose {
		fmt.Fprintf(p.stderr, "note: %s not known, and passed over (-v lists them)\n", count(len(unknown), "field"))
		return
	}
	for _, u := range unknown {
		fmt.Fprintf(p.stderr, "note: %s.%s is not known: %s, first at %s\n", u.Kind, u.Field, count(u.Count, "time"), u.First)
	}
}

type namedTally struct {
	name  string
	tally importer.Tally
}

func tallies(c importer.Count) []namedTally {
	return []namedTally{
		{"tenants", c.Tenants},
		{"roles", c.Roles},
		{"permissions", c.Permissions},
		{"members", c.Members},
		{"grants", c.Grants},
		{"rules", c.Rules},
	}
}

// encodeImport prints everything as one object.
func (p *program) encodeImport(r importRequest, result importer.Result, faults policy.Problems) error {
	type unknown struct {
		Kind  string `json:"kind"`
		Field string `json:"field"`
		Count int    `json:"count"`
	}
	type tally struct {
		Read      int `json:"read"`
		Mapped    int `json:"mapped"`
		Rederived int `json:"rederived"`
		LeftOut   int `json:"left_out"`
	}
	out := struct {
		SchemaVersion int              `json:"schema_version"`
		Written       bool             `json:"written"`
		Dir           string           `json:"dir"`
		Revision      string           `json:"revision,omitempty"`
		Summary       map[string]tally `json:"summary,omitempty"`
		Problems      []found          `json:"problems"`
		Unknown       []unknown        `json:"unknown_fields"`
	}{SchemaVersion: 1, Written: len(faults) == 0, Dir: r.dir, Revision: result.Revision, Problems: []found{}, Unknown: []unknown{}}
	for _, problem := range slices.Concat(faults, result.Warnings) {
		out.Problems = append(out.Problems, foundOf(problem))
	}
	for _, u := range result.Unknown {
		out.Unknown = append(out.Unknown, unknown{u.Kind, u.Field, u.Count})
	}
	if out.Written {
		out.Summary = map[string]tally{}
		for _, l := range tallies(result.Count) {
			out.Summary[l.name] = tally(l.tally)
		}
	}
	return json.NewEncoder(p.stdout).Encode(out)
}
