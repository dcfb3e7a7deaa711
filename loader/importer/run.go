package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rolegate/rolegate/loader/importer/spool"
	"github.com/rolegate/rolegate/policy"
)

// Config is one import. Vendor, Files and Dir are needed.
type Config struct {
	Vendor   string
	Files    []File
	Dir      string            // that is made, or made anew when an import made it
	Issuers  map[string]Issuer // of tokens, by iss; without an authority, the vendor's
	LeaveOut bool              // references to what is not there are left out, instead of refusing all
	// Progress is called every few thousand records. nil: nobody watches.
	Progress func(Progress)
	// SortBytes bounds what the sorting of members keeps in memory; 0 means 64 MiB.
	SortBytes int
}

// File is one file of an export.
type File struct {
	Name string // as the user knows it
	Kind string // of all its records; "": each is told by its fields
	Of   string // whom they are of, where they do not say it: a tenant; mostly ""
	Open func() (io.ReadCloser, error)
	Size int64 // 0: not known
}

// Progress is how far an import is.
type Progress struct {
	Bytes, Total int64 // read; Total 0: not known
	Records      int   // read
	Phase        Phase
	Principals   int // that the phase has done
}

// Phase is what an import does.
type Phase string

// The phases, in their order.
const (
	Reading Phase = "reading"
	Sorting Phase = "sorting" // what was said of members, by member
	Writing Phase = "writing" // members, by node
)

// Result is what an import did.
type Result struct {
	Count    Count
	Warnings policy.Problems
	Unknown  []Unknown // fields that were not expected, by kind and name
	Bytes    int64     // of the bundle
	Revision string
}

// NamedFile is a file of the command line: FILE, KIND=FILE, KIND:OF=FILE, and - for
// stdin.
func NamedFile(arg string, stdin io.Reader) File {
	f := File{Name: arg}
	if before, name, ok := strings.Cut(arg, "="); ok {
		kind, of, _ := strings.Cut(before, ":")
		if kind != "" && strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz_") == "" {
			f.Kind, f.Of, f.Name = kind, of, name
		}
	}
	if f.Name == "-" {
		f.Name = "stdin"
		f.Open = func() (io.ReadCloser, error) { return io.NopCloser(stdin), nil }
		return f
	}
	name := f.Name
	f.Open = func() (io.ReadCloser, error) { return os.Open(name) }
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		f.Size = info.Size()
	}
	return f
}

// Run imports. An error that is [policy.Problems] is the export's fault, all of it as
// far as it can be told; any other is not. Unless the error is nil, Dir is as it was.
func Run(ctx context.Context, cfg Config) (Result, error) {
	b := newBuilder(cfg.LeaveOut)
	v, ok := vendor(cfg.Vendor, b)
	if !ok {
		return Result{}, fmt.Errorf("no vendor %q: there are %s", cfg.Vendor, strings.Join(Vendors(), ", "))
	}
	for _, f := range cfg.Files {
		if _, ok := v.named(f.Kind); !ok && f.Kind != "" {
			return Result{}, fmt.Errorf("no kind of record %q: %s has %s", f.Kind, v.Name, kindList(v.Kinds))
		}
	}
	t, err := newTarget(cfg.Dir)
	if err != nil {
		return Result{}, err
	}
	i := &run{cfg: cfg, b: b, v: v, target: t, pages: newPageBook(b), done: Progress{Phase: Reading}}
	result, err := i.run(ctx)
	return result, errors.Join(err, t.discard())
}

func newBuilder(leaveOut bool) *Builder {
	return &Builder{
		leaveOut: leaveOut, unknowns: map[unknownKey]*Unknown{}, roles: map[string]*Role{}, tenants: map[string]*Tenant{},
		issuers: map[string]Issuer{}, aliases: map[string]string{}, keys: map[string]APIKey{},
	}
}

// run is one import on its way.
type run struct {
	cfg     Config
	b       *Builder
	v       Vendor
	target  *target
	pages   *pageBook
	done    Progress
	spooled error // of adding a member to the sorter
}

// reportEvery is how many records pass between two reports of progress.
const reportEvery = 4096

func (i *run) run(ctx context.Context) (Result, error) {
	parts := spool.New(i.target.temp, i.cfg.SortBytes)
	placed := spool.New(i.target.temp, i.cfg.SortBytes)
	result, err := i.steps(ctx, parts, placed)
	return result, errors.Join(err, parts.Close(), placed.Close())
}

func (i *run) steps(ctx context.Context, parts, placed *spool.Sorter) (Result, error) {
	i.b.members = func(m Member) {
		if i.spooled == nil {
			i.spooled = addTo(parts, false, m)
		}
	}
	if err := i.read(ctx); err != nil {
		return Result{}, err
	}
	if i.v.Finish != nil {
		i.v.Finish()
	}
	for iss, issuer := range i.cfg.Issuers {
		issuer.Authority = cmp.Or(issuer.Authority, i.v.Authority)
		i.b.Issuer(iss, issuer)
	}
	i.done.Phase = Sorting
	if err := i.b.place(i.v, parts, placed, i.beat(ctx)); err != nil {
		return Result{}, err
	}
	if err := i.faults(); err != nil {
		return Result{}, err
	}
	i.done.Phase = Writing
	revision, size, err := i.target.write(ctx, i, placed)
	if err != nil {
		return Result{}, err
	}
	if err := i.faults(); err != nil {
		return Result{}, err
	}
	if err := i.target.install(); err != nil {
		return Result{}, err
	}
	result := Result{Count: i.b.Count, Warnings: i.b.problems.sorted(true), Revision: revision, Bytes: size}
	for _, u := range i.b.unknowns {
		result.Unknown = append(result.Unknown, *u)
	}
	sortUnknown(result.Unknown)
	return result, nil
}

func (i *run) faults() error {
	if i.b.problems.faults == 0 {
		return nil
	}
	return i.b.problems.sorted(false)
}

// beat reports now and then that the import is on its way, and ends it with ctx.
func (i *run) beat(ctx context.Context) func() error {
	count := 0
	return func() error {
		count++
		if count%reportEvery != 0 {
			return nil
		}
		i.done.Principals = count
		i.report()
		return ctx.Err()
	}
}

func (i *run) report() {
	if i.cfg.Progress != nil {
		i.cfg.Progress(i.done)
	}
}
