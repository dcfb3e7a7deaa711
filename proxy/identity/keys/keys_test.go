package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"

	"github.com/rolegate/rolegate/proxy/identity/issue"
	"github.com/rolegate/rolegate/proxy/identity/keys"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

func newKey(t *testing.T) *issue.Key {
	t.Helper()
	k, err := issue.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// publish is the JWK of a key, with members changed; nil takes one out.
func publish(t *testing.T, k *issue.Key, changed map[string]any) map[string]any {
	t.Helper()
	doc, err := issue.JWKS(k)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(doc, &set); err != nil {
		t.Fatal(err)
	}
	for name, v := range changed {
		if v == nil {
			delete(set.Keys[0], name)
			continue
		}
		set.Keys[0][name] = v
	}
	return set.Keys[0]
}

func jwks(t *testing.T, members ...any) []byte {
	t.Helper()
	doc, err := json.Marshal(map[string]any{"keys": members})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func signed(t *testing.T, k *issue.Key) token.Token {
	t.Helper()
	text, err := k.Sign(map[string]any{"sub": "u"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := token.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestJWKSKeepsTheRest has one good key beside one of no use: the good one verifies.
func TestJWKSKeepsTheRest(t *testing.T) {
	k, other := newKey(t), newKey(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that it is weak is the point
	if err != nil {
		t.Fatal(err)
	}
	raw := func(n int) string { return base64.RawURLEncoding.EncodeToString(make([]byte, n)) }
	for name, tt := range map[string]struct {
		beside any
		want   string // of Skipped; "" for a key that is of use
	}{
		"another good key":     {publish(t, other, nil), ""},
		"no use, no ops":       {publish(t, other, map[string]any{"use": nil}), ""},
		"ops with verify":      {publish(t, other, map[string]any{"key_ops": []string{"sign", "verify"}}), ""},
		"no alg":               {publish(t, other, map[string]any{"alg": nil}), ""},
		"no kid":               {publish(t, other, map[string]any{"kid": nil}), ""},
		"x5u and x5c":          {publish(t, other, map[string]any{"x5u": "https://evil.example", "x5c": []string{"x"}}), ""},
		"for encryption":       {publish(t, other, map[string]any{"use": "enc"}), "(use)"},
		"use of a wrong type":  {publish(t, other, map[string]any{"use": 1}), "(use)"},
		"ops without verify":   {publish(t, other, map[string]any{"key_ops": []string{"encrypt"}}), "(key_ops)"},
		"ops of a wrong type":  {publish(t, other, map[string]any{"key_ops": "verify"}), "(key_ops)"},
		"alg of another kind":  {publish(t, other, map[string]any{"alg": "RS256"}), "not of the kind of its alg"},
		"alg for encryption":   {publish(t, other, map[string]any{"alg": "RSA-OAEP"}), "(alg)"},
		"alg of a secret":      {publish(t, other, map[string]any{"alg": "HS256"}), "(alg)"},
		"alg none":             {publish(t, other, map[string]any{"alg": "none"}), "(alg)"},
		"kid of a wrong type":  {publish(t, other, map[string]any{"kid": 1}), "kid"},
		"a secret":             {map[string]any{"kty": "oct", "k": raw(32), "alg": "HS256", "kid": "s"}, "neither"},
		"a kind of the future": {map[string]any{"kty": "AKP", "kid": "s"}, "neither"},
		"no kind":              {map[string]any{"kid": "s"}, "neither"},
		"an X25519 key":        {map[string]any{"kty": "OKP", "crv": "X25519", "x": raw(32), "kid": "s"}, "keys[0]"},
		"a short Ed25519 key":  {map[string]any{"kty": "OKP", "crv": "Ed25519", "x": raw(31), "kid": "s"}, "keys[0]"},
		"an Ed448 key":         {map[string]any{"kty": "OKP", "crv": "Ed448", "x": raw(57), "kid": "s"}, "cannot be read"},
		"Ed25519 too long":     {map[string]any{"kty": "OKP", "crv": "Ed25519", "x": raw(33), "kid": "s"}, "keys[0]"},
		"no point of a curve":  {map[string]any{"kty": "EC", "crv": "P-256", "x": raw(32), "y": raw(32), "kid": "s"}, "keys[0]"},
		"P-224":                {map[string]any{"kty": "EC", "crv": "P-224", "x": raw(28), "y": raw(28), "kid": "s"}, "keys[0]"},
		"RSA of 1024 bits": {map[string]any{
			"kty": "RSA", "kid": "s", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(weak.N.Bytes()),
		}, "2048"},
		"RSA of 16384 bits": {map[string]any{
			"kty": "RSA", "kid": "s", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 2048))),
		}, "more than 8192"},
		"RSA of 8192 bits": {map[string]any{
			"kty": "RSA", "kid": "s", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 1024))),
		}, ""},
		"RSA of 8193 bits": {map[string]any{
			"kty": "RSA", "kid": "s", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString([]byte("\x01" + strings.Repeat("\xff", 1024))),
		}, "more than 8192"},
		"alg is empty":        {publish(t, other, map[string]any{"alg": ""}), "(alg)"},
		"alg of a wrong type": {publish(t, other, map[string]any{"alg": []string{"EdDSA"}}), "(alg)"},
		"RSA without modulus": {map[string]any{"kty": "RSA", "kid": "s", "e": "AQAB"}, "keys[0]"},
	} {
		set, err := keys.ParseJWKS(jwks(t, tt.beside, publish(t, k, nil)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := set.Verify(signed(t, k)); err != nil {
			t.Errorf("%s: the good key: got error %v", name, err)
		}
		useful := tt.want == ""
		if got := set.Len() == 2; got != useful {
			t.Errorf("%s: got %d keys, skipped %q, want it of use: %v", name, set.Len(), set.Skipped(), useful)
		}
		if skipped := strings.Join(set.Skipped(), "\n"); !strings.Contains(skipped, tt.want) || (skipped == "") != useful {
			t.Errorf("%s: got skipped %q, want it to say %q", name, skipped, tt.want)
		}
	}
}

func TestJWKSIsRefused(t *testing.T) {
	k := newKey(t)
	one := publish(t, k, nil)
	for name, tt := range map[string]struct {
		doc  []byte
		want string
	}{
		"empty":         {nil, "not a JSON object"},
		"truncated":     {jwks(t, one)[:40], "not a JSON object"},
		"twin":          {[]byte(`{"keys":[],"keys":[]}`), "not a JSON object"},
		"one key alone": {[]byte(`{"kty":"OKP"}`), "not a JWK Set"},
		"keys no list":  {[]byte(`{"keys":{}}`), "not a JWK Set"},
		"key no object": {jwks(t, one, "x"), "keys[1] is not an object"},
		"same kid":      {jwks(t, one, one), "keys[1] has the same kid"},
		"no kid twice":  {jwks(t, publish(t, k, map[string]any{"kid": nil}), publish(t, newKey(t), map[string]any{"kid": nil})), "same kid"},
		"private":       {jwks(t, publish(t, k, map[string]any{"d": "canary-private-part"})), "keys[0] is a private key"},
	} {
		_, err := keys.ParseJWKS(tt.doc)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got error %v, want it to say %q", name, err, tt.want)
		}
	}
	set, err := keys.ParseJWKS([]byte(`{"keys":[]}`))
	if err != nil || set.Len() != 0 {
		t.Errorf("no keys: got %d, error %v", set.Len(), err)
	}
	if err := set.Verify(signed(t, k)); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("no keys: got error %v, want %v", err, token.ErrUnknownKey)
	}
}

