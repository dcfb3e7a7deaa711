package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/internal/telemetry"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say what this binary is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := p.wantFormat("pretty", "json"); err != nil {
				return err
			}
			return p.version(build())
		},
	}
}

// build is what this binary is.
func build() telemetry.Build {
	info, _ := debug.ReadBuildInfo() // nil when it was not stamped
	return telemetry.ReadBuild(info)
}

func (p *program) version(b telemetry.Build) error {
	if p.format == "json" {
		return p.json(struct {
			SchemaVersion int `json:"schema_version"`
			telemetry.Build
		}{1, b})
	}
	revision := b.Revision
	if b.Modified {
		revision += " (modified)"
	}
	fmt.Fprintf(p.stdout, "rolegate %s\n", b.Version)
	for _, part := range [...][2]string{{"revision", revision}, {"go", b.Go}, {"opa", b.OPA}} {
		if part[1] != "" {
			fmt.Fprintf(p.stdout, "%-9s%s\n", part[0], part[1])
		}
	}
	return nil
}

// json writes a result as an indented document.
func (p *program) json(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
