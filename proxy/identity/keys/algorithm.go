package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

const (
	// minRSA and maxRSA bound a modulus in bits: RFC 7518 asks for 2048, and the time
	// of a verification grows with the square of the length.
	minRSA = 2048
	maxRSA = 8192
	// minSecret is the shortest secret of HS256 in bytes (RFC 7518, section 3.2).
	minSecret = 32
)

// HS256 is the one algorithm whose key is a secret. It is never a default.
const HS256 = "HS256"

// DefaultAlgorithms are the ones of an issuer that names none.
func DefaultAlgorithms() []string { return []string{"RS256", "ES256", "EdDSA"} }

// Algorithms are all that can be bound to an issuer.
func Algorithms() []string {
	return []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "EdDSA", HS256,
	}
}

var (
	errKind    = errors.New("is neither RSA, nor EC on P-256, P-384 or P-521, nor Ed25519")
	errModulus = fmt.Errorf("is an RSA key of less than %d or more than %d bits", minRSA, maxRSA)
)

// algorithmsOf are those that a public key can verify.
func algorithmsOf(public any) ([]string, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n < minRSA || n > maxRSA {
			return nil, errModulus
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
	case ed25519.PublicKey:
		if len(public) == ed25519.PublicKeySize {
			return []string{"EdDSA"}, nil
		}
	}
	return nil, errKind
}

// newKey makes a key of a public one; alg, if not "", is the only algorithm that it
// is for.
func newKey(public any, alg string) (*key, error) {
	algorithms, err := algorithmsOf(public)
	if err != nil {
		return nil, err
	}
	if alg != "" {
		if !slices.Contains(algorithms, alg) {
			return nil, fmt.Errorf("is not of the kind of its alg, want one of %v", algorithms)
		}
		algorithms = []string{alg}
	}
	return bind(public, algorithms)
}

// bind looks the verifiers up once: the library takes two locks for each.
func bind(public any, algorithms []string) (*key, error) {
	k := &key{public: public, verifiers: make(map[string]jws.Verifier2, len(algorithms))}
	for _, name := range algorithms {
		alg, ok := jwa.LookupSignatureAlgorithm(name)
		if !ok {
			return nil, fmt.Errorf("no verifier of %s", name)
		}
		v, err := jws.VerifierFor(alg)
		if err != nil {
			return nil, fmt.Errorf("verifier of %s: %w", name, err)
		}
		k.verifiers[name] = v
	}
	return k, nil
}
