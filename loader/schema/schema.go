// Package schema holds the JSON Schemas (2020-12) of what authors write: the data of
// a bundle, file by file, and worked cases. Editors check with them what the readers
// refuse.
package schema

import (
	_ "embed" // defs.json
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed defs.json
var definitions []byte

// Document is one kind of file.
type Document struct {
	Name  string // that `rolegate schema` prints it under
	File  string // where such a file stands in a bundle
	Title string
}

// Documents lists the kinds of files, by name.
func Documents() []Document {
	return []Document{
		{"aliases", "rbac/aliases/data.json", "Other names of tenants"},
		{"api_keys", "rbac/api_keys/data.json", "API keys, by their SHA-256"},
		{"cases", "cases/*.json", "Worked cases"},
		{"catalog", "rbac/catalog/data.json", "Permissions that are declared"},
		{"issuers", "rbac/issuers/data.json", "Issuers of tokens, and what they are believed about"},
		{"members", "rbac/members/<node>/data.json", "The members of one node"},
		{"rbac", "rbac/data.json", "The whole of data.rbac in one file"},
		{"revoked", "rbac/revoked/data.json", "What is revoked"},
		{"roles", "rbac/roles/data.json", "Roles and their statements"},
		{"routes", "routes/data.json", "Sets of routes, from requests to questions"},
		{"tenants", "rbac/tenants/data.json", "Tenants, their rules and default roles"},
	}
}

// For is the schema of a kind of file as a document of its own. The error names the
// kinds that there are.
func For(name string) ([]byte, error) {
	documents := Documents()
	at := slices.IndexFunc(documents, func(d Document) bool { return d.Name == name })
	if at < 0 {
		names := make([]string, len(documents))
		for i, d := range documents {
			names[i] = d.Name
		}
		return nil, fmt.Errorf("no schema %q: there are %s", name, strings.Join(names, ", "))
	}
	var all map[string]any
	if err := json.Unmarshal(definitions, &all); err != nil {
		return nil, fmt.Errorf("read the schemas: %w", err)
	}
	used := map[string]any{}
	collect(all, used, map[string]any{"$ref": "#/$defs/" + name})
	return json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "https://rolegate.dev/schema/" + name + ".json",
		"title":   documents[at].Title,
		"$ref":    "#/$defs/" + name,
		"$defs":   used,
	}, "", "  ")
}

// collect adds to used every definition that v refers to, and what those refer to.
func collect(all, used map[string]any, v any) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/$defs/")
			if _, done := used[name]; !done {
				used[name] = all[name]
				collect(all, used, all[name])
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			collect(all, used, v[key])
		}
	case []any:
		for _, element := range v {
			collect(all, used, element)
		}
	}
}