func TestKidIsLookedUp(t *testing.T) {
	a, b := newKey(t), newKey(t)
	ofA := signed(t, a)
	nameless := ofA
	nameless.KeyID, nameless.HasKeyID = "", false
	emptyName := nameless
	emptyName.HasKeyID = true
	nameOfB := ofA
	nameOfB.KeyID = b.ID()
	one := jwks(t, publish(t, a, nil))
	two := jwks(t, publish(t, a, nil), publish(t, b, nil))
	unnamed := jwks(t, publish(t, a, map[string]any{"kid": nil}), publish(t, b, nil))
	for _, tt := range []struct {
		name string
		doc  []byte
		tok  token.Token
		want error
	}{
		{"its name", two, ofA, nil},
		{"another's name", two, nameOfB, token.ErrBadSignature},
		{"no name, several keys", two, nameless, token.ErrUnknownKey},
		{"empty name, several keys", two, emptyName, token.ErrUnknownKey},
		{"no name, one key", one, nameless, nil},
		{"empty name, one key", one, emptyName, token.ErrUnknownKey},
		{"a name, key without one", unnamed, ofA, token.ErrUnknownKey},
	} {
		set, err := keys.ParseJWKS(tt.doc)
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Verify(tt.tok); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// signedWith is a token of a private key or a secret, by an algorithm that it takes.
func signedWith(t *testing.T, alg string, private any) token.Token {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(`{"alg":"`+alg+`"}`)) + "." + b64([]byte(`{"sub":"u"}`))
	signature, err := jwsbb.Sign(private, alg, []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := token.Parse(text + "." + b64(signature))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func publicPEM(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func samePublic(a, b crypto.Signer) bool {
	public, ok := a.Public().(interface {
		Equal(other crypto.PublicKey) bool
	})
	return ok && public.Equal(b.Public())
}

// TestEveryAlgorithm: each verifies what was signed by it, with the one kind of key that
// it is for, and no other key's token.
func TestEveryAlgorithm(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := map[string]crypto.Signer{"EdDSA": edKey}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if private[alg], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		private[alg] = rsaKey
	}
	want := append(slices.Sorted(maps.Keys(private)), keys.HS256)
	if diff := cmp.Diff(want, keys.Algorithms(), cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("Algorithms (-want +got):\n%s", diff)
	}
	for alg, own := range private {
		set, err := keys.ParsePEM(publicPEM(t, own.Public()))
		if err != nil {
			t.Fatal(err)
		}
		for other, k := range private {
			var want error
			if !samePublic(own, k) {
				want = token.ErrAlgorithm
			}
			if err := set.Verify(signedWith(t, other, k)); !errors.Is(err, want) {
				t.Errorf("key of %s, token with %s: got error %v, want %v", alg, other, err, want)
			}
		}
	}
}

func TestPEM(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := issue.Of(private)
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that it is weak is the point
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// An Ed25519 key in PKIX, whose bit string holds one byte too few.
	shortEd25519 := append([]byte("\x30\x29\x30\x05\x06\x03\x2b\x65\x70\x03\x20\x00"), make([]byte, ed25519.PublicKeySize-1)...)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)})
	for name, tt := range map[string]struct {
		doc  []byte
		want string
	}{
		"PKIX":          {public, ""},
		"PKCS1":         {pkcs1, ""},
		"text around":   {[]byte("issuer's key\n" + string(public) + "\n"), ""},
		"empty":         {nil, "is not PEM"},
		"JSON":          {[]byte("{}"), "is not PEM"},
		"truncated":     {public[:100], "is not PEM"},
		"two":           {append(append([]byte{}, public...), public...), "more than one"},
		"private":       {secret, "is a private key"},
		"private RSA":   {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x")}), "is a private key"},
		"private EC":    {pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")}), "is a private key"},
		"encrypted":     {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}), "is a private key"},
		"short Ed25519": {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: shortEd25519}), "cannot be read"},
		"too weak":      {publicPEM(t, &weak.PublicKey), "less than 2048"},
		"another curve": {publicPEM(t, &p224.PublicKey), "neither RSA, nor EC"},
		"certificate":   {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "openssl x509"},
		"another block": {pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: []byte("x")}), "another type"},
		"rubbish":       {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "cannot be read"},
	} {
		set, err := keys.ParsePEM(tt.doc)
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got error %v, want it to say %q", name, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := set.Verify(signed(t, k)); err != nil || set.Len() != 1 {
			t.Errorf("%s: got %d keys, error %v", name, set.Len(), err)
		}
	}
}

