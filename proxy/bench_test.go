package proxy_test

import (
	"maps"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

const benchRego = `package rolegate

decision := {"allow": input.route.tenant == "acme", "reason": "allowed", "tenant": "acme", "roles": ["acme.auditor", "acme.editor"], "granting_roles": ["acme.editor"], "valid_until": null}`

const benchData = `{"routes": {"docs": {"prefixes": ["/v1/"], "routes": [
  {"id": "doc", "methods": ["GET"], "path": "/v1/{tenant}/documents/{doc}", "resource": "documents", "action": "read", "tenant": "{tenant}", "at": ".documents"}]}}}`

// discard is a recorder that costs nothing.
type discard struct{}

func (discard) Record(proxy.Record) {}

// BenchmarkCheck is a check beneath the transport, with an identity that costs
// nothing.
func BenchmarkCheck(b *testing.B) {
	subject := policy.Subject{ID: "ann", Type: "user"}
	identity := authenticator(func() (policy.Subject, error) { return subject, nil })
	headers := fakeHeaders{
		":path": nil, ":method": nil, ":authority": nil, "accept": nil, "accept-encoding": nil, "user-agent": nil,
		"x-forwarded-for": nil, "x-forwarded-proto": nil, "x-request-id": nil, "authorization": nil, "cookie": nil,
	}
	in := proxy.Inbound{
		Protocol: proxy.ProtocolGRPC, Method: "GET", Host: "api.example.com", Path: "/v1/acme/documents/d-17?limit=10",
		Credentials: proxy.Credentials{Headers: headers}, HeaderNames: maps.Keys(headers),
	}
	e := engine(b, benchRego, benchData)
	for name, recorders := range map[string][]proxy.Recorder{"log=off": nil, "log=on": {discard{}}} {
		b.Run("cache=hit/"+name, func(b *testing.B) {
			g, err := proxy.New(proxy.Config{}, e, identity, recorders, nil, time.Now, zap.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			for g.Check(b.Context(), in).Origin != policy.OriginHit { // the cache takes a moment
				time.Sleep(time.Millisecond)
			}
			b.ReportAllocs()
			for b.Loop() {
				if a := g.Check(b.Context(), in); a.Effect != policy.Allow {
					b.Fatalf("got %+v", a)
				}
			}
		})
	}
	b.Run("malformed", func(b *testing.B) {
		g := gate(b, proxy.Config{}, e, identity, zap.NewNop())
		bad := in
		bad.Path = "/v1/../documents"
		b.ReportAllocs()
		for b.Loop() {
			if a := g.Check(b.Context(), bad); a.Effect != policy.Deny {
				b.Fatalf("got %+v", a)
			}
		}
	})
}
