package proxy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
)

// values are what policies say: the keys and names that mean something, in shapes
// that are right and wrong.
func values(depth int) *rapid.Generator[ast.Value] {
	word := rapid.SampledFrom([]string{
		"headers", "response_headers_to_add", "request_headers_to_remove", "query_parameters_to_set",
		"query_parameters_to_remove", "body", "http_status", "dynamic_metadata", "tenant", "roles", "location",
		"x-a", "X-A", "X_Rolegate_Roles", "x-rolegate-subject", "content-length", "Content_Length", ":path", "host",
		"x-envoy-a", "a,b%", "é", "a\r\nb: c", "\xff", "", " ",
	})
	text := rapid.OneOf(word, rapid.String())
	return rapid.Custom(func(t *rapid.T) ast.Value {
		kinds := 5
		if depth > 0 {
			kinds = 8
		}
		switch rapid.IntRange(0, kinds).Draw(t, "kind") {
		case 0:
			return ast.NullValue
		case 1:
			return ast.Boolean(rapid.Bool().Draw(t, "bool"))
		case 2:
			return ast.Number([]byte(rapid.SampledFrom([]string{"0", "200", "302", "404", "599", "1.5", "1e400"}).Draw(t, "number")))
		case 6:
			terms := termsOf(rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "array"))
			return ast.NewArray(terms...)
		case 7:
			return ast.NewSet(termsOf(rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "set"))...)
		case 8:
			o := ast.NewObject()
			for range rapid.IntRange(0, 6).Draw(t, "members") {
				o.Insert(ast.StringTerm(text.Draw(t, "key")), ast.NewTerm(values(depth-1).Draw(t, "value")))
			}
			return o
		default:
			return ast.String(text.Draw(t, "text"))
		}
	})
}

func termsOf(list []ast.Value) []*ast.Term {
	terms := make([]*ast.Term, len(list))
	for i, v := range list {
		terms[i] = ast.NewTerm(v)
	}
	return terms
}

// result is a policy's result: likely an object with keys that mean something.
func result() *rapid.Generator[ast.Value] {
	return rapid.Custom(func(t *rapid.T) ast.Value {
		o := ast.NewObject()
		for range rapid.IntRange(0, 4).Draw(t, "keys") {
			key := rapid.SampledFrom([]string{
				"headers", "response_headers_to_add", "request_headers_to_remove", "query_parameters_to_set",
				"query_parameters_to_remove", "body", "http_status", "dynamic_metadata", "tenant", "roles",
			}).Draw(t, "key")
			o.Insert(ast.StringTerm(key), ast.NewTerm(values(3).Draw(t, "value")))
		}
		return o
	})
}

// TestReplyLaws: whatever a policy's result holds and whatever the client sent, a
// reply that is made keeps these laws, and one that is not made says why.
func TestReplyLaws(t *testing.T) {
	cfg, err := Config{ReservedHeaders: []string{"x-user"}}.checked()
	if err != nil {
		t.Fatal(err)
	}
	clock := time.UnixMilli(1_800_000_000_000)
	sent := rapid.SampledFrom([]string{
		"accept", "x-rolegate-subject", "X-Rolegate-Roles", "x_rolegate_roles", "X_ROLEGATE-tenant", "x-rolegate-x", "x-user", "X_USER", "cookie",
	})
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		a := Answer{ID: "0123", Subject: policy.Subject{ID: rapid.String().Draw(t, "subject")}}
		a.Effect = policy.Effect(rapid.IntRange(0, 2).Draw(t, "effect")) // 2 is none: it denies
		a.Reason = rapid.SampledFrom([]string{"allowed", "public", "no_roles", "unauthenticated", "timeout", "mine"}).Draw(t, "reason")
		cfg.OnPolicyError = rapid.SampledFrom([]OnError{OnErrorDefault, OnErrorDeny, OnErrorFault}).Draw(t, "on error")
		names := rapid.SliceOfN(sent, 0, 6).Draw(t, "sent")
		res := result().Draw(t, "result")

		c, err := carry(res, a.Effect == policy.Allow, ProfileRolegate)
		if err != nil {
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%v: the error %q cannot be logged", res, err)
			}
			return
		}
		var taken spoofs
		for _, name := range names {
			if err := taken.add(name, cfg.ReservedHeaders); err != nil {
				t.Fatalf("%q: %v", name, err)
			}
		}
		if cfg.replyTo(&a, c, taken, clock) != nil {
			return
		}
		made++
		checkReply(t, a, names)
	})
	if made == 0 {
		t.Error("no reply was made: the laws were not tried")
	}
}

