package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// target is a package that is changed, and the packages whose tests should notice.
type target struct {
	pkg   string   // "./proxy"
	files []string // base names; empty: all of them
	tests []string // asked in turn, as long as nobody has noticed
}

// targets are what stands between a denial and an allow.
func targets() []target {
	return []target{
		{pkg: "./proxy", tests: []string{"./proxy", "./proxy/extauthz"}},
		{pkg: "./proxy/canonical", tests: []string{"./proxy/canonical"}},
		{pkg: "./proxy/extauthz", tests: []string{"./proxy/extauthz"}},
		{pkg: "./proxy/extauthz/unary", tests: []string{"./proxy/extauthz/unary"}},
		{pkg: "./proxy/identity", tests: []string{"./proxy/identity"}},
		{pkg: "./proxy/identity/token", tests: []string{"./proxy/identity/token", "./proxy/identity"}},
		{pkg: "./proxy/identity/keys", tests: []string{"./proxy/identity/keys", "./proxy/identity"}},
		{pkg: "./policy", files: []string{"cache.go", "engine.go", "recall.go", "reuse.go", "decision.go", "slots.go", "audit.go"}, tests: []string{"./policy", "./internal/lab/linear"}},
	}
}

// program is a target that was loaded and rewritten.
type program struct {
	target  target
	root    string // of the module
	catalog *catalog
	overlay string // file for the go command
}

// prepare rewrites a target into dir.
func prepare(ctx context.Context, root, dir string, t target) (program, error) {
	p := program{target: t, root: root, catalog: newCatalog(), overlay: filepath.Join(dir, "overlay.json")}
	pkg, err := load(ctx, root, t.pkg)
	if err != nil {
		return p, fmt.Errorf("load %s: %w", t.pkg, err)
	}
	replaced := map[string]string{}
	for i, file := range pkg.syntax {
		name := pkg.files[i]
		if len(t.files) > 0 && !slices.Contains(t.files, filepath.Base(name)) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return p, fmt.Errorf("read a file of %s: %w", t.pkg, err)
		}
		to := filepath.Join(dir, filepath.Base(name))
		rewritten := instrument(p.catalog, pkg.fset, pkg.types, pkg.info, file, text, below(root, name))
		if err := os.WriteFile(to, rewritten, 0o600); err != nil {
			return p, fmt.Errorf("write an instrumented file: %w", err)
		}
		replaced[name] = to
	}
	if len(replaced) == 0 {
		return p, fmt.Errorf("%s has none of the files %q", t.pkg, t.files)
	}
	const supportFile = "zz_mutate.go"
	to := filepath.Join(dir, supportFile)
	replaced[filepath.Join(filepath.Dir(pkg.files[0]), supportFile)] = to
	raw, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return p, fmt.Errorf("write an overlay: %w", err)
	}
	return p, errors.Join(os.WriteFile(to, support(pkg.types.Name()), 0o600), os.WriteFile(p.overlay, raw, 0o600))
}

// compile builds the tests of a package on a rewritten target.
func (p program) compile(ctx context.Context, pkg, dir string) (suite, error) {
	binary := filepath.Join(dir, strings.Trim(strings.NewReplacer("/", "-", ".", "").Replace(pkg), "-")+".test")
	cmd := exec.CommandContext(ctx, "nice", "go", "test", "-c", "-vet=off", "-overlay", p.overlay, "-o", binary, pkg)
	cmd.Dir = p.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return suite{}, fmt.Errorf("compile the tests of %s on %s: %w\n%s", pkg, p.target.pkg, err, out)
	}
	where, err := output(ctx, p.root, "go", "list", "-f", "{{.Dir}}", pkg)
	if err != nil {
		return suite{}, err
	}
	deps, err := output(ctx, p.root, "go", "list", "-deps", "-test", "-f", "{{.ImportPath}}", pkg)
	if err != nil {
		return suite{}, err
	}
	s := suite{pkg: pkg, binary: binary, dir: strings.TrimSpace(where)}
	if slices.Contains(strings.Fields(deps), "pgregory.net/rapid") {
		// The same questions each time, and no files that say what failed.
		s.args = []string{"-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1ns"}
	}
	return s, nil
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}
