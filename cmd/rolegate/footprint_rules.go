package main

import (
	"fmt"
	"io"

	"github.com/rolegate/rolegate/policy/footprint"
)

// readRule is what one rule or function reads, with all that it uses. Its members as JSON
// are a contract.
type readRule struct {
	Rule             string     `json:"rule"`         // data.authz.allow
	At               string     `json:"at,omitempty"` // file:line where it begins
	Paths            []readPath `json:"paths"`
	Nondeterministic []string   `json:"nondeterministic"`
}

// readRules is nil for nil: nobody asked.
func readRules(documents []footprint.Document) []readRule {
	if documents == nil {
		return nil
	}
	rules := make([]readRule, len(documents))
	for i, d := range documents {
		rules[i] = readRule{d.Ref.String(), position(d.At), readPaths(d.Paths), callNames(d.Nondeterministic)}
	}
	return rules
}

func printRules(w io.Writer, documents []footprint.Document) error {
	for _, d := range documents {
		fmt.Fprintf(w, "\n%s  %s\n", d.Ref, position(d.At))
		if len(d.Paths)+len(d.Nondeterministic) == 0 {
			fmt.Fprintln(w, "  reads nothing of the input")
		}
		if err := printReads(w, d.Paths, d.Nondeterministic); err != nil {
			return err
		}
	}
	return nil
}
