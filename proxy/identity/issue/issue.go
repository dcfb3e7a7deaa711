// Package issue signs tokens and publishes the key to verify them with: for the
// demo, for tools and for tests. No server signs anything.
package issue

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
	"fmt"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// pemType is the block of a private key in PKCS #8.
const pemType = "PRIVATE KEY"

// Key is a private key with its name. It may be used concurrently.
type Key struct {
	signer crypto.Signer
	alg    jwa.SignatureAlgorithm
	id     string // the thumbprint of RFC 7638
}

// NewKey makes a fresh Ed25519 key.
func NewKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return Of(private)
}

// Of wraps an Ed25519, RSA or ECDSA P-256 private key; it signs with EdDSA, RS256
// or ES256.
func Of(signer crypto.Signer) (*Key, error) {
	alg, err := algorithmOf(signer)
	if err != nil {
		return nil, err
	}
	public, err := jwk.Import(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("name the key: %w", err)
	}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("name the key: %w", err)
	}
	return &Key{signer: signer, alg: alg, id: base64.RawURLEncoding.EncodeToString(sum)}, nil
}

func algorithmOf(signer crypto.Signer) (jwa.SignatureAlgorithm, error) {
	switch signer := signer.(type) {
	case ed25519.PrivateKey:
		return jwa.EdDSA(), nil
	case *rsa.PrivateKey:
		return jwa.RS256(), nil
	case *ecdsa.PrivateKey:
		if signer.Curve == elliptic.P256() {
			return jwa.ES256(), nil
		}
	}
	return jwa.EmptySignatureAlgorithm(), errors.New("cannot sign with this kind of key: want Ed25519, RSA or EC P-256")
}

// ParsePEM reads what [Key.PEM] wrote.
func ParsePEM(doc []byte) (*Key, error) {
	block, _ := pem.Decode(doc)
	if block == nil || block.Type != pemType {
		return nil, errors.New("not a PEM block " + pemType)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not a private key in PKCS #8") // the cause may quote the key
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a key that signs")
	}
	return Of(signer)
}

// PEM is the private key in PKCS #8: a secret, for a file that only its owner reads.
func (k *Key) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// PublicPEM is the public key, as a pem_file of identity takes it.
func (k *Key) PublicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ID is the kid that tokens and the JWK Set carry.
func (k *Key) ID() string { return k.id }

// Algorithm is the alg of the tokens, "EdDSA" for a key of [NewKey].
func (k *Key) Algorithm() string { return k.alg.String() }

// Sign makes a token of claims, which are written as JSON; exp and nbf are in
// seconds there, as in every JWT.
func (k *Key) Sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("write the claims: %w", err)
	}
	return k.SignPayload(payload)
}

// SignPayload signs any bytes as the payload.
func (k *Key) SignPayload(payload []byte) (string, error) {
	headers := jws.NewHeaders()
	if err := errors.Join(headers.Set(jws.KeyIDKey, k.id), headers.Set(jws.TypeKey, "JWT")); err != nil {
		return "", fmt.Errorf("write the header: %w", err)
	}
	compact, err := jws.Sign(payload, jws.WithKey(k.alg, k.signer, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(compact), nil
}

// JWKS is the JWK Set of the public halves of some keys, indented, as a jwks_file
// of identity takes it. Of no keys it is an empty set.
func JWKS(keys ...*Key) ([]byte, error) {
	set := jwk.NewSet()
	for _, k := range keys {
		public, err := jwk.Import(k.signer.Public())
		if err != nil {
			return nil, fmt.Errorf("publish key %s: %w", k.id, err)
		}
		err = errors.Join(
			public.Set(jwk.KeyIDKey, k.id),
			public.Set(jwk.AlgorithmKey, k.alg),
			public.Set(jwk.KeyUsageKey, "sig"),
			set.AddKey(public),
		)
		if err != nil {
			return nil, fmt.Errorf("publish key %s: %w", k.id, err)
		}
	}
	doc, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the key set: %w", err)
	}
	return append(doc, '\n'), nil
}
