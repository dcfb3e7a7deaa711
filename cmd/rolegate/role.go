package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/policy"
)

// roleRequest is what the role commands share.
type roleRequest struct {
	dir    string
	tenant string
	asOf   string
}

func (p *program) roleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "role",
		Short: "Ask about roles: which there are, who has them, who may give them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.roleListCommand(), p.roleShowCommand(), p.roleCanAssignCommand(), p.roleSignupCommand(), p.roleSearchCommand())
	return cmd
}

// bundleFlag adds the flag that every role command has.
func (r *roleRequest) bundleFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&r.dir, "bundle-dir", "b", "", "folder with the bundle or the bundles")
}

func (r *roleRequest) tenantFlag(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVarP(&r.tenant, "tenant", "t", "", usage)
}

// desk is an open bundle, for questions of administration.
type desk struct {
	*program
	engine *policy.Engine
	view   policy.View
	names  names
	now    time.Time
}

// openDesk opens the bundle and checks the names of the request.
func (p *program) openDesk(ctx context.Context, r roleRequest) (*desk, error) {
	if err := p.wantFormat("pretty", "json"); err != nil {
		return nil, err
	}
	if r.dir == "" {
		return nil, hint(errors.New("no bundle"), "-b DIR names the folder with the bundle or the bundles")
	}
	now, err := instant(r.asOf, p.now())
	if err != nil {
		return nil, err
	}
	engine, err := p.open(ctx, r.dir, "", false)
	if err != nil {
		return nil, err
	}
	d := &desk{program: p, engine: engine, view: engine.View(), now: now}
	d.names = newNames(d.view)
	if r.tenant != "" {
		if err := d.names.tenant(r.tenant); err != nil {
			engine.Close()
			return nil, err
		}
	}
	return d, nil
}

