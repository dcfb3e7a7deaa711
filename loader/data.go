package loader

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rolegate/rolegate/loader/archive"
	"github.com/rolegate/rolegate/loader/document"
	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

func (b *bundle) addData(f archive.File) policy.Problems {
	file := dataFile{name: f.Name}
	if dir := path.Dir(f.Name); dir != "." {
		file.dir = strings.Split(dir, "/")
	}
	b.files = append(b.files, file)
	value, err := decode(f.Name, f.Data)
	if err != nil {
		return policy.Problems{documentProblem(b.prefix+f.Name, err)}
	}
	if _, ok := value.(map[string]any); !ok && len(file.dir) == 0 {
		return policy.Problems{{
			Code: document.CodeJSON, File: b.prefix + f.Name, Line: 1, Column: 1,
			Message: fmt.Sprintf("want an object at the top of all data, got %s", rbac.Kind(value)),
		}}
	}
	if at, ok := insert(b.data, file.dir, value); !ok {
		return policy.Problems{{
			Code: codeDataConflict, File: b.prefix + f.Name, Path: at,
			Message: strings.Join(at, "/") + " is given by another file too",
		}}
	}
	return nil
}

func decode(name string, text []byte) (any, error) {
	if path.Ext(name) == ".json" {
		return document.JSON(text)
	}
	return document.YAML(text)
}

func documentProblem(file string, err error) policy.Problem {
	p := policy.Problem{Code: codeUnreadable, File: file, Message: err.Error()}
	if e, ok := errors.AsType[*document.Error](err); ok {
		p.Code, p.Line, p.Column, p.Message, p.Hint = e.Code, e.Line, e.Column, e.Message, e.Hint
	}
	return p
}

// insert puts a value at a path of a tree. Objects join; anything else that is
// there already is a conflict, and at is its path.
func insert(tree map[string]any, where []string, value any) (at []string, ok bool) {
	for i, name := range where {
		if i == len(where)-1 {
			break
		}
		child, there := tree[name]
		if !there {
			child = map[string]any{}
			tree[name] = child
		}
		object, isObject := child.(map[string]any)
		if !isObject {
			return where[:i+1], false
		}
		tree = object
	}
	if len(where) > 0 {
		last := where[len(where)-1]
		before, there := tree[last]
		if !there {
			tree[last] = value
			return nil, true
		}
		object, isObject := before.(map[string]any)
		if !isObject {
			return where, false
		}
		tree = object
	}
	return join(tree, where, value)
}

func join(tree map[string]any, where []string, value any) (at []string, ok bool) {
	members, isObject := value.(map[string]any)
	if !isObject {
		return where, false
	}
	for name, v := range members {
		if at, ok := insert(tree, []string{name}, v); !ok {
			return append(slices.Clone(where), at...), false
		}
	}
	return nil, true
}
