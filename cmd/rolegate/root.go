package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/cmd/rolegate/internal/strict"
)

// program is what a command has of its process, so that a test can run one in its
// own. Results go to stdout and nothing else does.
type program struct {
	name           string // as the user called it, for commands to be pasted
	stdout, stderr io.Writer
	env            []string // "NAME=value"
	now            func() time.Time

	format string // -f
	color  string // --color
}

// run runs the command line and answers the exit code.
func run(ctx context.Context, args []string, p *program) int {
	p.name = args[0]
	root := p.rootCommand() //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args[1:])
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	return p.exit(ctx, root.ExecuteContext(ctx))
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "rolegate",
		Short: "Decide whether a request may pass, from roles held in memory",
		Long: `Rolegate answers one question for every request that Envoy or its own proxy sees:
may this subject do this here, now?

Exit codes: 0 yes; 1 the answer is no; 2 no answer could be had; 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			colors := []string{"auto", "always", "never"}
			if !slices.Contains(colors, p.color) {
				return unknownName("color", p.color, colors, "one of "+strings.Join(colors, ", "))
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hint(err, fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath()))
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&p.format, "format", "f", "pretty", "form of the result: pretty or json")
	flags.StringVar(&p.color, "color", "auto", "auto, always or never")
	flags.String("log-level", "", "debug, info, warn or error")
	flags.String("log-format", "", "console or json; json unless stderr is a terminal")
	root.AddCommand(
		p.devCommand(),
		p.serveCommand(),
		p.checkCommand(),
		p.roleCommand(),
		p.validateCommand(),
		p.testCommand(),
		p.importCommand(),
		p.footprintCommand(),
		p.cacheCommand(),
		p.schemaCommand(),
		p.initCommand(),
		p.healthcheckCommand(),
		p.doctorCommand(),
		p.versionCommand(),
	)
	return root
}

// knownCommand refuses the name of no command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return unknownName("command", args[0], names, fmt.Sprintf("`%s --help` lists them", cmd.CommandPath()))
}

// wantFormat checks -f against what a command can write.
func (p *program) wantFormat(formats ...string) error {
	if slices.Contains(formats, p.format) {
		return nil
	}
	return unknownName("format", p.format, formats, "one of "+strings.Join(formats, ", "))
}

// unknownName is the error of a name that nothing has, with what was probably
// meant, or else otherwise as its hint.
func unknownName(kind, name string, known []string, otherwise string) error {
	if near := strict.Nearest(name, known); near != "" {
		otherwise = fmt.Sprintf("did you mean %q?", near)
	}
	return hint(fmt.Errorf("no %s %q", kind, name), otherwise)
}

// lookup answers an environment variable.
func (p *program) lookup(name string) (string, bool) {
	for _, entry := range p.env {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}
