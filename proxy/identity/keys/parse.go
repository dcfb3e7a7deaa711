package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/rolegate/rolegate/proxy/identity/token"
)

// MaxDocument is the longest key document that is read, in bytes.
const MaxDocument = 1 << 20

// ParseJWKS reads a JWK Set. A key that is of no use here (another kind, use or
// algorithm) is skipped, as RFC 7517 asks for, and named by [Set.Skipped]: a
// provider that adds a key of a new kind must not cost us the others. A document
// that is not a JWK Set, names a kid twice, or holds a private key is an error.
func ParseJWKS(doc []byte) (*Set, error) {
	document, err := token.Object(doc)
	if err != nil {
		return nil, errors.New("is not a JSON object without duplicate names")
	}
	list, ok := document["keys"].([]any)
	if !ok {
		return nil, errors.New("is not a JWK Set: want an object with a list `keys`")
	}
	s := &Set{named: make(map[string]*key, len(list))}
	var first *key
	for i, v := range list {
		member, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("keys[%d] is not an object", i)
		}
		if isPrivate(member) {
			return nil, fmt.Errorf("keys[%d] is a private key: publish the public one only, and consider this one lost", i)
		}
		k, err := readJWK(member)
		if err != nil {
			s.skipped = append(s.skipped, fmt.Sprintf("keys[%d] %v", i, err))
			continue
		}
		kid, _ := member["kid"].(string)
		if _, twice := s.named[kid]; twice {
			return nil, fmt.Errorf("keys[%d] has the same kid as another key", i)
		}
		s.named[kid] = k
		first = k
	}
	if len(s.named) == 1 {
		s.sole = first
	}
	return s, nil
}

// isPrivate says whether a JWK tells what only its owner may know. A symmetric key
// (oct) does too, but providers list them beside others; it is skipped.
func isPrivate(member map[string]any) bool {
	_, private := member["d"]
	return private
}

func readJWK(member map[string]any) (*key, error) {
	switch kty := member["kty"]; kty {
	case "RSA", "EC", "OKP":
	default:
		return nil, errKind
	}
	if use, ok := member["use"]; ok && use != "sig" {
		return nil, errors.New("is not for signatures (use)")
	}
	if ops, ok := member["key_ops"]; ok {
		list, _ := ops.([]any)
		if !slices.Contains(list, any("verify")) {
			return nil, errors.New("is not for verifying (key_ops)")
		}
	}
	alg := ""
	if v, ok := member["alg"]; ok {
		if alg, _ = v.(string); alg == HS256 || !slices.Contains(Algorithms(), alg) {
			return nil, errors.New("is for another algorithm (alg)")
		}
	}
	if kid, ok := member["kid"]; ok {
		if _, ok := kid.(string); !ok {
			return nil, errors.New("has a kid that is not a string")
		}
	}
	public, err := publicOf(member)
	if err != nil {
		return nil, err
	}
	return newKey(public, alg)
}

// publicOf hands the library only what makes the key: what else stands there
// (certificates, addresses) is nothing to follow.
func publicOf(member map[string]any) (any, error) {
	plain := maps.Clone(member)
	maps.DeleteFunc(plain, func(name string, _ any) bool {
		return !slices.Contains([]string{"kty", "n", "e", "crv", "x", "y"}, name)
	})
	doc, err := json.Marshal(plain)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	k, err := jwk.ParseKey(doc) // which validates it
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	var public any
	if err := jwk.Export(k, &public); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return public, nil
}

// ParsePEM reads one public key in PEM (PUBLIC KEY or RSA PUBLIC KEY). A token's
// kid is not consulted: a key in PEM has no name.
func ParsePEM(doc []byte) (*Set, error) {
	block, rest := pem.Decode(doc)
	if block == nil {
		return nil, errors.New("is not PEM: want one block PUBLIC KEY")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, errors.New("holds more than one PEM block: keys need names, put them into a jwks_file")
	}
	var public any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		return nil, errors.New("is a certificate: want its public key (openssl x509 -pubkey -noout)")
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("is a private key: want the public one (openssl pkey -pubout)")
	default:
		return nil, errors.New("is a PEM block of another type: want PUBLIC KEY")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read as a public key: %w", err)
	}
	k, err := newKey(public, "")
	if err != nil {
		return nil, err
	}
	return &Set{sole: k, nameless: true}, nil
}

// ParseSecret takes the whole document, one line end at its end left out, as the
// secret of HS256.
func ParseSecret(doc []byte) (*Set, error) {
	secret := bytes.TrimSuffix(bytes.TrimSuffix(doc, []byte("\n")), []byte("\r"))
	if len(secret) < minSecret {
		return nil, fmt.Errorf("is too short for HS256: want at least %d bytes", minSecret)
	}
	k, err := bind(bytes.Clone(secret), []string{HS256})
	if err != nil {
		return nil, err
	}
	return &Set{sole: k, nameless: true}, nil
}
