package proxy

import (
	"errors"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/footprint"
)

// patchy is a rest of which a part is there, one is not, and one cannot be read. Beside
// what does not count there is a value, which nobody may use.
type patchy struct{}

// Lookup implements [Rest].
func (patchy) Lookup(path ast.Ref) (ast.Value, bool, error) {
	if len(path) == 0 {
		return ast.NewObject([2]*ast.Term{ast.StringTerm("here"), ast.BooleanTerm(true)}), true, errors.New("torn")
	}
	switch path[0].Value.Compare(ast.String("here")) + 2*path[0].Value.Compare(ast.String("torn")) {
	case -2: // here
		return ast.Boolean(true), true, nil
	case 1: // torn
		return ast.Boolean(true), true, errors.New("torn")
	default:
		return ast.Boolean(true), false, nil
	}
}

// writing is a patchy rest that writes what is there.
type writing struct{ patchy }

// AppendTo implements [footprint.Writer].
func (writing) AppendTo(b []byte, path ast.Ref) ([]byte, bool) {
	if path[0].Value.Compare(ast.String("here")) != 0 {
		return b, false
	}
	return footprint.AppendTrue(b), true
}

func refTo(names ...string) (path ast.Ref) {
	for _, name := range names {
		path = append(path, ast.StringTerm(name))
	}
	return path
}

// TestUnreadStaysUnread: once a policy may have read what cannot be read, nothing that is
// read afterwards makes up for it; what is not there and what cannot be read have no value.
func TestUnreadStaysUnread(t *testing.T) {
	for name, c := range map[string]struct {
		paths  []ast.Ref
		unread bool
	}{
		"there":                  {[]ast.Ref{refTo("here")}, false},
		"not there":              {[]ast.Ref{refTo("away")}, false},
		"torn":                   {[]ast.Ref{refTo("torn")}, true},
		"torn, then there":       {[]ast.Ref{refTo("torn"), refTo("here"), refTo("away"), refTo("subject", "id")}, true},
		"there, then torn":       {[]ast.Ref{refTo("here"), refTo("torn")}, true},
		"the whole at once":      {[]ast.Ref{{}}, true},
		"the whole in an audit":  {[]ast.Ref{refTo("here"), {}}, false},
		"torn, then an audit":    {[]ast.Ref{refTo("torn"), {}}, true},
		"our own, then an audit": {[]ast.Ref{refTo("subject", "id"), {}}, false},
	} {
		d := document{rest: patchy{}, Document: policy.Document{Subject: policy.Subject{ID: "ann"}}}
		for _, path := range c.paths {
			v, ok := d.Lookup(path)
			want := len(path) == 0 || path[0].Value.Compare(ast.String("away")) != 0 && path[0].Value.Compare(ast.String("torn")) != 0
			if ok != want || ok && v == nil {
				t.Errorf("%s: %v: got %v, %t, want %t", name, path, v, ok, want)
			}
		}
		if got := d.unread != nil; got != c.unread {
			t.Errorf("%s: unread is %v, want %t", name, d.unread, c.unread)
		}
	}
}

// TestTheWholeHoldsWhatIsThere: the whole of a document is the gate's own members and the
// rest's, with or without a part that cannot be read.
func TestTheWholeHoldsWhatIsThere(t *testing.T) {
	d := document{rest: patchy{}, Document: policy.Document{Subject: policy.Subject{ID: "ann"}}}
	v, ok := d.Lookup(ast.Ref{})
	here, err := v.Find(refTo("here"))
	id, errID := v.Find(refTo("subject", "id"))
	if !ok || err != nil || errID != nil || here.Compare(ast.Boolean(true)) != 0 || id.Compare(ast.String("ann")) != 0 {
		t.Errorf("got %v, %t", v, ok)
	}
}

// TestOnlyWhatIsWrittenIsWritten: a part of a key that was not written is never taken for
// one: two requests would share it.
func TestOnlyWhatIsWrittenIsWritten(t *testing.T) {
	for name, c := range map[string]struct {
		rest Rest
		path ast.Ref
		want bool
	}{
		"the subject's id":       {nil, refTo("subject", "id"), true},
		"of the rest":            {writing{}, refTo("here"), true},
		"what the rest does not": {writing{}, refTo("torn"), false},
		"of a rest that cannot":  {patchy{}, refTo("here"), false},
		"of no rest":             {nil, refTo("here"), false},
		"the parameters":         {writing{}, refTo("route", "params"), false},
		"the whole":              {writing{}, ast.Ref{}, false},
		"the whole without rest": {nil, ast.Ref{}, false},
	} {
		d := document{rest: c.rest, Document: policy.Document{Subject: policy.Subject{ID: "ann"}}}
		b, ok := d.AppendTo([]byte("before"), c.path)
		if ok != c.want || ok != (len(b) > len("before")) || ok && string(b[:6]) != "before" {
			t.Errorf("%s: got %q, %t, want %t", name, b, ok, c.want)
		}
	}
}

// TestMembersAreMadeOnce: whatever is asked of them, and also when they cannot be made.
func TestMembersAreMadeOnce(t *testing.T) {
	for name, failure := range map[string]error{"made": nil, "not made": errors.New("torn")} {
		made := 0
		m := &Members{Make: func() (ast.Object, error) {
			made++
			if failure != nil {
				return nil, failure
			}
			return ast.NewObject([2]*ast.Term{ast.StringTerm("here"), ast.BooleanTerm(true)}), nil
		}}
		for range 2 {
			for _, path := range []ast.Ref{refTo("here"), refTo("away"), {}} {
				v, found, err := m.Lookup(path)
				want := failure == nil && (len(path) == 0 || path[0].Value.Compare(ast.String("here")) == 0)
				if found != want || (v != nil) != want || !errors.Is(err, failure) {
					t.Errorf("%s: %v: got %v, %t, %v, want %t", name, path, v, found, err, want)
				}
			}
		}
		if made != 1 {
			t.Errorf("%s: made %d times, want once", name, made)
		}
	}
}
