package proxy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// document is the input of one decision. It reads the rest of the request once, when
// a policy first asks for some of it, and notes when that cannot be done: a policy
// that may have read it has then decided on too little.
type document struct {
	policy.Document
	read func() (ast.Object, error)

	rest   ast.Object // nil until read
	err    error      // of reading it
	asked  bool       // something was looked up
	audit  bool       // the lookup under way is not a policy's
	unread error
}

// Lookup implements [policy.Input].
func (d *document) Lookup(path ast.Ref) (ast.Value, bool) {
	// The engine reads the paths that a policy depends on, or at once the whole. The
	// whole after paths is its audit of an answer that was found without the rest.
	d.audit = len(path) == 0 && d.asked
	d.asked = true
	return d.Document.Lookup(path)
}

func (d *document) members() ast.Object {
	if d.rest == nil {
		d.rest, d.err = d.read()
		if d.err != nil || d.rest == nil {
			d.rest = ast.NewObject()
		}
	}
	if d.err != nil && !d.audit {
		d.unread = d.err
	}
	return d.rest
}
