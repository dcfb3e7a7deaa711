package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/loader/schema"
)

// schemaCommand prints the JSON Schema of a kind of file, or lists the kinds.
func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [NAME]",
		Short: "Print the JSON Schema (2020-12) of a kind of file, for editors",
		Long: `Print the JSON Schema (2020-12) of a kind of file. Without a name the kinds are listed.

Editors take it by file name (json.schemas, yaml.schemas); a "$schema" key inside a data
file would become data.`,
		Example: "  rolegate schema roles > .vscode/roles.schema.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := p.wantFormat("pretty", "json"); err != nil {
				return err
			}
			if len(args) == 0 {
				return p.listSchemas()
			}
			text, err := schema.For(args[0])
			if err != nil {
				return unknownName("schema", args[0], schemaNames(), "`rolegate schema` lists them")
			}
			_, err = fmt.Fprintf(p.stdout, "%s\n", text)
			return err
		},
	}
}

func schemaNames() []string {
	var names []string
	for _, d := range schema.Documents() {
		names = append(names, d.Name)
	}
	return names
}

func (p *program) listSchemas() error {
	if p.format == "json" {
		list := []map[string]string{}
		for _, d := range schema.Documents() {
			list = append(list, map[string]string{"name": d.Name, "file": d.File, "title": d.Title})
		}
		return json.NewEncoder(p.stdout).Encode(map[string]any{"schema_version": 1, "schemas": list})
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, d := range schema.Documents() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", d.Name, d.File, d.Title)
	}
	return table.Flush()
}
