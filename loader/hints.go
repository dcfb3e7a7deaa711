package loader

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rolegate/rolegate/loader/rbac"
	"github.com/rolegate/rolegate/policy"
)

// explain adds to what the role library found what it takes a dictionary to say: the
// name that was meant, and the part of a condition that is wrong. It judges nothing.
func explain(problems policy.Problems, data map[string]any) {
	doc, _ := data["rbac"].(map[string]any)
	for i := range problems {
		p := &problems[i]
		if p.Hint != "" || len(p.Path) < 2 {
			continue
		}
		last := p.Path[len(p.Path)-1]
		switch p.Code {
		case "unknown_owner":
			owner, _ := at(data, p.Path).(string)
			p.Hint = rbac.DidYouMean(owner, names(doc["tenants"]))
		case "include_unknown_tenant":
			p.Hint = rbac.DidYouMean(last, names(doc["tenants"]))
		case "unregistered_ancestor":
			p.Hint = "every ancestor of a tenant is a tenant: add it"
		case "rule_unknown_role":
			p.Hint = rbac.DidYouMean(named(data, p.Path), names(doc["roles"]))
		case "permission_not_in_catalog":
			p.Hint = rbac.DidYouMean(p.Path[len(p.Path)-2]+":"+last, permissions(doc["catalog"]))
		case "bad_condition":
			if below, message, hint := conditionFault(at(data, p.Path)); message != "" {
				p.Path = append(slices.Clip(p.Path), below...)
				p.Message, p.Hint = message, hint
			}
		}
	}
}

// at is the value at a path, nil when there is none.
func at(v any, path []string) any {
	for _, name := range path {
		switch holder := v.(type) {
		case map[string]any:
			v = holder[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(holder) {
				return nil
			}
			v = holder[i]
		default:
			return nil
		}
	}
	return v
}

// named is the role that a path speaks of: the text there, the role of the rule there,
// or the last name of the path.
func named(data map[string]any, path []string) string {
	switch v := at(data, path).(type) {
	case string:
		return v
	case map[string]any:
		if role, ok := v["role"].(string); ok {
			return role
		}
	}
	return path[len(path)-1]
}

func names(v any) []string {
	object, _ := v.(map[string]any)
	return slices.Sorted(maps.Keys(object))
}

func permissions(catalog any) []string {
	var list []string
	resources, _ := catalog.(map[string]any)
	for resource, actions := range resources {
		for _, action := range names(actions) {
			list = append(list, resource+":"+action)
		}
	}
	slices.Sort(list)
	return list
}

// operators of conditions.
func operators() []string {
	return []string{"and", "co", "eq", "false", "ge", "gt", "le", "lt", "not", "or", "pr", "sw", "true"}
}

// conditionFault finds the first part of a malformed condition that is at fault: its
// path, what is wrong, and what would be right. An empty message: none was found.
func conditionFault(v any) (below []string, message, hint string) {
	c, ok := v.(map[string]any)
	if !ok {
		return nil, "a condition is an object with an op, got " + rbac.Kind(v), ""
	}
	op, ok := c["op"].(string)
	switch {
	case c["op"] == nil:
		return nil, "a condition without an op", "one of " + strings.Join(operators(), ", ")
	case !ok:
		return []string{"op"}, "op: want a string, got " + rbac.Kind(c["op"]), ""
	case !slices.Contains(operators(), op):
		hint := rbac.DidYouMean(op, operators())
		if hint == "" {
			hint = "one of " + strings.Join(operators(), ", ")
		}
		return []string{"op"}, fmt.Sprintf("unknown operator %q", op), hint
	}
	switch op {
	case "true", "false":
		return nil, "", ""
	case "not":
		below, message, hint := conditionFault(c["of"])
		return append([]string{"of"}, below...), message, hint
	case "and", "or":
		parts, ok := c["of"].([]any)
		if !ok {
			return nil, fmt.Sprintf("%s wants a list of conditions under \"of\"", op), ""
		}
		for i, part := range parts {
			if below, message, hint := conditionFault(part); message != "" {
				return append([]string{"of", strconv.Itoa(i)}, below...), message, hint
			}
		}
		return nil, "", ""
	default:
		return comparisonFault(op, c)
	}
}

func comparisonFault(op string, c map[string]any) (below []string, message, hint string) {
	pointer, ok := c["p"].(string)
	switch {
	case !ok:
		return nil, op + ` wants a JSON pointer under "p"`, `"/department"`
	case !strings.HasPrefix(pointer, "/"):
		return []string{"p"}, fmt.Sprintf("%q is no JSON pointer", pointer), "it begins with /"
	case strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(pointer), "~"):
		return []string{"p"}, fmt.Sprintf("%q is no JSON pointer", pointer), "~ is written ~0, and / in a name ~1"
	case op == "pr":
		return nil, "", ""
	}
	switch v := c["v"].(type) {
	case nil:
		return nil, op + ` wants a value under "v"`, ""
	case map[string]any, []any:
		return []string{"v"}, "v: want a string, a number or true or false, got " + rbac.Kind(v), ""
	default:
		return nil, "", ""
	}
}
