package main

import (
	"io"
	"os"

	"github.com/fatih/color"
	"github.com/mattn/go-isatty"
)

// paint colors text, or leaves it as it is.
type paint struct{ on bool }

// paint says whether what is written to w is colored: as --color says, else as the
// environment says, else if w is a terminal. Color never carries meaning alone.
func (p *program) paint(w io.Writer) paint {
	_, never := p.lookup("NO_COLOR")
	force, _ := p.lookup("CLICOLOR_FORCE")
	switch {
	case p.color == "always", p.color == "never":
		return paint{p.color == "always"}
	case never:
		return paint{}
	case force != "" && force != "0":
		return paint{true}
	default:
		return paint{terminal(w)}
	}
}

func (p paint) red(s string) string    { return p.as(s, color.FgRed, color.Bold) }
func (p paint) green(s string) string  { return p.as(s, color.FgGreen, color.Bold) }
func (p paint) yellow(s string) string { return p.as(s, color.FgYellow) }
func (p paint) faint(s string) string  { return p.as(s, color.Faint) }
func (p paint) bold(s string) string   { return p.as(s, color.Bold) }

func (p paint) as(s string, attributes ...color.Attribute) string {
	c := color.New(attributes...)
	c.DisableColor() // the library's own guess is about stdout
	if p.on {
		c.EnableColor()
	}
	return c.Sprint(s)
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
