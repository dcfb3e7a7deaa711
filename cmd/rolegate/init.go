package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/loader/schema"
)

// startFiles is what `init` writes, but for the schemas; names in double braces are filled in.
//
//go:embed all:start all:start-imported
var startFiles embed.FS

func (p *program) initCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write bundles to start from: roles, routes, cases, schemas for editors, a CI job",
		Long: `Write bundles to start from into DIR, or here: roles, routes, cases that hold them to what
they should answer, settings of a server, JSON Schemas that editors find by file name, and
a job for continuous integration. With --from, the issuer is believed as that system's
tokens want it, and an import replaces the roles. No file that is there is changed.

Exit codes: 0 written; 2 not written.`,
		Example: "  rolegate init my-policies --from stytch",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			if err := p.wantFormat("pretty", "json"); err != nil {
				return err
			}
			if from != "" && !slices.Contains(importer.Vendors(), from) {
				return unknownName("vendor", from, importer.Vendors(), "one of "+strings.Join(importer.Vendors(), ", "))
			}
			return p.init(dir, from)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "system that is moved from: "+strings.Join(importer.Vendors(), ", "))
	return cmd
}

func (p *program) init(dir, from string) error {
	files, err := startOf(from, build().Version)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); !errors.Is(err, fs.ErrNotExist) {
			return hint(errors.Join(fmt.Errorf("%s is there already, and nothing was written", filepath.Join(dir, name)), err), "`rolegate init DIR` writes into another folder")
		}
	}
	for i, name := range names {
		if err := writeNew(filepath.Join(dir, filepath.FromSlash(name)), files[name]); err != nil {
			for _, written := range names[:i] {
				err = errors.Join(err, os.Remove(filepath.Join(dir, filepath.FromSlash(written))))
			}
			return err
		}
	}
	if p.format == "json" {
		return p.json(struct {
			SchemaVersion int      `json:"schema_version"`
			Dir           string   `json:"dir"`
			Files         []string `json:"files"`
		}{1, dir, names})
	}
	for _, name := range names {
		if !strings.HasPrefix(name, schemaFolder) {
			fmt.Fprintln(p.stdout, filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
	_, err = fmt.Fprintf(p.stdout, "\nnext: %s validate %s && %s test %s\n", p.name, dir, p.name, dir)
	return err
}

func writeNew(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// startOf is every file of a start, by its name with slashes.
func startOf(from, version string) (map[string][]byte, error) {
	fill := strings.NewReplacer(fillings(from, version)...)
	files := map[string][]byte{}
	roots := []string{"start/"}
	if from != "" { // who is there will be known by the import: what is true of everybody's roles
		roots = append(roots, "start-imported/")
	}
	for _, root := range roots {
		err := fs.WalkDir(startFiles, path.Clean(root), func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := startFiles.ReadFile(name)
			files[strings.TrimPrefix(name, root)] = []byte(fill.Replace(string(text)))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("what init writes: %w", err)
		}
	}
	return files, addSchemas(files)
}

// fillings are what stands in the files for what differs.
func fillings(from, version string) []string {
	issuer, jwks, preset := "https://login.example", "https://login.example/.well-known/jwks.json", from
	audience, authority := "my-app", importer.Authority(from)
	metadata, instructions := "", ""
	switch from {
	case "":
		preset, authority = "oidc", "bundle"
	case "stytch":
		issuer, audience = "stytch.com/project-live-REPLACE", "project-live-REPLACE"
		jwks = "https://api.stytch.com/v1/b2b/sessions/jwks/project-live-REPLACE"
	case "waltid":
		preset += ", sso: {connection: keycloak-production}"
	case "frontegg":
		issuer, jwks = "https://REPLACE.frontegg.com", "https://REPLACE.frontegg.com/.well-known/jwks.json"
	}
	if from != "" {
		metadata = ",\n  \"metadata\": {\"imported_from\": \"" + from + "\"}"
		instructions = "\nThe roles are replaced, all of them, by those of " + from + ":\n\n```sh\nrolegate import " + from +
			" EXPORTED-FILES... -o roles --issuer " + issuer + "\n```\n\nThen write routes and cases for what is there: `rolegate validate .` and `rolegate test .` say what does not fit.\n"
	}
	if !strings.HasPrefix(version, "v") {
		version = "main"
	}
	return []string{
		"{{ISSUER}}", issuer, "{{JWKS}}", jwks, "{{PRESET}}", preset, "{{AUDIENCE}}", audience, "{{AUTHORITY}}", authority,
		"{{METADATA}}", metadata, "{{IMPORT}}\n", instructions, "{{VERSION}}", version,
	}
}

// schemaFolder is where the schemas stand that the editor's settings name.
const schemaFolder = ".vscode/schemas/"

// addSchemas adds the schemas and the settings by which editors find them: by file
// name, because a "$schema" in a data file would be data.
func addSchemas(files map[string][]byte) error {
	type match struct {
		FileMatch []string `json:"fileMatch"`
		URL       string   `json:"url"`
	}
	var byName []match
	inYAML := map[string][]string{}
	for _, d := range schema.Documents() {
		text, err := schema.For(d.Name)
		if err != nil {
			return err
		}
		name := schemaFolder + d.Name + ".schema.json"
		files[name] = append(text, '\n')
		pattern := "**/" + strings.ReplaceAll(d.File, "<node>", "*")
		byName = append(byName, match{[]string{pattern}, "./" + name})
		inYAML["./"+name] = []string{
			strings.TrimSuffix(pattern, path.Ext(pattern)) + ".yaml",
			strings.TrimSuffix(pattern, path.Ext(pattern)) + ".yml",
		}
	}
	var settings bytes.Buffer
	e := json.NewEncoder(&settings)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(map[string]any{
		"files.associations": map[string]string{".manifest": "json"},
		"json.schemas":       byName,
		"yaml.schemas":       inYAML,
	})
	files[".vscode/settings.json"] = settings.Bytes()
	return err
}
