package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/loader"
)

// asFlag makes the flag that names a server's settings, for commands that read bundles.
func asFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "config", "", "settings of a server, in YAML: bundles are read as it reads them")
}

// loaderAs is how the server with the settings in a file reads the bundles of dir: its
// profile, its entry point, what it lets policies call. Without a file it is the usual way.
func (p *program) loaderAs(file, dir string) (loader.Config, error) {
	s := newSettings(p)
	if s.file = file; file != "" {
		if err := s.readFile(); err != nil {
			return loader.Config{}, err
		}
	}
	cfg, err := s.resolved()
	if err != nil {
		return loader.Config{}, fmt.Errorf("%s: %w", file, err)
	}
	cfg.Loader.Dir = dir
	return cfg.Loader, nil
}