// ask asks an entry point of administration and reads its answer.
func (d *desk) ask(ctx context.Context, entrypoint string, request map[string]any, into any) error {
	doc, err := ast.InterfaceToValue(request)
	if err != nil {
		return err
	}
	v, err := d.view.Eval(ctx, "rolegate/admin/"+entrypoint, policy.Whole{Value: doc}, d.now)
	if err != nil {
		return fmt.Errorf("%s: %w", entrypoint, err)
	}
	plain, err := ast.JSON(v)
	if err != nil {
		return err
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// print writes a result: as JSON with its schema's version, or by pretty.
func (d *desk) print(result map[string]any, pretty func(w *tabwriter.Writer)) error {
	if d.format == "json" {
		result["schema_version"] = 1
		encoder := json.NewEncoder(d.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	w := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	pretty(w)
	return w.Flush()
}

// role checks that a role exists.
func (d *desk) role(id string) error {
	roles := d.names.object("roles")
	if _, ok := roles[id]; ok {
		return nil
	}
	return unknownName("role", id, keys(roles), few("roles", keys(roles)))
}

func (p *program) roleSignupCommand() *cobra.Command {
	var r roleRequest
	var first bool
	cmd := &cobra.Command{
		Use:   "signup -t TENANT -b DIR",
		Short: "Say which roles to record as grants for somebody who signs up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.tenant == "" {
				return hint(errors.New("no tenant"), "-t TENANT says where")
			}
			d, err := p.openDesk(cmd.Context(), r)
			if err != nil {
				return err
			}
			defer d.engine.Close()
			roles := []string{}
			if err := d.ask(cmd.Context(), "signup", map[string]any{"tenant": r.tenant, "first": first}, &roles); err != nil {
				return err
			}
			return d.print(map[string]any{"tenant": r.tenant, "first": first, "roles": roles}, func(w *tabwriter.Writer) {
				for _, id := range roles {
					fmt.Fprintln(w, id)
				}
				if len(roles) == 0 {
					fmt.Fprintf(w, "no roles at sign-up in %s\n", r.tenant)
				}
			})
		},
	}
	r.bundleFlag(cmd)
	r.tenantFlag(cmd, "tenant that is joined")
	cmd.Flags().BoolVar(&first, "first", false, "the first user of the tenant")
	return cmd
}

func (p *program) roleCanAssignCommand() *cobra.Command {
	var r roleRequest
	var to, by, claims string
	var unassign bool
	cmd := &cobra.Command{
		Use:   "can-assign ROLE --to MEMBER -t NODE -b DIR",
		Short: "Say whether a role may be given to a member, or taken from it",
		Long: `Say whether a role may be recorded as a grant. With --by, a member does it and its own
roles bound what it may give (self-service); without, a management plane does.

Exit codes: 0 it may; 1 it may not, and why; 2 a name that does not exist.`,
		Example: `  rolegate role can-assign editor --to bob -t acme -b demo-bundle
  rolegate role can-assign editor --to bob --by ann -t acme -b demo-bundle`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" || r.tenant == "" {
				return hint(errors.New("to whom, and where"), "--to MEMBER -t NODE")
			}
			d, err := p.openDesk(cmd.Context(), r)
			if err != nil {
				return err
			}
			defer d.engine.Close()
			if err := d.role(args[0]); err != nil {
				return err
			}
			request := map[string]any{
				"op": "assign", "plane": "management", "target": to, "role": args[0], "node": r.tenant,
				"actor": map[string]any{},
			}
			if unassign {
				request["op"] = "unassign"
			}
			if by != "" {
				actor := map[string]any{"principal": by}
				if actor["claims"], err = readClaims(claims); err != nil {
					return err
				}
				request["plane"], request["actor"] = "self_service", actor
			}
			return d.canAssign(cmd.Context(), request)
		},
	}
	r.bundleFlag(cmd)
	r.tenantFlag(cmd, "node where it is given")
	flags := cmd.Flags()
	flags.StringVar(&to, "to", "", "member that is given the role")
	flags.StringVar(&by, "by", "", "member who gives it; without, a management plane does")
	flags.StringVar(&claims, "claims", "", "claims of the giver's session: JSON, or @FILE")
	flags.BoolVar(&unassign, "unassign", false, "take the role away instead")
	flags.StringVar(&r.asOf, "as-of", "", "ask for this instant: 2026-01-31, 2026-01-31T12:00:00Z or milliseconds")
	return cmd
}

// readClaims reads an object from the command line or, after an @, from a file; nil of "".
func readClaims(text string) (any, error) {
	if text == "" {
		return nil, nil
	}
	raw := []byte(text)
	if file, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if raw, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	claims, err := document.JSON(raw)
	if err != nil {
		return nil, fmt.Errorf("--claims: %w", err)
	}
	if _, ok := claims.(map[string]any); !ok {
		return nil, errors.New("--claims: want an object")
	}
	return claims, nil
}

func (d *desk) canAssign(ctx context.Context, request map[string]any) error {
	var answer string
	if err := d.ask(ctx, "assignment", request, &answer); err != nil {
		return err
	}
	ok := answer == "ok"
	err := d.print(map[string]any{"allowed": ok, "reason": answer}, func(w *tabwriter.Writer) {
		paint := d.paint(d.stdout)
		if ok {
			fmt.Fprintln(w, paint.green("✓ ok"))
		} else {
			fmt.Fprintf(w, "%s: %s\n", paint.red("⊘ "+answer), meaning(answer))
		}
	})
	if err == nil && !ok {
		return errNo
	}
	return err
}

// meaning says a refusal in words.
func meaning(refusal string) string {
	switch refusal {
	case "role_not_visible":
		return "the role may not be held at this node"
	case "not_explicit":
		return "there is no recorded grant to take away"
	case "actor_has_no_role":
		return "who gives it has no role here"
	case "role_stronger_than_actor":
		return "the role is stronger than any role of who gives it"
	case "target_stronger_than_actor":
		return "the member is stronger than who gives it"
	default:
		return "it may not"
	}
}
