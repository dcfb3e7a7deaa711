package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy/footprint"
)

// readPath is one place of a footprint. Its members as JSON are a contract.
type readPath struct {
	Path   []any  `json:"path"`  // below input: names, and numbers for elements of lists
	Level  string `json:"level"` // full or exists
	At     string `json:"at"`    // file:line that forced it
	Advice string `json:"advice,omitempty"`
}

func (p *program) footprintCommand() *cobra.Command {
	var dir, entrypoint, config string
	var rules bool
	cmd := &cobra.Command{
		Use:   "footprint -b DIR",
		Short: "Say what a policy reads of a request, and whether its decisions can be remembered",
		Long: `Say what an entry point can read of its input, which is what its decisions are remembered
by: the fewer places, and the fewer values they have, the more requests share a decision.
Each place comes with the line of Rego that reads it. --rules says the same of each rule
and function that the entry point reaches, as it is used there.`,
		Example: `  rolegate footprint -b demo-bundle
  rolegate footprint -b bundles -e envoy/authz/allow -f json
  rolegate footprint -b bundles --rules`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.wantFormat("pretty", "json"); err != nil {
				return err
			}
			if dir == "" {
				return hint(errors.New("no bundle"), "-b DIR names the folder with the bundle or the bundles")
			}
			return p.footprint(cmd.Context(), dir, entrypoint, config, rules)
		},
	}
	cmd.Flags().StringVarP(&dir, "bundle-dir", "b", "", "folder with the bundle or the bundles")
	cmd.Flags().StringVarP(&entrypoint, "entrypoint", "e", "", "with slashes; the role library's decision if left out")
	cmd.Flags().BoolVar(&rules, "rules", false, "say it of each rule, too")
	asFlag(cmd, &config)
	return cmd
}

func (p *program) footprint(ctx context.Context, dir, entrypoint, config string, rules bool) error {
	cfg, err := p.loaderAs(config, dir)
	if err != nil {
		return err
	}
	cfg.Entrypoint = cmp.Or(entrypoint, cfg.Entrypoint)
	set, err := loader.Open(ctx, cfg)
	if err != nil {
		return err
	}
	p.warn(set.Warnings)
	entrypoint = set.Snapshot.Entrypoint()
	reads, reuse, err := set.Snapshot.Footprint(ctx, entrypoint)
	if err != nil {
		return err
	}
	var documents []footprint.Document
	if rules {
		if documents, err = set.Snapshot.Documents(ctx, entrypoint); err != nil {
			return err
		}
	}
	paths := readPaths(reads.Paths)
	if p.format == "json" {
		return json.NewEncoder(p.stdout).Encode(struct {
			SchemaVersion    int        `json:"schema_version"`
			Entrypoint       string     `json:"entrypoint"`
			Cacheable        bool       `json:"cacheable"`
			Reason           string     `json:"reason"` // why not; "" when it is
			At               string     `json:"at,omitempty"`
			Paths            []readPath `json:"paths"`
			Nondeterministic []string   `json:"nondeterministic"`
			Rules            []readRule `json:"rules,omitzero"` // with --rules
		}{1, entrypoint, reuse.Bypass == "", reuse.Bypass, position(reuse.At), paths, callNames(reads.Nondeterministic), readRules(documents)})
	}
	paint := p.paint(p.stdout)
	if reuse.Bypass == "" {
		fmt.Fprintf(p.stdout, "%s %s\n", entrypoint, paint.green("✓ decisions are remembered"))
	} else {
		fmt.Fprintf(p.stdout, "%s %s: %s\n", entrypoint, paint.yellow("· decisions are not remembered"), reuse.Bypass)
		if at := position(reuse.At); at != "" {
			fmt.Fprintf(p.stdout, "  at %s\n", at)
		}
	}
	if err := printReads(p.stdout, reads.Paths, reads.Nondeterministic); err != nil {
		return err
	}
	for _, at := range paths {
		if at.Advice != "" {
			fmt.Fprintf(p.stdout, "%s %s\n", paint.yellow("advice:"), at.Advice)
		}
	}
	return printRules(p.stdout, documents)
}

func printReads(w io.Writer, paths []footprint.Path, calls []footprint.Call) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, at := range paths {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", at.Level, at.Ref, position(at.At))
	}
	for _, c := range calls {
		fmt.Fprintf(table, "  calls\t%s\t%s\n", c.Name, position(c.At))
	}
	return table.Flush()
}

func readPaths(list []footprint.Path) []readPath {
	paths := make([]readPath, len(list))
	for i, at := range list {
		paths[i] = readPathOf(at)
	}
	return paths
}

func callNames(list []footprint.Call) []string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	return names
}

func readPathOf(at footprint.Path) readPath {
	r := readPath{Path: []any{}, Level: at.Level.String(), At: position(at.At)}
	for _, t := range at.Ref[1:] {
		switch v := t.Value.(type) {
		case ast.String:
			r.Path = append(r.Path, string(v))
		case ast.Number:
			r.Path = append(r.Path, json.Number(v))
		default:
			r.Path = append(r.Path, v.String())
		}
	}
	if at.Level == footprint.Full {
		if advice := advice(r.Path); advice != "" {
			r.Advice = advice
			if r.At != "" {
				r.Advice = r.At + " " + advice
			}
		}
	}
	return r
}

func position(at *ast.Location) string {
	if at == nil || at.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", at.File, at.Row)
}

// advice says what would let more requests share a decision, of a place that is read
// in full; "" when nothing is known to hurt.
func advice(path []any) string {
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = fmt.Sprint(name)
	}
	at := strings.Join(names, ".")
	if rest, ok := strings.CutPrefix(at, "attributes.request.http.headers."); ok {
		return headerAdvice(rest)
	}
	switch at {
	case "":
		return "reads the whole input: name the places that it needs"
	case "attributes", "attributes.request", "attributes.request.http":
		return "reads the whole request, its id and time included, so that no two requests share a decision: name what it needs"
	case "attributes.request.http.headers", "attributes.request.http.headerMap", "attributes.request.http.headerMap.headers":
		return "reads the whole header map: name the header"
	case "attributes.request.http.id", "attributes.request.time", "attributes.request.time.seconds", "attributes.request.time.nanos":
		return "reads what differs in every request"
	case "attributes.request.http.path", "parsed_path", "parsed_query":
		return "reads the path as it was sent: every document is a question of its own; a route and a coarse place (`at`) make one of many"
	case "attributes.source", "attributes.source.address", "attributes.source.address.socketAddress", "attributes.source.address.socketAddress.portValue":
		return "reads the caller's port too: name the address"
	case "attributes.request.http.body", "attributes.request.http.rawBody", "parsed_body":
		return "reads the whole body: name the member of parsed_body that it needs"
	default:
		return ""
	}
}

// headerAdvice is [advice] on one header.
func headerAdvice(name string) string {
	switch name {
	case "x-request-id", "traceparent", "tracestate", "x-b3-traceid", "x-b3-spanid", "b3":
		return "reads a header that differs in every request"
	case "authorization", "cookie":
		return "reads a credential: each is a question of its own; let identity verify it and read input.subject"
	default:
		return ""
	}
}
