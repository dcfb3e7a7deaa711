package identity_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// FuzzPayload signs any bytes well: whatever an issuer we trust writes, the answer
// is a word or a subject in the normal form.
func FuzzPayload(f *testing.F) {
	good, err := json.Marshal(payload(issuerURL, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, doc := range []string{
		`{}`, `null`, `{"iss":"https://idp.example","sub":"u","aud":["shop"],"exp":1.5e9,"nbf":0.1,"sso":{"a":{"groups":"g"}},"kind":"m2m"}`,
		`{"iss":"https://idp.example","sub":"u","aud":"shop","exp":1,"roles":["a",1]}`,
		`{"iss":"https://idp.example","sub":"u","aud":"shop","exp":1,"email_verified":"true","x":{"y":[1e10,-0.0]}}`,
	} {
		f.Add([]byte(doc))
	}
	w := newWorld(f)
	cfg := w.config()
	cfg.Remember.Entries = -1
	cfg.Authenticators[0].JWT.Issuers[0].Claims.Attrs = map[string]string{"x": "/x", "deep": "/x/*/y/0"}
	id := load(f, cfg, nil, zap.NewNop())
	f.Fuzz(func(t *testing.T, doc []byte) {
		text, err := w.ed.SignPayload(doc)
		if err != nil {
			t.Skip(err)
		}
		subject, err := authenticate(t, id, bearer(text))
		if err != nil {
			if _, ok := errors.AsType[token.Error](err); !ok || subject.ID != "" {
				t.Fatalf("payload %q: got %v beside error %v", doc, subject, err)
			}
			return
		}
		checkNormalForm(t, doc, subject)
	})
}

func checkNormalForm(t *testing.T, doc []byte, subject policy.Subject) {
	t.Helper()
	if subject.ID == "" || subject.Claims == nil {
		t.Fatalf("payload %q: got %+v, want a whole subject", doc, subject)
	}
	switch subject.Type {
	case "user", "m2m", "api_key", "external":
	default:
		t.Fatalf("payload %q: got type %q", doc, subject.Type)
	}
	if !json.Valid([]byte(subject.Claims.String())) {
		t.Fatalf("payload %q: claims are not JSON: %v", doc, subject.Claims)
	}
	err := subject.Claims.Iter(func(name, v *ast.Term) error {
		ok := false
		switch string(name.Value.(ast.String)) {
		case "iss", "jti", "tenant", "email":
			_, ok = v.Value.(ast.String)
		case "exp", "nbf":
			number, isNumber := v.Value.(ast.Number)
			_, isInt := number.Int64()
			ok = isNumber && isInt && !strings.ContainsAny(number.String(), ".eE")
		case "email_verified":
			_, ok = v.Value.(ast.Boolean)
		case "roles", "permissions":
			_, ok = v.Value.(*ast.Array)
		case "sso", "attrs":
			_, ok = v.Value.(ast.Object)
		}
		if !ok {
			t.Errorf("payload %q: claim %v is %v", doc, name, v)
		}
		return nil
	})
	if err != nil || subject.Claims.Get(ast.StringTerm("exp")) == nil {
		t.Errorf("payload %q: claims %v without exp, or %v", doc, subject.Claims, err)
	}
}

// FuzzPlaces puts any bytes where tokens are looked for: no key signed them, so
// nobody comes of it.
func FuzzPlaces(f *testing.F) {
	f.Add("Bearer a.b.c", "session=a.b.c; x=y", "/?access_token=a.b.c&%61=b", "a.b.c")
	f.Add("Bearer a,Bearer b", "a=b,session=c", "/?a?access_token=%zz#", ",")
	f.Add("bearer", "session", "?", "")
	w := newWorld(f)
	id := load(f, w.config(), nil, zap.NewNop())
	f.Fuzz(func(t *testing.T, auth, cookie, path, header string) {
		subject, err := id.Authenticate(t.Context(), policy.View{}, headers{
			"authorization": {auth}, "cookie": {cookie}, ":path": {path}, headerName: {header},
		}.credentials())
		if _, ok := errors.AsType[token.Error](err); subject.ID != "" || (err != nil && !ok) {
			t.Fatalf("%q %q %q %q: got %v, error %v", auth, cookie, path, header, subject, err)
		}
	})
}

var _ proxy.Authenticator = (*identity.Identity)(nil)

// FuzzCredentials puts any bytes where certificates, keys and trusted headers stand:
// nobody comes of it but whom the configuration lets speak, and then as it is written.
func FuzzCredentials(f *testing.F) {
	f.Add("spiffe://mesh.example/ns/shop/sa/web", "", "", "", "")
	f.Add("CN=edge", "By=x;URI=spiffe://mesh.example/ns/shop/sa/web", "", "u-17", "developer editor")
	f.Add("", "URI=\"a\\\"", "rk_0123456789abcdef", "u,v", "a,b")
	f.Add("spiffe://a,spiffe://b", ",;=", "\x00", "\xff", " ")
	const edge = "CN=edge"
	id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{
		{APIKey: &identity.APIKey{}},
		{Headers: &identity.Headers{From: identity.Trusted{Peers: []string{edge}}, ID: "x-user", Roles: "x-roles"}},
		{MTLS: &identity.MTLS{
			IDs:       []identity.SPIFFE{{Match: "spiffe://{domain}/ns/{ns}/sa/{sa}", Domains: []string{"mesh.example"}, ID: "{ns}/{sa}"}},
			Forwarded: identity.Trusted{Peers: []string{edge}},
		}},
	}}, nil, zap.NewNop())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, principal, xfcc, key, user, roles string) {
		subject, err := id.Authenticate(t.Context(), policy.View{}, proxy.Credentials{Principal: principal, Headers: headers{
			"x-forwarded-client-cert": {xfcc}, "x-api-key": {key}, "x-user": {user}, "x-roles": {roles},
		}})
		if _, ok := errors.AsType[token.Error](err); subject.ID != "" && err != nil || err != nil && !ok {
			t.Fatalf("%q %q %q %q %q: got %v, error %v", principal, xfcc, key, user, roles, subject, err)
		}
		switch {
		case subject.ID == "":
		case subject.Type == "user":
			if principal != edge || strings.Trim(user, " \t") != subject.ID {
				t.Fatalf("%q says %q: got %v", principal, user, subject)
			}
		default:
			from := "spiffe://mesh.example/ns/" + strings.Replace(subject.ID, "/", "/sa/", 1)
			if principal != from && (principal != edge || !strings.Contains(xfcc, from) && !strings.Contains(xfcc, `\`)) {
				t.Fatalf("%q, forwarded %q: got %v", principal, xfcc, subject)
			}
		}
	})
}
