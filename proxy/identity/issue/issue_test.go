package issue_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/proxy/identity/issue"
	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// TestRoundTrip signs with every kind of key, after a way through its file.
func TestRoundTrip(t *testing.T) {
	fresh, err := issue.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*issue.Key{"EdDSA": fresh}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for alg, signer := range map[string]crypto.Signer{"RS256": rsaKey, "ES256": ecKey} {
		if all[alg], err = issue.Of(signer); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := issue.JWKS(all["EdDSA"], all["RS256"], all["ES256"])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(doc), `"d"`) {
		t.Errorf("the published set holds a private part:\n%s", doc)
	}
	set, err := keys.ParseJWKS(doc)
	if err != nil || len(set.Skipped()) > 0 {
		t.Fatalf("error %v, skipped %v\n%s", err, set.Skipped(), doc)
	}
	for alg, k := range all {
		secret, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := issue.ParsePEM(secret)
		if err != nil {
			t.Fatal(err)
		}
		if again.ID() != k.ID() || again.Algorithm() != alg {
			t.Errorf("%s: read back: got kid %s, alg %s, want %s, %s", alg, again.ID(), again.Algorithm(), k.ID(), alg)
		}
		text, err := again.Sign(map[string]any{"sub": "ann", "exp": 1767229200})
		if err != nil {
			t.Fatal(err)
		}
		got, err := token.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		want := token.Token{
			Algorithm: alg, KeyID: k.ID(), HasKeyID: true, Type: "JWT",
			Payload: map[string]any{"sub": "ann", "exp": json.Number("1767229200")},
			Signed:  got.Signed, Signature: got.Signature,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", alg, diff)
		}
		if err := set.Verify(got); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issue.Of(p384); err == nil {
		t.Error("P-384: got no error")
	}
	for _, doc := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\ncanary00\n-----END PRIVATE KEY-----\n", "-----BEGIN X-----\nAAAA\n-----END X-----\n"} {
		if _, err := issue.ParsePEM([]byte(doc)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("ParsePEM(%q): got error %v", doc, err)
		}
	}
	doc, err := issue.JWKS()
	if err != nil || !strings.Contains(string(doc), `"keys": []`) {
		t.Errorf("JWKS of no keys: got %s, error %v", doc, err)
	}
}
