package loader

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/policy"
)

// root is a path that a bundle owns, and where its manifest says so.
type root struct {
	path []string
	at   document.Position
}

func (r root) String() string { return strings.Join(r.path, "/") }

// contains says whether path is the root or lies below it.
func (r root) contains(path []string) bool {
	return len(path) >= len(r.path) && slices.Equal(path[:len(r.path)], r.path)
}

func (r root) overlaps(other root) bool { return r.contains(other.path) || other.contains(r.path) }

// owns says whether a path below data is the bundle's to give.
func (b *bundle) owns(where []string) bool {
	if b.roots == nil {
		return true
	}
	return slices.ContainsFunc(b.roots, func(r root) bool { return r.contains(where) })
}

// outside names what the bundle gives and does not own. Its tests give nothing: no
// decision knows them, and by custom their packages are named after the tested ones.
func (b *bundle) outside() policy.Problems {
	faults := b.outsideData(nil, b.data)
	for _, m := range b.modules {
		faults = append(faults, b.outsidePackage(m)...)
	}
	return faults
}

// outsideData names the highest paths of data that the bundle does not own.
func (b *bundle) outsideData(where []string, v any) (faults policy.Problems) {
	if b.roots == nil || b.owns(where) {
		return nil
	}
	object, ok := v.(map[string]any)
	leadsToRoot := slices.ContainsFunc(b.roots, func(r root) bool { return root{path: where}.contains(r.path) })
	if ok && leadsToRoot {
		for name, member := range object {
			faults = append(faults, b.outsideData(append(slices.Clone(where), name), member)...)
		}
		return faults
	}
	return policy.Problems{{
		Code: codeOutsideRoots, Path: where,
		Message: fmt.Sprintf("data at %s is outside the roots of the bundle (%s)", strings.Join(where, "/"), b.rootList()),
	}}
}

func (b *bundle) outsidePackage(m *ast.Module) policy.Problems {
	where := packagePath(m)
	if b.owns(where) {
		return nil
	}
	loc := m.Package.Location
	return policy.Problems{{
		Code: codeOutsideRoots, File: loc.File, Line: loc.Row, Column: loc.Col,
		Message: fmt.Sprintf("package %s is outside the roots of the bundle (%s)", strings.Join(where, "."), b.rootList()),
	}}
}

func (b *bundle) rootList() string {
	names := make([]string, len(b.roots))
	for i, r := range b.roots {
		names[i] = r.String()
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// packagePath is the package below data.
func packagePath(m *ast.Module) []string {
	where := make([]string, 0, len(m.Package.Path))
	for _, term := range m.Package.Path[1:] {
		if s, ok := term.Value.(ast.String); ok {
			where = append(where, string(s))
		}
	}
	return where
}

// conflicts says what keeps the bundles from standing side by side. Where two are
// at odds the later one in the list is blamed.
func conflicts(all []*bundle) (faults policy.Problems) {
	for i, b := range all {
		for _, other := range all[:i] {
			faults = append(faults, conflict(b, other)...)
		}
	}
	return faults
}

func conflict(b, other *bundle) policy.Problems {
	switch {
	case other.embedded && b.roots == nil:
		return insideLibrary(b)
	case b.roots == nil || other.roots == nil:
		rootless, beside := b, other
		if b.roots != nil {
			rootless, beside = other, b
		}
		return policy.Problems{{
			Code: codeRootsOverlap, Subject: b.name,
			Message: fmt.Sprintf("the bundle %q owns everything, so the bundle %q cannot stand beside it", rootless.name, beside.name),
			Hint:    fmt.Sprintf("name the roots of %q in its .manifest", rootless.name),
		}}
	}
	return rootConflicts(b, other)
}

func rootConflicts(b, other *bundle) (faults policy.Problems) {
	for _, mine := range b.roots {
		for _, theirs := range other.roots {
			if !mine.overlaps(theirs) {
				continue
			}
			p := policy.Problem{
				Code: codeRootsOverlap, Subject: b.name,
				File: b.prefix + manifestName, Line: mine.at.Line, Column: mine.at.Column,
				Message: fmt.Sprintf("the root %q overlaps the root %q of the bundle %q", mine, theirs, other.name),
			}
			if other.embedded {
				p.Message = fmt.Sprintf("the root %q overlaps %q, which is the embedded role library's", mine, theirs)
			}
			faults = append(faults, p)
		}
	}
	return faults
}

// insideLibrary finds what a bundle that owns everything gives inside the
// library's root.
func insideLibrary(b *bundle) (faults policy.Problems) {
	const message = "%s is inside %q, which is the embedded role library's"
	if _, ok := b.data[libraryName]; ok {
		faults = append(faults, policy.Problem{
			Code: codeOutsideRoots, Path: []string{libraryName}, Message: fmt.Sprintf(message, "this data", libraryName),
		})
	}
	for _, m := range b.modules {
		if path := packagePath(m); len(path) > 0 && path[0] == libraryName {
			loc := m.Package.Location
			faults = append(faults, policy.Problem{
				Code: codeOutsideRoots, File: loc.File, Line: loc.Row, Column: loc.Col,
				Message: fmt.Sprintf(message, "package "+strings.Join(path, "."), libraryName),
			})
		}
	}
	return faults
}
