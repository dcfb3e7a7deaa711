package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) devTokenCommand() *cobra.Command {
	var d demoFolder
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "token NAME",
		Short: "Print a token for a person of the demo",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			token, err := d.token(args[0], p.now(), life)
			if err != nil {
				return err
			}
			fmt.Fprintln(p.stdout, token)
			return nil
		},
	}
	cmd.Flags().StringVar(&d.dir, "dir", defaultDemoDir, "folder of the demo")
	cmd.Flags().DurationVar(&life, "life", time.Hour, "how long the token is good")
	return cmd
}
