package identity_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/issue"
)

// BenchmarkAuthenticate is a whole authentication: remembered, or verified anew.
func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	texts := map[string]string{
		"HS256": signAs(b, `{"alg":"HS256"}`, `{"iss":"`+secretURL+`","sub":"u-17","aud":"shop","exp":4102444800,"tenant":"acme","roles":["developer"]}`,
			"HS256", []byte(secretText)),
	}
	for _, k := range []*issue.Key{w.ed, w.rsa, w.ec} {
		texts[k.Algorithm()] = mustSign(b, k, payload(issuerURL, nil))
	}
	for _, memory := range []struct {
		name    string
		entries int
	}{{"hit", 0}, {"none", -1}} {
		cfg := w.config()
		cfg.Remember.Entries = memory.entries
		id := load(b, cfg, nil, zap.NewNop())
		for _, alg := range []string{"EdDSA", "ES256", "RS256", "HS256"} {
			credentials := proxy.Credentials{Headers: bearer(texts[alg])}
			b.Run("memory="+memory.name+"/alg="+alg, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := id.Authenticate(b.Context(), policy.View{}, credentials); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkRefuse is what an attacker's token costs.
func BenchmarkRefuse(b *testing.B) {
	w := newWorld(b)
	id := load(b, w.config(), nil, zap.NewNop())
	text := mustSign(b, w.ed, payload(issuerURL, nil))
	foreign, err := issue.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"malformed": "x.y.z", "bad_signature": text[:len(text)-4] + "AAAA", "unknown_key": mustSign(b, foreign, payload(issuerURL, nil)),
	} {
		credentials := proxy.Credentials{Headers: bearer(text)}
		b.Run("result="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := id.Authenticate(b.Context(), policy.View{}, credentials); err == nil {
					b.Fatal("verified")
				}
			}
		})
	}
}

// BenchmarkOthers is what credentials other than tokens cost.
func BenchmarkOthers(b *testing.B) {
	const key = "0123456789abcdef"
	engine := policytest.Engine(b, fmt.Sprintf(`-- data.json --
{"rbac": {"api_keys": {"%x": {"id": "ci-bot", "tenant": "acme", "expires": 1798761600000}}}}`, sha256.Sum256([]byte(key))), policy.Config{})
	const workload, edge = "spiffe://mesh.example/ns/shop/sa/web", "CN=edge"
	for _, bench := range []struct {
		kind string
		how  identity.Authenticator
		c    proxy.Credentials
	}{
		{"mtls", identity.Authenticator{MTLS: &identity.MTLS{IDs: []identity.SPIFFE{
			{Match: "spiffe://{domain}/ns/{ns}/sa/{sa}", Domains: []string{"mesh.example"}, ID: "{ns}/{sa}"},
		}}}, proxy.Credentials{Principal: workload, Headers: headers{}}},
		{"forwarded", identity.Authenticator{MTLS: &identity.MTLS{
			IDs:       []identity.SPIFFE{{Match: "spiffe://{domain}/ns/{ns}/sa/{sa}", Domains: []string{"mesh.example"}, ID: "{ns}/{sa}"}},
			Forwarded: identity.Trusted{Peers: []string{edge}},
		}}, proxy.Credentials{Principal: edge, Headers: headers{"x-forwarded-client-cert": {"Hash=ab;URI=" + workload}}}},
		{"api_key", identity.Authenticator{APIKey: &identity.APIKey{}}, proxy.Credentials{Headers: headers{"x-api-key": {key}}}},
		{"headers", identity.Authenticator{Headers: &identity.Headers{
			From: identity.Trusted{Peers: []string{edge}}, ID: "x-user", Roles: "x-roles",
		}}, proxy.Credentials{Principal: edge, Headers: headers{"x-user": {"u-17"}, "x-roles": {"developer editor"}}}},
		{"metadata", identity.Authenticator{Metadata: &identity.Metadata{Key: "k", Issuers: []identity.PayloadIssuer{
			{Issuer: issuerURL, AnyAudience: true},
		}}}, proxy.Credentials{Headers: headers{}, Metadata: noted{ast.MustParseTerm(
			`{"iss":"` + issuerURL + `","sub":"u-17","exp":4102444800,"tenant":"acme","roles":["developer"]}`).Value}}},
	} {
		id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{bench.how}}, nil, zap.NewNop())
		if err != nil {
			b.Fatal(err)
		}
		b.Run("kind="+bench.kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s, err := id.Authenticate(b.Context(), engine.View(), bench.c); err != nil || s.ID == "" {
					b.Fatalf("got %v %v", s, err)
				}
			}
		})
	}
}

// noted is metadata that any filter noted under any key.
type noted struct{ v ast.Value }

func (n noted) Metadata(string, string) (ast.Value, bool, error) { return n.v, true, nil }
