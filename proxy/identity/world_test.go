package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/issue"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the expected parts of the test files")
	goleak.VerifyTestMain(m)
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

const (
	issuerURL   = "https://idp.example"
	audience    = "shop"
	secretText  = "canary-secret-0123456789-0123456789"
	secretURL   = "https://secret.example"
	pemURL      = "https://pem.example"
	cookieURL   = "https://cookie.example"
	cookieName  = "session"
	headerURL   = "https://header.example"
	headerName  = "x-token"
	queryURL    = "https://query.example"
	queryName   = "access_token"
	longTimeOff = 4102444800 // 2100-01-01 in seconds
)

// headers is a request's headers.
type headers map[string][]string

func (h headers) Values(name string) []string { return h[name] }

func bearer(text string) headers { return headers{"authorization": {"Bearer " + text}} }

// authenticate asks with the zero view: tokens need no policy.
func authenticate(tb testing.TB, id proxy.Authenticator, h headers) (policy.Subject, error) {
	tb.Helper()
	return id.Authenticate(tb.Context(), policy.View{}, h.credentials())
}

// credentials are those of a request that has these headers alone, its target among them.
func (h headers) credentials() proxy.Credentials {
	path := ""
	if values := h[":path"]; len(values) > 0 {
		path = values[0]
	}
	return proxy.Credentials{Headers: h, Path: path}
}

// world is a few keys and the folder where their public halves stand.
type world struct {
	dir     string
	ed      *issue.Key
	rsa     *issue.Key
	ec      *issue.Key
	edPriv  ed25519.PrivateKey
	rsaPriv *rsa.PrivateKey
	ecPriv  *ecdsa.PrivateKey
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{dir: tb.TempDir()}
	var err error
	if _, w.edPriv, err = ed25519.GenerateKey(rand.Reader); err != nil {
		tb.Fatal(err)
	}
	w.rsaPriv = rsaKey(tb)
	if w.ecPriv, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		tb.Fatal(err)
	}
	w.ed, w.rsa, w.ec = wrap(tb, w.edPriv), wrap(tb, w.rsaPriv), wrap(tb, w.ecPriv)
	w.writeJWKS(tb, w.ed, w.rsa, w.ec)
	public, err := w.ed.PublicPEM()
	if err != nil {
		tb.Fatal(err)
	}
	w.write(tb, "ed.pem", public)
	w.write(tb, "secret", []byte(secretText+"\n"))
	return w
}

// rsaKey is the key of two primes that were found before.
func rsaKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	text, err := os.ReadFile("testdata/primes.txt")
	if err != nil {
		tb.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n"))
	p, q := new(big.Int), new(big.Int)
	if _, err := fmt.Fscanf(bytes.NewReader(text), "%x\n%x\n", p, q); err != nil {
		tb.Fatal(err)
	}
	one, e := big.NewInt(1), big.NewInt(65537)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(e.Int64())},
		D:         new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q},
	}
	k.Precompute()
	if err := k.Validate(); err != nil {
		tb.Fatal(err)
	}
	return k
}

func wrap(tb testing.TB, private crypto.Signer) *issue.Key {
	tb.Helper()
	k, err := issue.Of(private)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// write replaces a file in one step, as a careful program does.
func (w *world) write(tb testing.TB, name string, doc []byte) {
	tb.Helper()
	part := w.path(name + ".part")
	if err := os.WriteFile(part, doc, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(part, w.path(name)); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) writeJWKS(tb testing.TB, published ...*issue.Key) {
	tb.Helper()
	doc, err := issue.JWKS(published...)
	if err != nil {
		tb.Fatal(err)
	}
	w.write(tb, "jwks.json", doc)
}

// config lists one issuer for each source of keys and each place.
func (w *world) config() identity.Config {
	jwks, audiences := w.path("jwks.json"), []string{"other", audience}
	plain := identity.Claims{Preset: "rolegate"}
	return identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: []identity.Issuer{
		{Issuer: issuerURL, JWKSFile: jwks, Audiences: audiences, Claims: plain},
		{Issuer: pemURL, PEMFile: w.path("ed.pem"), Types: []string{"at+jwt"}, Audiences: audiences, Claims: plain},
		{Issuer: secretURL, SecretFile: w.path("secret"), Algorithms: []string{"HS256"}, Audiences: audiences, Claims: plain},
		{Issuer: cookieURL, JWKSFile: jwks, Audiences: audiences, Claims: plain, Token: identity.Place{Cookie: cookieName}},
		{Issuer: headerURL, JWKSFile: jwks, Audiences: audiences, Claims: plain, Token: identity.Place{Header: "X-Token"}},
		{Issuer: queryURL, JWKSFile: jwks, Audiences: audiences, Claims: plain, Token: identity.Place{Query: queryName}},
	}}}}}
}

func (w *world) identity(tb testing.TB) *identity.Identity {
	tb.Helper()
	return load(tb, w.config(), nil, zaptest.NewLogger(tb, zaptest.Level(zap.ErrorLevel)))
}

func load(tb testing.TB, cfg identity.Config, reg prometheus.Registerer, log *zap.Logger) *identity.Identity {
	tb.Helper()
	id, err := identity.New(cfg, reg, log)
	if err != nil {
		tb.Fatal(err)
	}
	if err := id.Load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return id
}

// payload is good claims of an issuer, with some changed; nil takes one out.
func payload(iss string, changed map[string]any) map[string]any {
	claims := map[string]any{
		"iss": iss, "sub": "u-17", "aud": audience, "exp": longTimeOff, "nbf": 0, "jti": "t-1",
		"tenant": "acme", "email": "u@acme.com", "email_verified": true,
		"roles": []string{"developer"}, "permissions": []string{"documents:read"},
		"sso": map[string]any{"okta": map[string]any{"groups": []string{"eng"}}},
	}
	for name, v := range changed {
		if v == nil {
			delete(claims, name)
			continue
		}
		claims[name] = v
	}
	return claims
}

func mustSign(tb testing.TB, k *issue.Key, claims map[string]any) string {
	tb.Helper()
	text, err := k.Sign(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signAs signs any header and payload, well formed or not, with any key that the
// algorithm takes.
func signAs(tb testing.TB, header, payload, alg string, key any) string {
	tb.Helper()
	text := b64(header) + "." + b64(payload)
	signature, err := jwsbb.Sign(key, alg, []byte(text), nil)
	if err != nil {
		tb.Fatalf("sign with %s: %v", alg, err)
	}
	return text + "." + b64(string(signature))
}

// eventually polls until ok, for what another goroutine does.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	const patience = time.Minute
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	tb.Fatalf("not within %v: %s", patience, what)
}
