package world_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/internal/lab/world"
)

// library is the role library, beside the extension of worlds, compiled for stock OPA.
type library struct{ compiler *ast.Compiler }

func shippedLibrary(t *testing.T) *library {
	t.Helper()
	modules, err := coreModules()
	if err != nil {
		t.Fatal(err)
	}
	l, err := compile(modules)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// coreModules parses the library that ships, or another one whose folder ROLEGATE_CORE names.
func coreModules() (map[string]*ast.Module, error) {
	dir := os.Getenv("ROLEGATE_CORE")
	if dir == "" {
		return bundles.CoreModules()
	}
	return readModules(dir, func(name string) bool { return !strings.HasSuffix(name, "_test.rego") })
}

// readModules parses the Rego files of a folder that are wanted, by their names.
func readModules(dir string, wanted func(name string) bool) (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".rego") || !wanted(file) {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		modules[name], err = ast.ParseModuleWithOpts(name, string(text), ast.ParserOptions{ProcessAnnotation: true})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the library in %s: %w", dir, err)
	}
	return modules, nil
}

// compile takes over the modules: compiling changes them.
func compile(modules map[string]*ast.Module) (*library, error) {
	extension, err := ast.ParseModule("authz/extension.rego", world.Extension())
	if err != nil {
		return nil, fmt.Errorf("parse the extension: %w", err)
	}
	modules["authz/extension.rego"] = extension
	compiler := ast.NewCompiler()
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, compiler.Errors
	}
	return &library{compiler}, nil
}

// decider is the library on the data of one world.
type decider struct{ query rego.PreparedEvalQuery }

func (l *library) on(ctx context.Context, data map[string]any) (*decider, error) {
	return l.prepare(ctx, inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true)))
}

// prepare puts the library on a store.
func (l *library) prepare(ctx context.Context, store storage.Store) (*decider, error) {
	query, err := rego.New(
		rego.Query("report := data.rolegate.report; decision := data.rolegate.decision"),
		rego.Compiler(l.compiler),
		rego.Store(store),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	return &decider{query}, nil
}

// answer is what the two entry points say to a question. An error is an answer too: nothing else may
// be wrong with it.
func (d *decider) answer(ctx context.Context, question map[string]any) (report, decision map[string]any, err error) {
	input, err := ast.InterfaceToValue(world.Input(question))
	if err != nil {
		return nil, nil, fmt.Errorf("read the question: %w", err)
	}
	now, err := question["time"].(json.Number).Int64()
	if err != nil {
		return nil, nil, fmt.Errorf("read the time: %w", err)
	}
	return d.eval(ctx, input, time.UnixMilli(now))
}

func (d *decider) eval(ctx context.Context, input ast.Value, now time.Time) (report, decision map[string]any, err error) {
	results, err := d.query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTime(now))
	if err != nil {
		return nil, nil, fmt.Errorf("evaluate: %w", err)
	}
	if len(results) != 1 {
		return nil, nil, fmt.Errorf("got %d results, want 1", len(results))
	}
	report, _ = results[0].Bindings["report"].(map[string]any)
	decision, _ = results[0].Bindings["decision"].(map[string]any)
	return report, decision, nil
}

// verdictKind names how an answer of both entry points differs from the expected report: by which keys
// of which of them, and the two reasons; "" when they agree.
func verdictKind(report, decision, want map[string]any) string {
	entry, keys, got := "report", difference(report, want), report
	if len(keys) == 0 {
		shorter := maps.Clone(want)
		delete(shorter, "permissions")
		entry, keys, got = "decision", difference(decision, shorter), decision
	}
	if len(keys) == 0 {
		return ""
	}
	return fmt.Sprintf("%s %s (got %v, want %v)", entry, strings.Join(keys, ","), got["reason"], want["reason"])
}

// difference names the keys in which an answer differs from the expected one; none when they agree.
// Lists are sets; numbers compare by value.
func difference(got, want map[string]any) []string {
	var keys []string
	for key := range want {
		if _, there := got[key]; !there || !agree(got[key], want[key]) {
			keys = append(keys, key)
		}
	}
	for key := range got {
		if _, there := want[key]; !there {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func agree(got, want any) bool {
	switch want := want.(type) {
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for _, element := range want {
			if !slices.Contains(list, element) { // lists of results are sets of texts
				return false
			}
		}
		return true
	case json.Number:
		n, ok := got.(json.Number)
		return ok && sameNumber(n, want)
	default:
		_, isList := got.([]any)
		_, isObject := got.(map[string]any)
		return !isList && !isObject && got == want
	}
}

func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, ok := new(big.Rat).SetString(a.String())
	y, ok2 := new(big.Rat).SetString(b.String())
	return ok && ok2 && x.Cmp(y) == 0
}
