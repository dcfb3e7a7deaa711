package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// certificate is one as Envoy sends it, with these URIs.
func certificate(t *testing.T, ends time.Time, uris ...string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: ends, DNSNames: []string{"web.example"}}
	for _, uri := range uris {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("\n", "%0A", " ", "%20", "+", "%2B", "/", "%2F", "=", "%3D").
		Replace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// TestCertificate: where Envoy sends the certificate itself, a caller is known until it
// ends, and it must name that one caller.
func TestCertificate(t *testing.T) {
	const workload, other = "spiffe://mesh.example/ns/shop/sa/web", "spiffe://mesh.example/ns/root/sa/root"
	id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{{MTLS: &identity.MTLS{
		IDs:       []identity.SPIFFE{{Match: "spiffe://{domain}/ns/{ns}/sa/{sa}", Domains: []string{"mesh.example"}, ID: "{ns}/{sa}"}},
		Forwarded: identity.Trusted{Peers: []string{"CN=edge"}},
	}}}}, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ends := time.UnixMilli(1798761600000)
	good := certificate(t, ends, workload)
	for _, tt := range []struct {
		name, principal, certificate string
		forwarded                    string
		want                         string
		err                          error
	}{
		{"whole", workload, good, "", `{"claims": {"exp": 1798761600000}, "id": "shop/web", "type": "m2m"}`, nil},
		{"not sent", workload, "", "", `{"claims": {}, "id": "shop/web", "type": "m2m"}`, nil},
		{"a proxy's own is not its client's", "CN=edge", good, "URI=" + other, `{"claims": {}, "id": "root/root", "type": "m2m"}`, nil},
		{"of another", other, good, "", "", token.ErrUnknownPrincipal},
		{"without a principal", "", good, "", "", token.ErrUnknownPrincipal},
		{"two URIs", workload, certificate(t, ends, workload, other), "", "", token.ErrUnknownPrincipal},
		{"no URI", workload, certificate(t, ends), "", "", token.ErrUnknownPrincipal},
		{"two certificates", workload, good + good, "", "", token.ErrMalformed},
		{"cut", workload, good[:len(good)/2], "", "", token.ErrMalformed},
		{"no PEM", workload, "x", "", "", token.ErrMalformed},
		{"a key", workload, "-----BEGIN%20PUBLIC%20KEY-----%0AAAAA%0A-----END%20PUBLIC%20KEY-----%0A", "", "", token.ErrMalformed},
		{"badly encoded", workload, good + "%z", "", "", token.ErrMalformed},
		{"too long", workload, good + strings.Repeat(" ", 70_000), "", "", token.ErrMalformed},
	} {
		for range 2 { // the second time it is remembered
			h := headers{}
			if tt.forwarded != "" {
				h["x-forwarded-client-cert"] = []string{tt.forwarded}
			}
			subject, err := id.Authenticate(t.Context(), policy.View{}, proxy.Credentials{
				Headers: h, Principal: tt.principal, Certificate: tt.certificate,
			})
			got := ""
			if v, ok := subject.Value(); ok {
				got = v.String()
			}
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%s: got %s %v, want %s %v", tt.name, got, err, tt.want, tt.err)
			}
		}
	}
}

// TestRememberedCallerCostsLittle: who is known by its principal costs nothing the second
// time, and a certificate no more than the text that it is found by.
func TestRememberedCallerCostsLittle(t *testing.T) {
	const workload = "spiffe://mesh.example/ns/shop/sa/web"
	id, err := identity.New(identity.Config{Authenticators: []identity.Authenticator{{MTLS: &identity.MTLS{
		IDs: []identity.SPIFFE{{Match: workload, ID: "web"}},
	}}}}, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		certificate string
		want        float64
	}{"principal": {"", 0}, "certificate": {certificate(t, time.Now().Add(time.Hour), workload), 1}} {
		c := proxy.Credentials{Headers: headers{}, Principal: workload, Certificate: tt.certificate}
		got := testing.AllocsPerRun(100, func() {
			if subject, err := id.Authenticate(t.Context(), policy.View{}, c); err != nil || subject.ID != "web" {
				t.Fatalf("%s: got %v, error %v", name, subject, err)
			}
		})
		if got != tt.want {
			t.Errorf("%s: %v allocations, want %v", name, got, tt.want)
		}
	}
}
