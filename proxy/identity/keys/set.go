package keys

import (
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/rolegate/rolegate/proxy/identity/token"
)

// Set is the keys of one issuer. It is immutable and may be used concurrently. The
// zero value has no key and verifies nothing.
type Set struct {
	named map[string]*key
	// sole is the key of a token that names none: the only key there is.
	sole *key
	// nameless says that sole came without a name, so that a token's kid means it too.
	nameless bool
	skipped  []string
}

// key is one public key with the algorithms that it verifies.
type key struct {
	public    any
	verifiers map[string]jws.Verifier2 // by alg
}

// Len is the number of keys that can verify.
func (s *Set) Len() int {
	if s.nameless {
		return 1
	}
	return len(s.named)
}

// Skipped says, one line each, which keys of a document are of no use here and why.
func (s *Set) Skipped() []string { return s.skipped }

// Verify checks the signature of a token. The error is one of [token.ErrUnknownKey],
// [token.ErrAlgorithm] (the key is not of that kind) and [token.ErrBadSignature].
func (s *Set) Verify(t token.Token) error {
	k := s.find(t)
	if k == nil {
		return token.ErrUnknownKey
	}
	verifier, ok := k.verifiers[t.Algorithm]
	if !ok {
		return token.ErrAlgorithm
	}
	if verifier.Verify(k.public, []byte(t.Signed), t.Signature) != nil {
		return token.ErrBadSignature // what the library says may quote the token
	}
	return nil
}

func (s *Set) find(t token.Token) *key {
	if t.HasKeyID && !s.nameless {
		return s.named[t.KeyID]
	}
	return s.sole
}
