// Package rbac knows the document data.rbac as its authors write it: whether it is
// of the right form, and whether the members in it can be what they say. Roles,
// tenants and rules are checked by the role library itself; members come by the
// million, so they are checked here, one record at a time, by the same sentences
// and under the same codes.
package rbac

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/rolegate/rolegate/policy"
)

// maxFaults is how many faults one check tells; who has more repairs an export,
// not single records.
const maxFaults = 1000

// Root is the node above all tenants, the owner of roles that every tenant may see.
const Root = "@root"

// Codes of the faults that this package finds.
const (
	CodeShape         = "bad_shape"
	CodeLevel         = "bad_level"
	CodeType          = "bad_type"
	CodeVisibility    = "bad_visibility"
	CodeWindow        = "bad_window"
	CodeKind          = "bad_kind"
	CodeUnknownTenant = "member_unknown_tenant"
	CodeUnknownRole   = "grant_unknown_role"
	CodeNotVisible    = "grant_not_visible"
)

// Fault is one problem, its place known by path only.
type Fault struct {
	policy.Problem
	AtKey bool // the name at the end of the path is at fault, not its value
}

// collector gathers faults up to the limit.
type collector struct {
	faults []Fault
	full   bool
}

func (c *collector) add(f Fault) {
	if len(c.faults) >= maxFaults {
		c.full = true
		return
	}
	f.Path = slices.Clone(f.Path)
	f.Warning = policy.Warns(f.Code)
	c.faults = append(c.faults, f)
}

// done answers what was gathered, with one more that says so when some were left out.
func (c *collector) done() []Fault {
	if !c.full {
		return c.faults
	}
	last := c.faults[len(c.faults)-1]
	more := Fault{Problem: policy.Problem{
		Code: last.Code, Path: []string{"rbac"}, Warning: last.Warning,
		Message: fmt.Sprintf("there are more than these %d", maxFaults),
	}}
	return append(c.faults, more)
}

// Kind names the type of a decoded value, for messages.
func Kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		return "the number " + v.String()
	case string:
		if len(v) > 40 {
			return "a string"
		}
		return fmt.Sprintf("the string %q", v)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("a %T", v)
	}
}

// DidYouMean answers `did you mean "x"?` for the known name nearest to a name, ""
// when none is near.
func DidYouMean(name string, known []string) string {
	best, distance := "", 1+len(name)/3
	for _, candidate := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate)); d <= distance && (best == "" || d < distance) {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// object answers the member of a decoded object that is an object itself, nil
// when it is not there or of another type.
func object(v any, name string) map[string]any {
	o, _ := v.(map[string]any)
	member, _ := o[name].(map[string]any)
	return member
}

// integer reads a whole number; false when v is none.
func integer(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil
}
