package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/internal/lab/token"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/extauthz"
	"github.com/rolegate/rolegate/proxy/identity"
)

// BenchmarkCheck is a check of the workload beneath the transport: a CheckRequest in
// bytes to a CheckResponse in bytes, in one goroutine. cache=miss evaluates each time,
// with tokens remembered.
func BenchmarkCheck(b *testing.B) {
	dir, corpus := inputs(b)
	for name, cfg := range map[string]policy.Config{"cache=hit": {}, "cache=miss": {Entries: -1}} {
		b.Run(name, func(b *testing.B) {
			s := inProcess(b, dir, cfg, signed(dir))
			for n := range corpus { // fills what is remembered, and proves the answers
				check(b, s, corpus[n])
			}
			b.Run("form=decoded", func(b *testing.B) {
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					check(b, s, corpus[n%len(corpus)])
				}
			})
			for _, of := range []int{1, len(corpus)} { // requests, each with a token of its own
				b.Run(fmt.Sprintf("form=wire/of=%d", of), func(b *testing.B) { wire(b, s, corpus[:of]) })
			}
		})
	}
}

// BenchmarkHeaders is a remembered check whose caller a trusted proxy names in headers.
func BenchmarkHeaders(b *testing.B) {
	dir, corpus := inputs(b)
	s := inProcess(b, dir, policy.Config{}, believed())
	corpus = named(b, corpus)
	for n := range corpus {
		check(b, s, corpus[n])
	}
	for _, of := range []int{1, len(corpus)} {
		b.Run(fmt.Sprintf("form=wire/of=%d", of), func(b *testing.B) { wire(b, s, corpus[:of]) })
	}
}

// wire asks as the server does.
func wire(b *testing.B, s *extauthz.Server, corpus []request) {
	b.Helper()
	room, messages := make([]byte, 0, 1<<10), make([]string, len(corpus))
	for n := range corpus {
		messages[n] = string(corpus[n].raw)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		at := n % len(corpus)
		if got := allows(s.AppendAnswer(b.Context(), room, messages[at])); got != corpus[at].allow {
			b.Fatalf("%s %s: got allow=%t", corpus[at].method, corpus[at].path, got)
		}
	}
}

// TestAHitAllocatesNothing beneath the transport, with a remembered token or with headers
// of a trusted proxy.
func TestAHitAllocatesNothing(t *testing.T) {
	policytest.Allocations(t)
	dir, corpus := inputs(t)
	t.Run("token", func(t *testing.T) {
		allocatesNothing(t, inProcess(t, dir, policy.Config{AuditEvery: -1}, signed(dir)), corpus)
	})
	t.Run("headers", func(t *testing.T) {
		allocatesNothing(t, inProcess(t, dir, policy.Config{AuditEvery: -1}, believed()), named(t, corpus[:1]))
	})
}

func allocatesNothing(t *testing.T, s *extauthz.Server, corpus []request) {
	t.Helper()
	check(t, s, corpus[0])
	message, room := string(corpus[0].raw), make([]byte, 0, 1<<10)
	allocations := func() float64 {
		return testing.AllocsPerRun(1000, func() {
			if got := allows(s.AppendAnswer(t.Context(), room, message)); got != corpus[0].allow {
				t.Fatalf("got allow=%t", got)
			}
		})
	}
	// It is remembered at some time.
	for limit := time.Now().Add(patience); allocations() > 0; {
		if time.Now().After(limit) {
			t.Fatalf("got %v allocations, want none", allocations())
		}
	}
}

// BenchmarkProtobuf is what of [BenchmarkCheck] is the generated protobuf code alone.
func BenchmarkProtobuf(b *testing.B) {
	dir, corpus := inputs(b)
	answer := check(b, inProcess(b, dir, policy.Config{}, signed(dir)), corpus[0])
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		var req authv3.CheckRequest
		if err := proto.Unmarshal(corpus[n%len(corpus)].raw, &req); err != nil {
			b.Fatal(err)
		}
		if _, err := proto.Marshal(answer); err != nil {
			b.Fatal(err)
		}
	}
}

