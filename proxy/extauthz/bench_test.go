package extauthz

import (
	"bytes"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
)

// benchBundle reads the route, and in reads something else of the request.
func benchBundle(reads string) string {
	return `
-- policy.rego --
package bench

decision := {"allowed": input.route.tenant == "acme", "reason": "allowed", "tenant": "acme", "roles": ["reader"], "valid_until": null} if ` + reads + `
-- entrypoint --
bench/decision
-- data.json --
{"routes": {"docs": {"prefixes": ["/v1/"], "routes": [
  {"id": "doc", "methods": ["GET"], "path": "/v1/{tenant}/documents/{doc}", "resource": "documents", "action": "read", "tenant": "{tenant}", "at": ".documents"}]}}}
`
}

// BenchmarkCheck is a check from the message read to the message made, without the
// transport.
func BenchmarkCheck(b *testing.B) {
	for name, reads := range map[string]string{
		"route":  `true`,
		"header": `input.attributes.request.http.headers["x-forwarded-proto"] == "https"`,
		"whole":  `count(input.attributes) > 0`,
	} {
		b.Run("reads="+name, func(b *testing.B) {
			g, err := proxy.New(proxy.Config{}, policytest.Engine(b, benchBundle(reads), policy.Config{}), tokens{}, nil, nil, nil, zap.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			s := New(Config{}, g, zap.NewNop())
			req := checkRequest("/v1/acme/documents/d-17?limit=10", map[string]string{
				":path": "/v1/acme/documents/d-17?limit=10", ":method": "GET", ":authority": "api.example.com", ":scheme": "https",
				"authorization": "Bearer " + canary, "accept": "*/*", "accept-encoding": "gzip", "user-agent": "curl/8",
				"x-forwarded-for": "10.0.0.9", "x-forwarded-proto": "https", "x-request-id": "6f9b",
			})
			for g.Check(b.Context(), inbound(req, nil)).Origin != policy.OriginHit {
				time.Sleep(time.Millisecond)
			}
			raw, err := proto.Marshal(req)
			if err != nil {
				b.Fatal(err)
			}
			b.Run("form=wire", func(b *testing.B) {
				message, room := string(raw), make([]byte, 0, 1<<10)
				b.ReportAllocs()
				for b.Loop() {
					if answer := s.AppendAnswer(b.Context(), room, message); !bytes.HasPrefix(answer, []byte{0x0a, 0x00}) {
						b.Fatalf("%q", answer)
					}
				}
			})
			b.Run("form=decoded", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r, err := s.Check(b.Context(), req)
					if err != nil || r.GetStatus().GetCode() != int32(codes.OK) {
						b.Fatal(r, err)
					}
				}
			})
		})
	}
}
