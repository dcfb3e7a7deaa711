package identity

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed presets/*.yaml
var presets embed.FS

const (
	defaultPreset = "oidc"
	noPreset      = "none"
)

// Presets are the names of the mappings that ship, sorted.
func Presets() []string {
	entries, _ := presets.ReadDir("presets") // no error: the folder is part of the program
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// Preset is the text of a mapping that ships, to print and to change: what a
// configuration may write under claims.
func Preset(name string) ([]byte, error) {
	if !slices.Contains(Presets(), name) {
		return nil, fmt.Errorf("no preset %q, want one of %s", name, strings.Join(Presets(), ", "))
	}
	return presets.ReadFile("presets/" + name + ".yaml")
}

// withPreset is the mapping with what it leaves empty filled in by its preset.
func (c Claims) withPreset() (Claims, error) {
	if c.Preset == noPreset {
		return c, nil
	}
	name := c.Preset
	if name == "" {
		name = defaultPreset
	}
	text, err := Preset(name)
	if err != nil {
		return c, fmt.Errorf("%w, or %s", err, noPreset)
	}
	var p Claims
	if err := yaml.Unmarshal(text, &p); err != nil {
		return c, fmt.Errorf("preset %s: %w", name, err)
	}
	p.overlay(c)
	return p, nil
}

// overlay takes over what is set in own.
func (c *Claims) overlay(own Claims) {
	set := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	set(&c.ID, own.ID)
	set(&c.Tenant, own.Tenant)
	set(&c.Email, own.Email)
	set(&c.EmailVerified, own.EmailVerified)
	set(&c.Roles, own.Roles)
	set(&c.RolesAfter, own.RolesAfter)
	set(&c.Permissions, own.Permissions)
	set(&c.Kind.Pointer, own.Kind.Pointer)
	if own.Kind.Pointer != "" || len(own.Kind.Values) > 0 { // another place speaks other words
		c.Kind.Values = own.Kind.Values
	}
	set(&c.Kind.Default, own.Kind.Default)
	if own.SSO.Pointer != "" {
		c.SSO = SSO{}
	}
	set(&c.SSO.Pointer, own.SSO.Pointer)
	if own.SSO.Connection != "" || len(own.SSO.Connections) > 0 {
		c.SSO.Pointer, c.SSO.Connection, c.SSO.Connections = "", own.SSO.Connection, own.SSO.Connections
	}
	set(&c.SSO.Groups, own.SSO.Groups)
	set(&c.SSO.Roles, own.SSO.Roles)
	attrs := map[string]string{}
	maps.Copy(attrs, c.Attrs)
	maps.Copy(attrs, own.Attrs)
	c.Attrs = attrs
}
