package loader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// Set is a directory of bundles, read once.
type Set struct {
	Snapshot *policy.Snapshot
	Warnings policy.Problems        // what does not refuse the bundles
	Bundles  []BundleStatus         // by name
	Modules  map[string]*ast.Module // without the role library's, by file name
	Tests    map[string]*ast.Module // the *_test.rego of the bundles; no decision knows them

	bundles []*bundle
}

// Changed checks what may not change between two versions of data.rbac: old is the one
// before.
func (s Set) Changed(ctx context.Context, old map[string]any) (policy.Problems, error) {
	found, err := s.Snapshot.ValidateChange(ctx, old)
	if err != nil {
		return nil, err
	}
	return place(found, s.bundles), nil
}

// Open reads the bundles of a directory once and compiles them: what Run does before it
// installs. The error is [policy.Problems] where a bundle is at fault.
func Open(ctx context.Context, cfg Config) (Set, error) {
	cfg = cfg.withDefaults()
	build, err := newBuilder(cfg)
	if err != nil {
		return Set{}, err
	}
	there, err := locations(cfg.Dir)
	if err != nil {
		return Set{}, fmt.Errorf("list the bundles: %w", err)
	}
	if len(there) == 0 {
		return Set{}, noBundles(cfg.Dir)
	}
	var set []*bundle
	var faults policy.Problems
	for _, at := range there {
		b, wrong, err := at.open(ctx, cfg)
		if err != nil {
			return Set{}, err
		}
		faults = append(faults, wrong...)
		set = append(set, b)
	}
	if len(faults) > 0 {
		faults.Sort()
		return Set{}, faults
	}
	r := build.build(ctx, set)
	switch {
	case r.err != nil:
		return Set{}, r.err
	case r.snapshot == nil:
		return Set{}, r.problems
	}
	return setOf(r, set), nil
}

// Text reads a file of a bundle again, by the name that a problem has for it: to show
// the line. dir is what was read.
func Text(dir, file string) ([]byte, error) {
	there, err := locations(dir)
	if err != nil {
		return nil, err
	}
	for _, at := range there {
		if name, ok := strings.CutPrefix(file, at.prefix); ok {
			return at.source(Config{}.withDefaults().Limits)(name)
		}
	}
	return nil, fmt.Errorf("%s: %w", file, fs.ErrNotExist)
}

func noBundles(dir string) policy.Problems {
	return policy.Problems{{Code: codeEmpty, Subject: dir, Message: fmt.Sprintf("there is no bundle in %s", dir)}}
}

// open reads a bundle as it is now. One that changes meanwhile is read again, for
// as long as a folder would be waited for.
func (l location) open(ctx context.Context, cfg Config) (*bundle, policy.Problems, error) {
	pause := firstRetry
	for began := time.Now(); ; pause *= 2 {
		b, faults, err := l.once(ctx, cfg)
		if !errors.Is(err, errChanged) {
			return b, faults, err
		}
		if ctx.Err() != nil || time.Since(began) > maxSettle {
			return nil, nil, fmt.Errorf("read %s: %w", l.shown(), err)
		}
		wait(ctx, pause, nil)
	}
}

func (l location) once(ctx context.Context, cfg Config) (*bundle, policy.Problems, error) {
	tree, err := scan(ctx, l, cfg.Limits)
	if err != nil {
		return nil, l.unreadable(err), ctx.Err()
	}
	files, err := tree.files.read()
	switch {
	case errors.Is(err, errChanged):
		return nil, nil, err
	case err != nil:
		return nil, l.unreadable(err), nil
	}
	if err := tree.unchanged(ctx, cfg.Limits); err != nil {
		return nil, nil, err
	}
	b, faults := l.parse(cfg, l.digest(files), files)
	return b, faults, nil
}

func setOf(r result, bundles []*bundle) Set {
	set := Set{
		Snapshot: r.snapshot, Warnings: r.problems,
		Modules: map[string]*ast.Module{}, Tests: map[string]*ast.Module{}, bundles: bundles,
	}
	for _, b := range bundles {
		set.Bundles = append(set.Bundles, (&tracked{location: location{name: b.name}, good: b}).status())
		maps.Copy(set.Modules, b.modules)
		maps.Copy(set.Tests, b.tests)
	}
	return set
}