func inputs(tb testing.TB) (dir string, corpus []request) {
	tb.Helper()
	idp, err := token.New(issuer, keyID)
	if err != nil {
		tb.Fatal(err)
	}
	dir = tb.TempDir()
	if err := writeInputs(dir, idp); err != nil {
		tb.Fatal(err)
	}
	all, err := ask(idp, 1)
	if err != nil {
		tb.Fatal(err)
	}
	if corpus, err = requests(all[:2000]); err != nil {
		tb.Fatal(err)
	}
	return dir, corpus
}

// patience bounds a decision, and what a test waits for: a busy machine is not what is
// looked at.
const patience = time.Minute

// inProcess wires what `serve` does, without listeners.
func inProcess(tb testing.TB, dir string, cfg policy.Config, how identity.Authenticator) *extauthz.Server {
	tb.Helper()
	set, err := loader.Open(tb.Context(), loader.Config{Dir: filepath.Join(dir, "bundle")})
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Timeout = patience
	engine, err := policy.NewEngine(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(engine.Close)
	engine.Install(set.Snapshot)
	id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{how}}, nil, zap.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	if err := id.Load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	gate, err := proxy.New(proxy.Config{MaxTime: patience}, engine, id, nil, nil, nil, zap.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	return extauthz.New(extauthz.Config{}, gate, zap.NewNop())
}

// signed is who signed tokens say.
func signed(dir string) identity.Authenticator {
	return identity.Authenticator{JWT: &identity.JWT{Issuers: []identity.Issuer{{
		Issuer: issuer, JWKSFile: filepath.Join(dir, "jwks.json"), Audiences: []string{audience},
	}}}}
}

const edge = "CN=edge" // the proxy that is trusted

// believed is who a trusted proxy says in headers.
func believed() identity.Authenticator {
	return identity.Authenticator{Headers: &identity.Headers{
		From: identity.Trusted{Peers: []string{edge}}, ID: "x-user", Tenant: "x-tenant", Issuer: issuer,
	}}
}

// named are the same questions, with headers in place of tokens.
func named(tb testing.TB, corpus []request) []request {
	tb.Helper()
	others := make([]request, len(corpus))
	for i, r := range corpus {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(r.token, ".")[1])
		var claims struct{ Sub, Tenant string }
		if err == nil {
			err = json.Unmarshal(payload, &claims)
		}
		var req authv3.CheckRequest
		if err == nil {
			err = proto.Unmarshal(r.raw, &req)
		}
		if err != nil {
			tb.Fatal(err)
		}
		req.GetAttributes().GetSource().Principal = edge
		all := req.GetAttributes().GetRequest().GetHttp().GetHeaderMap()
		all.Headers = slices.DeleteFunc(all.GetHeaders(), func(h *corev3.HeaderValue) bool { return h.GetKey() == "authorization" })
		all.Headers = append(all.Headers, &corev3.HeaderValue{Key: "x-user", RawValue: []byte(claims.Sub)},
			&corev3.HeaderValue{Key: "x-tenant", RawValue: []byte(claims.Tenant)})
		if r.raw, err = proto.Marshal(&req); err != nil {
			tb.Fatal(err)
		}
		others[i] = r
	}
	return others
}

func check(tb testing.TB, s *extauthz.Server, r request) *authv3.CheckResponse {
	tb.Helper()
	var req authv3.CheckRequest
	if err := proto.Unmarshal(r.raw, &req); err != nil {
		tb.Fatal(err)
	}
	answer, err := s.Check(tb.Context(), &req)
	if err != nil {
		tb.Fatal(err)
	}
	if got := answer.GetStatus().GetCode() == int32(codes.OK); got != r.allow {
		tb.Fatalf("%s %s is %v, want allow=%t", r.method, r.path, answer, r.allow)
	}
	if _, err := proto.Marshal(answer); err != nil {
		tb.Fatal(err)
	}
	return answer
}
