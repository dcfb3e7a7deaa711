package loader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/loader/archive"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

// libraryName is the embedded role library among the bundles, and the one root
// that it owns.
const libraryName = "rolegate"

// library parses the embedded role library.
func library() (*bundle, error) {
	core, err := bundles.Core()
	if err != nil {
		return nil, err
	}
	b := bundle{name: libraryName, embedded: true, prefix: "embedded:", source: func(name string) ([]byte, error) { return fs.ReadFile(core, name) }}
	var files []archive.File
	err = fs.WalkDir(core, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !wanted(name) {
			return err
		}
		text, err := fs.ReadFile(core, name)
		files = append(files, archive.File{Name: name, Data: text})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the embedded role library: %w", err)
	}
	b.digest = digestOf(files)
	parsed, faults := parse(b, files)
	if len(faults) > 0 {
		return nil, fmt.Errorf("parse the embedded role library: %w", faults)
	}
	return parsed, nil
}

// builder makes snapshots of sets of bundles. It remembers the checks of members
// that a new set does not change. It is used by one goroutine.
type builder struct {
	library    *bundle
	entrypoint string
	lenient    bool
	builtins   []string
	checked    map[string]memberCheck // by the digest of the bundle that gives the members
	trials     *trials                // nil: no tests are run
}

// memberCheck is the result of checking one bundle's members against one world.
type memberCheck struct {
	world  string // digests of the bundles that give the tenants and the roles
	faults []rbac.Fault
}

func newBuilder(cfg Config) (*builder, error) {
	lib, err := library()
	if err != nil {
		return nil, err
	}
	b := &builder{library: lib, entrypoint: cfg.Entrypoint, lenient: cfg.Lenient, builtins: cfg.Builtins, checked: map[string]memberCheck{}}
	if cfg.RunTests && cfg.Verify != nil {
		b.trials = &trials{verify: cfg.Verify, done: map[string]trialResult{}}
	}
	return b, nil
}

// build compiles and checks a set.
func (b *builder) build(ctx context.Context, set []*bundle) result {
	all := append([]*bundle{b.library}, set...)
	if faults := conflicts(all); len(faults) > 0 {
		return result{problems: place(faults, all)}
	}
	src := b.source(all)
	snapshot, err := policy.Compile(ctx, src)
	if err != nil {
		return refused(err, all)
	}
	var problems policy.Problems
	if src.Data["rbac"] != nil { // a policy of one's own may have no roles at all
		if problems, err = snapshot.Validate(ctx); err != nil {
			return refused(err, all)
		}
	}
	explain(problems, src.Data)
	problems = place(problems, all)
	problems = append(problems, placeFaults(b.members(set, src.Data["rbac"]), all)...)
	problems.Sort()
	if refusals := problems.Refusals(); len(refusals) > 0 {
		return result{problems: refusals}
	}
	if fault, err := b.smoke(ctx, snapshot); err != nil || len(fault) > 0 {
		return result{problems: fault, err: err}
	}
	if faults, err := b.trials.run(ctx, snapshot, src, set); err != nil || len(faults) > 0 {
		return result{problems: faults, err: err}
	}
	return result{snapshot: snapshot, problems: problems}
}

// smoke asks the entry point about nothing at all: one that has no answer to that
// has none to requests that its author did not think of. Policies written for OPA
// are left alone: their undefined is a denial.
func (b *builder) smoke(ctx context.Context, snapshot *policy.Snapshot) (policy.Problems, error) {
	if b.lenient {
		return nil, nil
	}
	engine, err := policy.NewEngine(policy.Config{Entries: -1, Timeout: smokeTimeout})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	engine.Install(snapshot)
	if _, err := engine.View().Decide(ctx, snapshot.Entrypoint(), policy.Document{}, time.Now()); err != nil {
		return policy.Problems{{
			Code: codeEntrypoint, Subject: snapshot.Entrypoint(),
			Message: fmt.Sprintf("the entry point %s has no answer to an empty input: %v", snapshot.Entrypoint(), err),
			Hint:    "give each rule that it needs a default",
		}}, nil
	}
	return nil, nil
}

// smokeTimeout bounds one evaluation on an empty input, on a machine that is busy.
const smokeTimeout = 10 * time.Second

func refused(err error, all []*bundle) result {
	if faults, ok := errors.AsType[policy.Problems](err); ok {
		return result{problems: place(slices.Clone(faults), all)}
	}
	return result{err: err}
}

func (b *builder) source(all []*bundle) policy.Source {
	src := policy.Source{
		Modules: map[string]*ast.Module{}, Data: map[string]any{}, Revisions: map[string]string{},
		Entrypoint: b.entrypoint, Lenient: b.lenient, Builtins: b.builtins,
	}
	for _, bundle := range all {
		maps.Copy(src.Modules, bundle.modules)
		src.Data = joined(src.Data, bundle.data)
		if !bundle.embedded {
			src.Revisions[bundle.name] = bundle.version()
		}
	}
	return src
}

// joined is both trees as one. Neither is changed, and what only one of them has
// is shared with it: an unchanged bundle costs a new generation nothing.
func joined(a, b map[string]any) map[string]any {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	tree := maps.Clone(a)
	for name, v := range b {
		left, leftOK := tree[name].(map[string]any)
		right, rightOK := v.(map[string]any)
		if leftOK && rightOK {
			v = joined(left, right)
		}
		tree[name] = v
	}
	return tree
}

// members checks the members of each bundle, unless it was checked against the
// same tenants and roles before.
func (b *builder) members(set []*bundle, doc any) []rbac.Fault {
	var digests []string
	for _, bundle := range set {
		part, _ := bundle.data["rbac"].(map[string]any)
		if part["tenants"] != nil || part["roles"] != nil {
			digests = append(digests, bundle.digest)
		}
	}
	slices.Sort(digests)
	key := strings.Join(digests, " ")
	world := rbac.NewWorld(doc)
	var faults []rbac.Fault
	for _, bundle := range set {
		part, _ := bundle.data["rbac"].(map[string]any)
		if part["members"] == nil {
			continue
		}
		known, ok := b.checked[bundle.digest]
		if !ok || known.world != key {
			known = memberCheck{world: key, faults: world.Members(part)}
			b.checked[bundle.digest] = known
		}
		faults = append(faults, known.faults...)
	}
	return faults
}

// forget drops what was remembered of bundles that are not kept.
func (b *builder) forget(kept []*bundle) {
	maps.DeleteFunc(b.checked, func(digest string, _ memberCheck) bool {
		return !slices.ContainsFunc(kept, func(k *bundle) bool { return k.digest == digest })
	})
	b.trials.forget(kept)
}
