package policy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Whole is an input document that is there already, for tools. The zero value is no
// document.
type Whole struct {
	Value ast.Value
}

// Lookup implements [Input].
func (w Whole) Lookup(path ast.Ref) (ast.Value, bool) {
	if w.Value == nil {
		return nil, false
	}
	return find(w.Value, path)
}

// Notated maps a question as tools and case files write it, {"principal": …, "tenant":
// …, "time": …}, to the document that policies read and to the reading of the clock.
// A member that is null is an absent one; members that are not of the notation are
// ignored. What is of the wrong type is passed on as it is: the policy refuses it. The
// zero time means that the question names none. The error means that the time is not
// integer milliseconds.
func Notated(question map[string]any) (Whole, time.Time, error) {
	subject, route := map[string]any{}, map[string]any{}
	for key, at := range map[string]struct {
		object map[string]any
		name   string
	}{
		"principal": {subject, "id"}, "kind": {subject, "type"}, "claims": {subject, "claims"},
		"tenant": {route, "tenant"}, "path": {route, "path"}, "resource": {route, "resource"},
		"action": {route, "action"}, "owner": {route, "owner"}, "roles_any": {route, "roles_any"},
	} {
		if v := question[key]; v != nil {
			at.object[at.name] = v
		}
	}
	doc := map[string]any{"route": route}
	if len(subject) > 0 {
		doc["subject"] = subject
	}
	v, err := ast.InterfaceToValue(doc)
	if err != nil {
		return Whole{}, time.Time{}, fmt.Errorf("read the question: %w", err)
	}
	now, err := notatedTime(question["time"])
	return Whole{v}, now, err
}

func notatedTime(v any) (time.Time, error) {
	switch v := v.(type) {
	case nil:
		return time.Time{}, nil
	case json.Number:
		if ms, err := v.Int64(); err == nil {
			return time.UnixMilli(ms), nil
		}
	case int:
		return time.UnixMilli(int64(v)), nil
	case float64:
		if ms := int64(v); float64(ms) == v {
			return time.UnixMilli(ms), nil
		}
	}
	return time.Time{}, fmt.Errorf("time is %v, want integer milliseconds", v)
}
