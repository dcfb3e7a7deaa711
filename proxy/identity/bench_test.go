package identity_test

import (
	"testing"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
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
