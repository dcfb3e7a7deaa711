package loader

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

const manifestName = ".manifest"

// manifest is what a bundle says of itself. The zero value is a bundle without
// one: it owns everything.
type manifest struct {
	revision string
	roots    []root // nil: everything
	group    string // bundles of one group change together; "": none
}

// manifestReader collects the faults of one manifest.
type manifestReader struct {
	file   string
	text   []byte
	faults policy.Problems
}

func readManifest(file string, text []byte) (manifest, policy.Problems) {
	doc, err := document.JSON(text)
	if err != nil {
		return manifest{}, policy.Problems{documentProblem(file, err)}
	}
	r := &manifestReader{file: file, text: text}
	members, ok := doc.(map[string]any)
	if !ok {
		r.fault(nil, "", "want an object, got %s", rbac.Kind(doc))
		return manifest{}, r.faults
	}
	var m manifest
	for name, v := range members {
		switch name {
		case "revision":
			m.revision = r.word(v, name)
		case "roots":
			m.roots = r.roots(v)
		case "rego_version":
			r.version(v, name)
		case "file_rego_versions":
			r.versions(v)
		case "metadata":
			m.group = r.metadata(v)
		case "wasm":
			r.fault([]string{name}, "", "WebAssembly modules are not read: ship the Rego")
		default:
			r.unknown(name)
		}
	}
	r.faults.Sort()
	return m, r.faults
}

func (r *manifestReader) word(v any, path ...string) string {
	s, ok := v.(string)
	if !ok {
		r.fault(path, "", "want a string, got %s", rbac.Kind(v))
	}
	return s
}

func (r *manifestReader) roots(v any) []root {
	list, ok := v.([]any)
	if !ok {
		r.fault([]string{"roots"}, "", "want a list of paths, got %s", rbac.Kind(v))
		return nil
	}
	roots := make([]root, 0, len(list))
	for i, v := range list {
		place := []string{"roots", strconv.Itoa(i)}
		text := strings.Trim(r.word(v, place...), "/")
		if text == "" {
			return nil // everything, as without a manifest
		}
		next := root{path: strings.Split(text, "/"), at: document.LocateJSON(r.text, [][]string{place})[0].Value}
		if slices.Contains(next.path, "") {
			r.fault(place, "", "the root %q has an empty segment", text)
		}
		for _, other := range roots {
			if next.overlaps(other) {
				r.fault(place, "", "the root %q overlaps the root %q of the same bundle", text, other)
			}
		}
		roots = append(roots, next)
	}
	return roots
}

// version holds one number against the only version that is read.
func (r *manifestReader) version(v any, path ...string) {
	n, ok := v.(json.Number)
	switch {
	case !ok:
		r.fault(path, "", "want 1, got %s", rbac.Kind(v))
	case n == "0":
		r.fault(path, `bring the files up with "opa fmt --write --v0-v1" and write 1 here`, "Rego v0 is not read")
	case n != "1":
		r.fault(path, "", "want 1, got %s", n)
	}
}

func (r *manifestReader) versions(v any) {
	files, ok := v.(map[string]any)
	if !ok {
		r.fault([]string{"file_rego_versions"}, "", "want an object, got %s", rbac.Kind(v))
	}
	for file, v := range files {
		r.version(v, "file_rego_versions", file)
	}
}

// metadata is the operator's own, but for the names that mean something here.
func (r *manifestReader) metadata(v any) (group string) {
	members, ok := v.(map[string]any)
	if !ok {
		r.fault([]string{"metadata"}, "", "want an object, got %s", rbac.Kind(v))
	}
	if v, ok := members["group"]; ok {
		group = r.word(v, "metadata", "group")
	}
	return group
}

func (r *manifestReader) unknown(name string) {
	known := []string{"revision", "roots", "rego_version", "file_rego_versions", "metadata"}
	p := r.problem([]string{name}, "unknown key %q", name)
	at := document.LocateJSON(r.text, [][]string{{name}})[0].Key
	p.Line, p.Column = at.Line, at.Column
	p.Hint = rbac.DidYouMean(name, known)
	r.faults = append(r.faults, p)
}

func (r *manifestReader) fault(path []string, hint, format string, args ...any) {
	p := r.problem(path, format, args...)
	p.Hint = hint
	r.faults = append(r.faults, p)
}

func (r *manifestReader) problem(path []string, format string, args ...any) policy.Problem {
	at := document.LocateJSON(r.text, [][]string{path})[0].Value
	return policy.Problem{
		Code: codeManifest, File: r.file, Line: at.Line, Column: at.Column, Message: fmt.Sprintf(format, args...),
	}
}
