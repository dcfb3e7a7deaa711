package proxy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/footprint"
)

// document is the input of one decision. It notes when a part of the request that a
// policy may have read cannot be read: the policy has then decided on too little.
type document struct {
	policy.Document
	rest   Rest // nil: there is none
	asked  bool // something was looked up
	unread error
}

// Lookup implements [policy.Input].
func (d *document) Lookup(path ast.Ref) (ast.Value, bool) {
	// The engine reads the paths that a policy depends on, or at once the whole. The
	// whole after paths is its audit of an answer that was found without the rest.
	audit := len(path) == 0 && d.asked
	d.asked = true
	if d.rest == nil || len(path) > 0 && ownMember(path) {
		return d.Document.Lookup(path)
	}
	v, found, err := d.rest.Lookup(path)
	if err != nil && !audit {
		d.unread = err
	}
	if len(path) > 0 {
		return v, found && err == nil
	}
	members, ok := v.(ast.Object)
	if !ok {
		members = ast.NewObject()
	}
	whole := d.Document
	whole.Rest = func() ast.Object { return members }
	return whole.Lookup(path)
}

// AppendTo implements [footprint.Writer] for what the gate itself puts into the
// document, and for what a rest can write that is one, too.
func (d *document) AppendTo(b []byte, path ast.Ref) (_ []byte, ok bool) {
	switch w, writes := d.rest.(footprint.Writer); {
	case len(path) == 0:
		return b, false
	case ownMember(path):
		return d.Document.AppendTo(b, path)
	case writes:
		return w.AppendTo(b, path)
	default:
		return b, false
	}
}

// ownMember says whether a path is in what the gate itself puts into the document.
func ownMember(path ast.Ref) bool {
	head, _ := path[0].Value.(ast.String)
	return head == "subject" || head == "route"
}

// Members is a [Rest] that is made whole, when it is first asked for. It is for
// requests that are seldom asked, or whose members cost little.
type Members struct {
	Make func() (ast.Object, error)

	made ast.Object
	err  error
}

// Lookup implements [Rest].
func (m *Members) Lookup(path ast.Ref) (ast.Value, bool, error) {
	if m.made == nil && m.err == nil {
		m.made, m.err = m.Make()
	}
	if m.err != nil {
		return nil, false, m.err
	}
	v, err := m.made.Find(path)
	return v, err == nil, nil
}
