package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// holder is a member who has a role stored.
type holder struct {
	Member  string   `json:"member"`
	Role    string   `json:"role"`
	Sources []string `json:"sources"` // grant, implicit, conditional, base
}

// holders is what a search wants.
type holders struct {
	roleRequest
	role   string
	level  int // below 0: any
	source string
}

func (p *program) roleSearchCommand() *cobra.Command {
	h := holders{level: -1}
	cmd := &cobra.Command{
		Use:   "search [ROLE] -t TENANT -b DIR",
		Short: "List the members of a tenant who have a role, and from where",
		Long: `List the members with a record at the tenant who have a role stored: by grant, by an implicit
rule (their stored email and registrations), by a condition, or as a base role. Windows and
revocations are not asked; visibility is.`,
		Example: `  rolegate role search editor -t acme -b demo-bundle
  rolegate role search -t acme --source grant -b demo-bundle`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				h.role = args[0]
			}
			if h.tenant == "" {
				return hint(errors.New("no tenant"), "-t TENANT says where")
			}
			if sources := []string{"base", "conditional", "grant", "implicit"}; h.source != "" && !slices.Contains(sources, h.source) {
				return unknownName("source", h.source, sources, "one of "+strings.Join(sources, ", "))
			}
			d, err := p.openDesk(cmd.Context(), h.roleRequest)
			if err != nil {
				return err
			}
			defer d.engine.Close()
			found, err := d.search(cmd.Context(), h)
			if err != nil {
				return err
			}
			return d.print(map[string]any{"tenant": h.tenant, "holders": found}, func(w *tabwriter.Writer) {
				if len(found) == 0 {
					fmt.Fprintln(w, "no member of", h.tenant, "has it")
					return
				}
				fmt.Fprintln(w, "member\trole\tfrom")
				for _, f := range found {
					fmt.Fprintf(w, "%s\t%s\t%s\n", f.Member, f.Role, strings.Join(f.Sources, ", "))
				}
			})
		},
	}
	h.bundleFlag(cmd)
	h.tenantFlag(cmd, "tenant whose members are searched")
	cmd.Flags().IntVar(&h.level, "level", -1, "only roles of this level")
	cmd.Flags().StringVar(&h.source, "source", "", "only from this source: grant, implicit, conditional or base")
	return cmd
}

// search asks the library for each role that is wanted.
func (d *desk) search(ctx context.Context, h holders) ([]holder, error) {
	wish := map[string]any{}
	if h.level >= 0 {
		wish["level"] = h.level
	}
	if h.role != "" {
		if err := d.role(h.role); err != nil {
			return nil, err
		}
	}
	roles := map[string]roleProfile{}
	if err := d.ask(ctx, "listing", wish, &roles); err != nil {
		return nil, err
	}
	found := []holder{}
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		if h.role != "" && role != h.role {
			continue
		}
		members := map[string][]string{}
		if err := d.ask(ctx, "search", map[string]any{"tenant": h.tenant, "role": role}, &members); err != nil {
			return nil, err
		}
		for _, member := range slices.Sorted(maps.Keys(members)) {
			if sources := members[member]; h.source == "" || slices.Contains(sources, h.source) {
				found = append(found, holder{member, role, sources})
			}
		}
	}
	return found, nil
}
