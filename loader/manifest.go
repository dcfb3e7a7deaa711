package loader

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

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
	// Versions of Rego, 0 or 1: of the whole bundle, nil where it does not say, and of the
	// files that match a pattern.
	rego    *ast.RegoVersion
	perFile []filesVersion
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
		r.fault(nil, "want an object, got %s", rbac.Kind(doc))
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
			if version, ok := r.version(v, name); ok {
				m.rego = &version
			}
		case "file_rego_versions":
			m.perFile = r.versions(v)
		case "metadata":
			m.group = r.metadata(v)
		case "wasm":
			r.fault([]string{name}, "WebAssembly modules are not read: ship the Rego")
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
		r.fault(path, "want a string, got %s", rbac.Kind(v))
	}
	return s
}

func (r *manifestReader) roots(v any) []root {
	list, ok := v.([]any)
	if !ok {
		r.fault([]string{"roots"}, "want a list of paths, got %s", rbac.Kind(v))
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
			r.fault(place, "the root %q has an empty segment", text)
		}
		for _, other := range roots {
			if next.overlaps(other) {
				r.fault(place, "the root %q overlaps the root %q of the same bundle", text, other)
			}
		}
		roots = append(roots, next)
	}
	return roots
}

// filesVersion is the version of the files whose path matches a pattern.
type filesVersion struct {
	pattern string // in it, * stands for any characters, slashes too
	version ast.RegoVersion
}

// versionOf is the version of Rego that a file is written in. old: v0 where nothing is
// said.
func (m *manifest) versionOf(file string, old bool) ast.RegoVersion {
	for _, f := range m.perFile {
		if matches(strings.TrimPrefix(f.pattern, "/"), file) {
			return f.version
		}
	}
	switch {
	case m.rego != nil:
		return *m.rego
	case old:
		return ast.RegoV0
	default:
		return ast.RegoV1
	}
}

// matches says whether a name matches a pattern.
func matches(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, first)
	if !ok || !star {
		return ok && name == ""
	}
	for i := range len(name) + 1 {
		if matches(rest, name[i:]) {
			return true
		}
	}
	return false
}

// version reads one of the two versions of Rego.
func (r *manifestReader) version(v any, path ...string) (_ ast.RegoVersion, ok bool) {
	switch n, isNumber := v.(json.Number); {
	case !isNumber:
		r.fault(path, "want 0 or 1, got %s", rbac.Kind(v))
	case n == "0":
		return ast.RegoV0, true
	case n == "1":
		return ast.RegoV1, true
	default:
		r.fault(path, "want 0 or 1, got %s", n)
	}
	return ast.RegoUndefined, false
}

func (r *manifestReader) versions(v any) []filesVersion {
	files, ok := v.(map[string]any)
	if !ok {
		r.fault([]string{"file_rego_versions"}, "want an object, got %s", rbac.Kind(v))
	}
	var list []filesVersion
	for _, pattern := range slices.Sorted(maps.Keys(files)) {
		place := []string{"file_rego_versions", pattern}
		if strings.ContainsAny(pattern, "?[]{}!\\") || strings.Count(pattern, "*") > maxStars {
			r.fault(place, "of a pattern, * is read and nothing else, at most %d times", maxStars)
			continue
		}
		if version, ok := r.version(files[pattern], place...); ok {
			list = append(list, filesVersion{pattern, version})
		}
	}
	return list
}

// maxStars bounds what matching a pattern costs.
const maxStars = 4

// metadata is the operator's own, but for the names that mean something here.
func (r *manifestReader) metadata(v any) (group string) {
	members, ok := v.(map[string]any)
	if !ok {
		r.fault([]string{"metadata"}, "want an object, got %s", rbac.Kind(v))
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

func (r *manifestReader) fault(path []string, format string, args ...any) {
	r.faults = append(r.faults, r.problem(path, format, args...))
}

func (r *manifestReader) problem(path []string, format string, args ...any) policy.Problem {
	at := document.LocateJSON(r.text, [][]string{path})[0].Value
	return policy.Problem{
		Code: codeManifest, File: r.file, Line: at.Line, Column: at.Column, Message: fmt.Sprintf(format, args...),
	}
}
