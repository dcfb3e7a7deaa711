package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// YAML decodes one document of the YAML that is JSON in other clothes: no anchors,
// aliases, tags and merge keys, and no plain word that YAML's versions read
// differently (yes, no, on, off). Every error is an *[Error].
func YAML(text []byte) (any, error) {
	root, err := parseYAML(text)
	if err != nil {
		return nil, err
	}
	v, err := yamlValue(root, 0)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// LocateYAML is [LocateJSON] for a text that [YAML] accepts.
func LocateYAML(text []byte, paths [][]string) []Place {
	places := make([]Place, len(paths))
	root, err := parseYAML(text)
	if err != nil {
		return places
	}
	locateYAML(root, root, wanted(paths), 0, places)
	return places
}

func parseYAML(text []byte) (root *yaml.Node, fault *Error) {
	// The parser is not ours, and it turns only some of its panics into errors.
	defer func() {
		if r := recover(); r != nil {
			root, fault = nil, &Error{Code: CodeYAML, Line: 1, Column: 1, Message: "the document cannot be read"}
		}
	}()
	if !utf8.Valid(text) {
		line, column := positionOf(text, invalidAt(text))
		return nil, &Error{Code: CodeYAML, Line: line, Column: column, Message: "a byte that is not UTF-8"}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Error{Code: CodeYAML, Line: 1, Column: 1, Message: "the document is empty"}
	case err != nil:
		return nil, yamlError(err)
	}
	switch err := d.Decode(&second); {
	case err == nil:
		return nil, nodeError(&second, "a second document stands behind the first")
	case !errors.Is(err, io.EOF):
		return nil, yamlError(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &Error{Code: CodeYAML, Line: 1, Column: 1, Message: "the document is empty"}
	}
	return doc.Content[0], nil
}

// yamlError reads the line out of the parser's text, which is the only place
// where it says it.
func yamlError(err error) *Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &Error{Code: CodeYAML, Line: 1, Column: 1, Message: text}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, message, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				e.Line, e.Message = max(line, 1), message
			}
		}
	}
	return e
}

func nodeError(n *yaml.Node, format string, args ...any) *Error {
	return &Error{Code: CodeYAML, Line: max(n.Line, 1), Column: max(n.Column, 1), Message: fmt.Sprintf(format, args...)}
}

func yamlValue(n *yaml.Node, depth int) (any, *Error) {
	switch {
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		return nil, nodeError(n, "anchors and aliases are not read: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		return nil, nodeError(n, "the tag %s is not read", n.Tag)
	case n.Kind == yaml.ScalarNode:
		return yamlScalar(n)
	case depth == MaxDepth:
		err := nodeError(n, "nested deeper than %d levels", MaxDepth)
		err.Code = CodeDepth
		return nil, err
	case n.Kind == yaml.MappingNode:
		return yamlObject(n, depth)
	case n.Kind == yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, element := range n.Content {
			v, err := yamlValue(element, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	default:
		return nil, nodeError(n, "not a value")
	}
}

func yamlObject(n *yaml.Node, depth int) (any, *Error) {
	object := make(map[string]any, len(n.Content)/2)
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, valueNode := n.Content[i], n.Content[i+1]
		key, err := yamlKey(keyNode)
		if err != nil {
			return nil, err
		}
		if before, twice := first[key]; twice {
			err := nodeError(keyNode, "the key %q is given twice in one object", key)
			err.Code = CodeDuplicate
			err.Hint = fmt.Sprintf("the first one is at %d:%d", before.Line, before.Column)
			return nil, err
		}
		first[key] = keyNode
		if object[key], err = yamlValue(valueNode, depth+1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func yamlKey(n *yaml.Node) (string, *Error) {
	if n.Anchor != "" || n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0 {
		return "", nodeError(n, "anchors, aliases and tags are not read: write the key out")
	}
	if n.Kind != yaml.ScalarNode {
		return "", nodeError(n, "a key that is not a string")
	}
	v, err := yamlScalar(n)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	default:
		return "", nodeError(n, "the key %s is not a string: quote it", n.Value)
	}
}

func yamlScalar(n *yaml.Node) (any, *Error) {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Value, nil
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!int", "!!float":
		if why := badNumber(n.Value); why != "" {
			return nil, nodeError(n, "%s: quote it if it is a string", why)
		}
		return json.Number(n.Value), nil
	case "!!str", "!!timestamp":
		if slices.Contains([]string{"yes", "no", "on", "off", "y", "n"}, strings.ToLower(n.Value)) {
			return nil, nodeError(n, "YAML's versions read %s differently: write true or false, or quote it", n.Value)
		}
		return n.Value, nil
	default: // !!merge, !!binary
		return nil, nodeError(n, "%s is not read: write the value out", n.Value)
	}
}

func locateYAML(key, n *yaml.Node, w *want, depth int, places []Place) {
	w.each(func(path int) {
		places[path] = Place{Found: depth, Key: nodePosition(key), Value: nodePosition(n)}
	})
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if child, ok := w.children[n.Content[i].Value]; ok {
				locateYAML(n.Content[i], n.Content[i+1], child, depth+1, places)
			}
		}
	case yaml.SequenceNode:
		for i, element := range n.Content {
			if child, ok := w.children[strconv.Itoa(i)]; ok {
				locateYAML(element, element, child, depth+1, places)
			}
		}
	default:
	}
}

func nodePosition(n *yaml.Node) Position {
	width := 1
	if n.Kind == yaml.ScalarNode && !strings.Contains(n.Value, "\n") {
		width = utf8.RuneCountInString(n.Value)
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			width += 2
		}
	}
	return Position{Line: max(n.Line, 1), Column: max(n.Column, 1), Width: max(width, 1)}
}
