// Package policytest makes snapshots for the tests of every package from files that
// a policy author can read.
package policytest

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/tools/txtar"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/policy"
)

// Source reads a txtar archive: parts that end in .rego are modules beside the role
// library, data.json is the data, entrypoint (one line) what is asked. Other parts
// are the test's own.
func Source(tb testing.TB, archive string) policy.Source {
	tb.Helper()
	modules, err := bundles.CoreModules()
	if err != nil {
		tb.Fatalf("read the role library: %v", err)
	}
	src := policy.Source{Modules: modules, Data: map[string]any{}}
	for _, part := range txtar.Parse([]byte(archive)).Files {
		switch {
		case path.Ext(part.Name) == ".rego":
			m, err := ast.ParseModuleWithOpts(part.Name, string(part.Data), ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
			if err != nil {
				tb.Fatalf("parse %s: %v", part.Name, err)
			}
			src.Modules[part.Name] = m
		case part.Name == "data.json":
			decoder := json.NewDecoder(bytes.NewReader(part.Data))
			decoder.UseNumber()
			if err := decoder.Decode(&src.Data); err != nil {
				tb.Fatalf("read %s: %v", part.Name, err)
			}
		case part.Name == "entrypoint":
			src.Entrypoint = strings.TrimSpace(string(part.Data))
		}
	}
	return src
}

// Snapshot compiles the source that an archive holds.
func Snapshot(tb testing.TB, archive string) *policy.Snapshot {
	tb.Helper()
	s, err := policy.Compile(tb.Context(), Source(tb, archive))
	if err != nil {
		tb.Fatalf("compile: %v", err)
	}
	return s
}

// Engine answers from the snapshot that an archive holds. It is closed with the test.
func Engine(tb testing.TB, archive string, cfg policy.Config) *policy.Engine {
	tb.Helper()
	e, err := policy.NewEngine(cfg)
	if err != nil {
		tb.Fatalf("new engine: %v", err)
	}
	tb.Cleanup(e.Close)
	e.Install(Snapshot(tb, archive))
	return e
}
