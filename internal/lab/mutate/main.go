// Command mutate changes the code that stands between a denial and an allow a little,
// in every way that its operators know, and says which changes no test notices. Each
// file is compiled once, with every mutant in it behind a question for its number; the
// compiled tests then run once for each mutant, and only those that come by it.
//
// What goes to logs, metrics and the texts of errors is not changed, nor are lengths of time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// explanations stand beside the tool, a file for each package that is changed.
const explanations = "internal/lab/mutate/testdata/equivalent"

// options are the flags.
type options struct {
	pkgs    []string
	tests   []string
	longest time.Duration
	pattern *regexp.Regexp
	only    int
	list    bool
	strict  bool
	verbose bool
	workers int
	explain string
}

// errStrict means that a survivor has no explanation, or an explanation no mutant.
var errStrict = errors.New("not every survivor is explained")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	pkgs := flags.String("pkg", "", "packages to change, by commas (./proxy); empty: all that it knows")
	pattern := flags.String("run", "", "only mutants whose name, as -list prints it, matches")
	tests := flags.String("tests", "", "packages whose tests look, by commas; empty: those that the tool knows of")
	flags.DurationVar(&o.longest, "longest", 0, "leave tests out that take longer without a mutant; 0: none")
	flags.IntVar(&o.only, "only", 0, "only the mutant with this number, of one package")
	flags.BoolVar(&o.list, "list", false, "list the mutants and run nothing")
	flags.BoolVar(&o.strict, "strict", false, "fail when a survivor is not explained, or an explanation is of no mutant")
	flags.BoolVar(&o.verbose, "v", false, "say of each mutant who noticed it")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "how many tests run at a time")
	flags.StringVar(&o.explain, "explain", "", "file or folder with explanations; empty: the tool's own")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *pkgs != "" {
		o.pkgs = strings.Split(*pkgs, ",")
	}
	if *tests != "" {
		o.tests = strings.Split(*tests, ",")
	}
	if o.only != 0 && len(o.pkgs) != 1 {
		return o, errors.New("-only wants the one package of -pkg")
	}
	o.pattern, err = regexp.Compile(*pattern)
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	root, err := envoy.Root()
	if err != nil {
		return err
	}
	if o.explain == "" {
		o.explain = filepath.Join(root, filepath.FromSlash(explanations))
	}
	known, err := readExplanations(o.explain)
	if err != nil {
		return err
	}
	strict := true
	for _, t := range chosen(o.pkgs) {
		if len(o.tests) > 0 {
			t.tests = o.tests
		}
		c := campaign{options: o, root: root, known: known, out: out}
		ok, err := c.run(ctx, t)
		if err != nil {
			return err
		}
		strict = strict && ok
	}
	if o.strict && !strict {
		return errStrict
	}
	return nil
}

// chosen are the targets of packages; a package that is not known is examined whole, by
// its own tests.
func chosen(pkgs []string) (list []target) {
	all := targets()
	if len(pkgs) == 0 {
		return all
	}
	for _, pkg := range pkgs {
		pkg = "./" + strings.TrimPrefix(pkg, "./")
		i := slices.IndexFunc(all, func(t target) bool { return t.pkg == pkg })
		if i >= 0 {
			list = append(list, all[i])
		} else {
			list = append(list, target{pkg: pkg, tests: []string{pkg}})
		}
	}
	return list
}
