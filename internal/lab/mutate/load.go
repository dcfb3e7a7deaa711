package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// checked is a package with the types of its expressions.
type checked struct {
	fset   *token.FileSet
	files  []string // whole names, in the order of syntax
	syntax []*ast.File
	types  *types.Package
	info   *types.Info
}

// load parses and checks a package. What it imports is read as the go command has
// compiled it.
func load(ctx context.Context, root, pkg string) (checked, error) {
	text, err := output(ctx, root, "go", "list", "-export", "-deps", "-json=Dir,ImportPath,GoFiles,Export,DepOnly", pkg)
	if err != nil {
		return checked{}, err
	}
	c := checked{fset: token.NewFileSet(), info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		Implicits: map[ast.Node]types.Object{}, Instances: map[*ast.Ident]types.Instance{},
	}}
	exports := map[string]string{}
	path := ""
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var listed struct {
			Dir, ImportPath, Export string
			GoFiles                 []string
			DepOnly                 bool
		}
		if err := d.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return c, fmt.Errorf("read what go list says: %w", err)
		}
		exports[listed.ImportPath] = listed.Export
		if listed.DepOnly {
			continue
		}
		if path != "" {
			return c, fmt.Errorf("it is %s and %s, want one package", path, listed.ImportPath)
		}
		path = listed.ImportPath
		for _, name := range listed.GoFiles {
			c.files = append(c.files, filepath.Join(listed.Dir, name))
		}
	}
	if len(c.files) == 0 {
		return c, errors.New("it has no files")
	}
	for _, name := range c.files {
		file, err := parser.ParseFile(c.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return c, err
		}
		c.syntax = append(c.syntax, file)
	}
	compiled := importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	c.types, err = (&types.Config{Importer: compiled}).Check(path, c.fset, c.syntax, c.info)
	return c, err
}
