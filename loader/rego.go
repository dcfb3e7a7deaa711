package loader

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// addModule parses one file of Rego of the version that it is meant to be.
func addModule(modules map[string]*ast.Module, file string, text []byte, version ast.RegoVersion) policy.Problems {
	m, err := ast.ParseModuleWithOpts(file, string(text), regoOptions(version))
	if err == nil && m != nil {
		modules[file] = m
		return nil
	}
	p := regoProblem(file, err)
	if version == ast.RegoV0 {
		if other, err := ast.ParseModuleWithOpts(file, string(text), regoOptions(ast.RegoV1)); err == nil && other != nil {
			p.Hint = "this is Rego v1, and it is said to be v0"
		}
		return policy.Problems{p}
	}
	if old, err := ast.ParseModuleWithOpts(file, string(text), regoOptions(ast.RegoV0)); err == nil && old != nil {
		p.Code = codeRegoVersion
		p.Message = fmt.Sprintf("this is Rego v0, and it is not said to be: %s", p.Message)
		p.Hint = `bring it up with "opa fmt --write --v0-v1"; "rego_version": 0 in the manifest has it read as it is`
	}
	return policy.Problems{p}
}

// regoOptions keep the annotations: rego.metadata.rule() reads them.
func regoOptions(version ast.RegoVersion) ast.ParserOptions {
	return ast.ParserOptions{RegoVersion: version, ProcessAnnotation: true}
}

// regoProblem takes the first fault of a file: the others follow from it.
func regoProblem(file string, err error) policy.Problem {
	p := policy.Problem{Code: ast.ParseErr, File: file, Line: 1, Column: 1, Message: "the module is empty"}
	if err == nil {
		return p
	}
	p.Message = err.Error()
	first, ok := errors.AsType[*ast.Error](err)
	if all, isList := errors.AsType[ast.Errors](err); isList && len(all) > 0 {
		first, ok = all[0], true
	}
	if !ok {
		return p
	}
	p.Code, p.Message = first.Code, first.Message
	if loc := first.Location; loc != nil && loc.Row > 0 {
		p.Line, p.Column = loc.Row, max(loc.Col, 1)
	}
	return p
}