func checkReply(t *rapid.T, a Answer, sent []string) {
	t.Helper()
	r := a.Reply
	for _, h := range slices.Concat(r.SetHeaders, r.AddToResponse, r.Headers) {
		if !validName(h.Name) || !validValue(h.Value) || h.Name != strings.ToLower(h.Name) {
			t.Errorf("%+v cannot be a header", h)
		}
		if unsettable(spelling(h.Name)) && !ours(h.Name) {
			t.Errorf("%+v is a header that no policy may set", h)
		}
	}
	if a.Effect != policy.Allow {
		if len(r.SetHeaders)+len(r.RemoveHeaders)+len(r.AddToResponse)+len(r.SetQuery)+len(r.RemoveQuery) > 0 {
			t.Errorf("a denial carries what an allow does: %+v", r)
		}
		redirect := r.Status >= 300 && r.Status < 400 && slices.ContainsFunc(r.Headers, func(h Header) bool { return h.Name == "location" })
		if r.Status < 400 && !redirect || r.Status > 599 {
			t.Errorf("a denial has status %d", r.Status)
		}
		if !utf8.ValidString(r.Body) || strings.Contains(r.Body, a.Reason) && a.Reason != "unauthenticated" {
			t.Errorf("a denial's body is %q", r.Body)
		}
		return
	}
	if r.Status != 0 || r.Headers != nil || r.Body != "" || r.Fault {
		t.Errorf("an allow carries what a denial does: %+v", r)
	}
	set := func(name string) bool {
		return slices.ContainsFunc(r.SetHeaders, func(h Header) bool { return h.Name == name })
	}
	for _, name := range []string{HeaderSubject, HeaderTenant, HeaderRoles} {
		if set(name) == slices.Contains(r.RemoveHeaders, name) {
			t.Errorf("%s is set: %v, and removed: %v", name, set(name), !set(name))
		}
	}
	for _, name := range r.RemoveHeaders {
		if set(name) {
			t.Errorf("%s is set and removed", name)
		}
	}
	for _, name := range sent {
		lower := strings.ToLower(name)
		own := reserved(spelling(name)) || spelling(name) == "x-user"
		if own && !set(lower) && !slices.Contains(r.RemoveHeaders, lower) {
			t.Errorf("the client's %s reaches the upstream", name)
		}
	}
	first := map[string]bool{}
	for _, h := range r.SetHeaders {
		if h.Append != first[h.Name] {
			t.Errorf("%+v: the first of a name replaces, the others append", h)
		}
		first[h.Name] = true
	}
}

func ours(name string) bool {
	switch name {
	case HeaderSubject, HeaderTenant, HeaderRoles, HeaderDecisionID:
		return true
	}
	return false
}

// TestEscapeLaws: an escaped list splits at its commas and unescapes to itself.
func TestEscapeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a,b", "100%", "%2C", "\xff"})), 1, 5).Draw(t, "list")
		joined := joinEscaped(list)
		if !validValue(joined) || strings.ContainsFunc(joined, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Fatalf("%q: %q is not visible ASCII", list, joined)
		}
		parts := strings.Split(joined, ",")
		if len(parts) != len(list) {
			t.Fatalf("%q: %q has %d parts", list, joined, len(parts))
		}
		for i, part := range parts {
			if got := unescape(t, part); got != list[i] {
				t.Errorf("%q: part %d of %q is %q", list, i, joined, got)
			}
		}
	})
}

func unescape(t *rapid.T, s string) string {
	t.Helper()
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		const hex = "0123456789ABCDEF"
		b = append(b, byte(strings.IndexByte(hex, s[i+1])<<4|strings.IndexByte(hex, s[i+2])))
		i += 2
	}
	return string(b)
}

// TestSpellingsAreAgreedOn: the quick test of a name is the slow one.
func TestSpellingsAreAgreedOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.StringMatching(`[xX][-_][rR]olegat[eE][-_].{0,3}`), rapid.StringMatching(`[cC]ontent[-_. ]typ[eE].?`), rapid.String()).Draw(t, "name")
		if got, want := begins(name, reservedPrefix), reserved(spelling(name)); got != want {
			t.Errorf("%q begins as a reserved name: %v, want %v", name, got, want)
		}
		if got, want := isContentType(name), spelling(name) == contentType; got != want {
			t.Errorf("%q is read as content-type: %v, want %v", name, got, want)
		}
	})
}

// TestSeveral finds the comma that joins two values, and none that is a part of one.
func TestSeveral(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "text/plain": false, "text/plain; charset=utf-8": false, "text/plain,application/json": true, "text/plain,": true,
		`multipart/form-data; boundary="a,b"`: false, `a; b="x\",y"`: false, `a; b="x\\",c`: true, `a; b="x",c`: true, `a\",b`: false,
	} {
		if got := several(value); got != want {
			t.Errorf("%s: several is %v, want %v", value, got, want)
		}
	}
}

func FuzzErrorsAreBrief(f *testing.F) {
	f.Add("a.rego:3: eval_builtin_error: to_number: strconv: \"secret\"")
	f.Fuzz(func(t *testing.T, text string) {
		got := briefly(errors.New(text)).Error()
		if len(got) > 200 || strings.Count(got, ": ") > 2 || strings.Contains(got, "\n") || !utf8.ValidString(got) {
			t.Errorf("%q: got %q", text, got)
		}
	})
}
