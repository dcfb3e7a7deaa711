// Package token is an identity provider for tests and measurements: a few lines of
// the standard library, so that a fault of the server's own JOSE code is not repeated
// in what it is tested with.
package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
)

// Issuer signs tokens with one Ed25519 key.
type Issuer struct {
	name  string
	keyID string
	key   ed25519.PrivateKey
}

// New makes an issuer with a key of its own.
func New(name, keyID string) (Issuer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Issuer{}, fmt.Errorf("make a signing key: %w", err)
	}
	return Issuer{name: name, keyID: keyID, key: key}, nil
}

// JWKS is the key set that the issuer would publish.
func (i Issuer) JWKS() ([]byte, error) {
	public, ok := i.key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("public key is a %T", i.key.Public())
	}
	return json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
		"kid": i.keyID, "x": base64.RawURLEncoding.EncodeToString(public),
	}}})
}

// Sign makes a token of claims; iss is added unless it is there.
func (i Issuer) Sign(claims map[string]any) (string, error) {
	head := map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": i.keyID}
	signed, err := i.payload(head, claims)
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key, []byte(signed))), nil
}

// Unsigned makes the token of an attacker who says that it needs no signature.
func (i Issuer) Unsigned(claims map[string]any) (string, error) {
	signed, err := i.payload(map[string]any{"alg": "none", "typ": "JWT", "kid": i.keyID}, claims)
	return signed + ".", err
}

func (i Issuer) payload(head, claims map[string]any) (string, error) {
	body := map[string]any{"iss": i.name}
	maps.Copy(body, claims)
	h, err := json.Marshal(head)
	if err != nil {
		return "", fmt.Errorf("encode a token's head: %w", err)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("encode a token's claims: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(b), nil
}
