// Package bundles holds the Rego that ships inside the binary.
package bundles

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

//go:embed core/.manifest core/rolegate
var core embed.FS

// Core is the role library as a bundle: its manifest, whose root is rolegate, and
// its modules, tests included. Paths begin below the bundle's root, so that
// loading it is loading any other bundle.
func Core() (fs.FS, error) {
	bundle, err := fs.Sub(core, "core")
	if err != nil {
		return nil, fmt.Errorf("open the role library: %w", err)
	}
	return bundle, nil
}

// CoreModules parses the role library, without its tests, by file name. The
// modules are new on every call: compiling changes them.
func CoreModules() (map[string]*ast.Module, error) {
	bundle, err := Core()
	if err != nil {
		return nil, err
	}
	return modules(bundle, func(name string) bool { return !strings.HasSuffix(name, "_test.rego") })
}

// modules parses every Rego file of a bundle that is wanted.
func modules(bundle fs.FS, wanted func(name string) bool) (map[string]*ast.Module, error) {
	parsed := make(map[string]*ast.Module)
	err := fs.WalkDir(bundle, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || path.Ext(name) != ".rego" || !wanted(name) {
			return nil
		}
		source, err := fs.ReadFile(bundle, name)
		if err != nil {
			return err
		}
		module, err := ast.ParseModuleWithOpts(name, string(source), ast.ParserOptions{ProcessAnnotation: true})
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		parsed[name] = module
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the role library: %w", err)
	}
	return parsed, nil
}