func TestSecret(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	for doc, ok := range map[string]bool{
		secret: true, secret + "\n": true, secret + "\r\n": true, secret[1:]: false, secret[1:] + "\n": false, "": false,
	} {
		set, err := keys.ParseSecret([]byte(doc))
		if (err == nil) != ok {
			t.Errorf("ParseSecret(%q): got error %v, want it good: %v", doc, err, ok)
		}
		if err != nil {
			continue
		}
		// The line end is the file's, not the secret's.
		if err := set.Verify(signedWith(t, "HS256", []byte(secret))); err != nil {
			t.Errorf("ParseSecret(%q): a token of the secret: %v", doc, err)
		}
		if err := set.Verify(token.Token{Algorithm: "RS256", Signature: []byte("x")}); !errors.Is(err, token.ErrAlgorithm) {
			t.Errorf("RS256 with a secret: got error %v, want %v", err, token.ErrAlgorithm)
		}
	}
}

func TestZeroSet(t *testing.T) {
	if err := new(keys.Set).Verify(token.Token{Algorithm: "HS256"}); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("got error %v, want %v", err, token.ErrUnknownKey)
	}
	if diff := cmp.Diff([]string{"RS256", "ES256", "EdDSA"}, keys.DefaultAlgorithms()); diff != "" {
		t.Errorf("DefaultAlgorithms (-want +got):\n%s", diff)
	}
}

// FuzzParse feeds any document to every parser: none of them panics, and none makes
// a set of more keys than it names.
func FuzzParse(f *testing.F) {
	k, err := issue.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	doc, err := issue.JWKS(k)
	if err != nil {
		f.Fatal(err)
	}
	public, err := k.PublicPEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add(public)
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, parse := range []func([]byte) (*keys.Set, error){keys.ParseJWKS, keys.ParsePEM, keys.ParseSecret} {
			set, err := parse(doc)
			if err != nil {
				continue
			}
			if set.Len() > len(doc) {
				t.Fatalf("%q: got %d keys", doc, set.Len())
			}
			if set.Verify(token.Token{Algorithm: "EdDSA", KeyID: "k", HasKeyID: true, Signed: "x", Signature: []byte("y")}) == nil {
				t.Fatalf("%q: verifies rubbish", doc)
			}
		}
	})
}

// TestAlgOfAKey: a key that names its algorithm verifies with no other of its kind.
func TestAlgOfAKey(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := issue.Of(private)
	if err != nil {
		t.Fatal(err)
	}
	rs256 := signed(t, k)
	for alg, want := range map[any]error{"RS256": nil, nil: nil, "RS512": token.ErrAlgorithm, "PS256": token.ErrAlgorithm} {
		set, err := keys.ParseJWKS(jwks(t, publish(t, k, map[string]any{"alg": alg})))
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Verify(rs256); !errors.Is(err, want) {
			t.Errorf("key for %v, token with RS256: got error %v, want %v", alg, err, want)
		}
	}
}
