package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// roleProfile is a role with its defaults filled in.
type roleProfile struct {
	ID          string                                `json:"id"`
	Owner       string                                `json:"owner"`
	Key         string                                `json:"key"`
	Name        string                                `json:"name,omitempty"`
	Description string                                `json:"description,omitempty"`
	Type        string                                `json:"type"`
	Level       int                                   `json:"level"`
	Visibility  string                                `json:"visibility"`
	Include     map[string]bool                       `json:"include,omitempty"`
	Windows     [][2]int64                            `json:"windows,omitempty"`
	Allow       map[string]map[string]map[string]bool `json:"allow,omitempty"`
	Deny        map[string]map[string]map[string]bool `json:"deny,omitempty"`
}

func (p *program) roleListCommand() *cobra.Command {
	var r roleRequest
	var text, kind, visibility, permission string
	level := -1
	cmd := &cobra.Command{
		Use:   "list [TEXT] -b DIR",
		Short: "List roles, by text in id, key or name, level, tenant, type, visibility, permission",
		Example: `  rolegate role list -b demo-bundle
  rolegate role list edit -t acme --permission documents:write -b demo-bundle`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				text = args[0]
			}
			d, err := p.openDesk(cmd.Context(), r)
			if err != nil {
				return err
			}
			defer d.engine.Close()
			wish := map[string]any{}
			for name, v := range map[string]string{"text": text, "type": kind, "visibility": strings.ToUpper(visibility), "tenant": r.tenant} {
				if v != "" {
					wish[name] = v
				}
			}
			if cmd.Flags().Changed("level") {
				wish["level"] = level
			}
			if permission != "" {
				resource, action := splitPermission(permission)
				if err := d.names.permission(resource, action); err != nil {
					return err
				}
				wish["permission"] = map[string]any{"resource": resource, "action": action}
			}
			found := map[string]roleProfile{}
			if err := d.ask(cmd.Context(), "listing", wish, &found); err != nil {
				return err
			}
			return d.printRoles(found)
		},
	}
	r.bundleFlag(cmd)
	r.tenantFlag(cmd, "only roles that may be held at this node")
	flags := cmd.Flags()
	flags.IntVar(&level, "level", 0, "only roles of this level (0 is the strongest)")
	flags.StringVar(&kind, "type", "", "only custom, or only predefined roles")
	flags.StringVar(&visibility, "visibility", "", "only roles that are ALL, NONE, INCLUDE or OWNER")
	flags.StringVar(&permission, "permission", "", "only roles with an allow that speaks of RESOURCE:ACTION")
	return cmd
}

// splitPermission reads RESOURCE:ACTION, or an action alone, whose resource is "-".
func splitPermission(text string) (resource, action string) {
	if resource, action, ok := strings.Cut(text, ":"); ok {
		return resource, action
	}
	return "-", text
}

func (d *desk) printRoles(found map[string]roleProfile) error {
	roles := []roleProfile{}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		role := found[id]
		role.ID = id
		roles = append(roles, role)
	}
	return d.print(map[string]any{"roles": roles}, func(w *tabwriter.Writer) {
		if len(roles) == 0 {
			fmt.Fprintln(w, "no role is like that")
			return
		}
		fmt.Fprintln(w, "role\tname\tlevel\ttype\tvisibility\tallows\tdenies")
		for _, r := range roles {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%d\n", r.ID, r.Name, r.Level, r.Type, r.Visibility,
				statements(r.Allow), statements(r.Deny))
		}
	})
}

func statements(side map[string]map[string]map[string]bool) int {
	n := 0
	for _, actions := range side {
		for _, targets := range actions {
			n += len(targets)
		}
	}
	return n
}

func (p *program) roleShowCommand() *cobra.Command {
	var r roleRequest
	cmd := &cobra.Command{
		Use:     "show ROLE -b DIR",
		Short:   "Show one role: what it allows and denies, where it may be held, and when",
		Example: `  rolegate role show acme.custodian -b demo-bundle`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := p.openDesk(cmd.Context(), r)
			if err != nil {
				return err
			}
			defer d.engine.Close()
			if err := d.role(args[0]); err != nil {
				return err
			}
			found := map[string]roleProfile{}
			if err := d.ask(cmd.Context(), "listing", map[string]any{}, &found); err != nil {
				return err
			}
			role, ok := found[args[0]]
			if !ok {
				return errors.New("the library does not know the role")
			}
			role.ID = args[0]
			return d.print(map[string]any{"role": role}, func(w *tabwriter.Writer) { showRole(w, role) })
		},
	}
	r.bundleFlag(cmd)
	return cmd
}

func showRole(w *tabwriter.Writer, r roleProfile) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	row("role", r.ID)
	row("name", r.Name)
	row("description", r.Description)
	row("owner", r.Owner)
	row("type", r.Type)
	row("level", fmt.Sprint(r.Level))
	visible := r.Visibility
	if len(r.Include) > 0 {
		visible += " " + strings.Join(slices.Sorted(maps.Keys(r.Include)), ", ")
	}
	row("visibility", visible)
	for _, window := range r.Windows {
		row("window", fmt.Sprintf("%s to %s", day(window[0]), day(window[1])))
	}
	for _, side := range []struct {
		name       string
		statements map[string]map[string]map[string]bool
	}{{"allow", r.Allow}, {"deny", r.Deny}} {
		for _, resource := range slices.Sorted(maps.Keys(side.statements)) {
			for _, action := range slices.Sorted(maps.Keys(side.statements[resource])) {
				targets := strings.Join(slices.Sorted(maps.Keys(side.statements[resource][action])), ", ")
				if targets == "." {
					targets = "wherever it is held"
				}
				row(side.name, fmt.Sprintf("%s:%s   %s", resource, action, targets))
			}
		}
	}
}

func day(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
