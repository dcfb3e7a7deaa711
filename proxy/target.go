package proxy

import (
	"errors"
	"net/url"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Why a target cannot be given to a policy, in logs.
var (
	errPath  = errors.New("path escapes")
	errQuery = errors.New("query escapes")
)

// ParsedTarget makes the members parsed_path and parsed_query of a policy's input from
// a request's target, as opa-envoy-plugin does: the path decoded whole, without leading
// slashes, split at the others. That joins what an encoded slash kept apart; the gate
// has refused such paths before any policy is asked. The error is one for logs.
func ParsedTarget(target string) (path *ast.Array, query ast.Object, err error) {
	rawPath, rawQuery, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(rawPath)
	if err != nil {
		return nil, nil, errPath
	}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, nil, errQuery // a ";" too: what it means depends on who reads it
	}
	var segments []*ast.Term
	for segment := range strings.SplitSeq(strings.TrimLeft(decoded, "/"), "/") {
		segments = append(segments, ast.StringTerm(segment))
	}
	query = ast.NewObject()
	for name, list := range values {
		terms := make([]*ast.Term, len(list))
		for i, v := range list {
			terms[i] = ast.StringTerm(v)
		}
		query.Insert(ast.StringTerm(name), ast.ArrayTerm(terms...))
	}
	return ast.NewArray(segments...), query, nil
}
