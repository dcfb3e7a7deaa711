package proxy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/proxy/parsed"
)

// ParsedTarget makes the members parsed_path and parsed_query of a policy's input from
// a request's target, as opa-envoy-plugin does: the path decoded whole, without leading
// slashes, split at the others. That joins what an encoded slash kept apart; the gate
// has refused such paths before any policy is asked, unless it has a profile in which
// policies see paths as they were sent. What cannot be read is nil, and the error one
// for logs.
func ParsedTarget(target string) (path *ast.Array, query ast.Object, err error) {
	segments, err := parsed.Path(target)
	if err == nil {
		path = arrayOf(segments)
	}
	values, errQuery := parsed.Query(target)
	if errQuery == nil {
		query = ast.NewObject()
		for name, list := range values {
			query.Insert(ast.StringTerm(name), ast.NewTerm(arrayOf(list)))
		}
	}
	if err == nil {
		err = errQuery
	}
	return path, query, err
}

func arrayOf(list []string) *ast.Array {
	terms := make([]*ast.Term, len(list))
	for i, v := range list {
		terms[i] = ast.StringTerm(v)
	}
	return ast.NewArray(terms...)
}
