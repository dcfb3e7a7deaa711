package token

import (
	"encoding/base64"
	"strings"
)

// MaxSize is the longest token that is looked at, in bytes.
const MaxSize = 8 << 10

// Token is a JWT whose form is sound and whose signature was not checked. Nothing
// of it may be believed before that.
type Token struct {
	Algorithm string         // alg of the header, as written; never "none"
	KeyID     string         // kid of the header
	HasKeyID  bool           // whether the header has a kid
	Type      string         // typ of the header; "" without one
	Payload   map[string]any // as Object reads it
	Signed    string         // the part that the signature is over, as sent
	Signature []byte
}

// Parse reads a compact JWS. The error is an [Error].
func Parse(compact string) (Token, error) {
	if len(compact) > MaxSize {
		return Token{}, ErrTooLarge
	}
	// Counted first: splitting without a bound is how a token of dots eats memory.
	switch strings.Count(compact, ".") {
	case 2:
	case 4:
		return Token{}, ErrEncrypted
	default:
		return Token{}, ErrMalformed
	}
	head, rest, _ := strings.Cut(compact, ".")
	body, sig, _ := strings.Cut(rest, ".")

	t := Token{Signed: compact[:len(compact)-len(sig)-1]}
	if err := t.readHeader(head); err != nil {
		return Token{}, err
	}
	var err error
	if t.Payload, err = object(body); err != nil {
		return Token{}, err
	}
	if t.Signature, err = decode(sig); err != nil {
		return Token{}, err
	}
	if len(t.Signature) == 0 {
		return Token{}, ErrUnsigned
	}
	return t, nil
}

func (t *Token) readHeader(part string) error {
	header, err := object(part)
	if err != nil {
		return err
	}
	if has(header, "enc") || has(header, "zip") {
		return ErrEncrypted
	}
	// We understand no extension, so whatever is critical is not understood; and b64
	// without crit is a payload that other readers read differently.
	if has(header, "crit") || has(header, "b64") {
		return ErrCritical
	}
	var ok bool
	if t.Algorithm, ok = header["alg"].(string); !ok {
		return ErrMalformed
	}
	if strings.EqualFold(t.Algorithm, "none") {
		return ErrUnsigned
	}
	if t.KeyID, t.HasKeyID = header["kid"].(string); !t.HasKeyID && has(header, "kid") {
		return ErrMalformed
	}
	if t.Type, ok = header["typ"].(string); !ok && has(header, "typ") {
		return ErrMalformed
	}
	return nil
}

func has(o map[string]any, name string) bool {
	_, ok := o[name]
	return ok
}

// object reads a part that holds an object.
func object(part string) (map[string]any, error) {
	raw, err := decode(part)
	if err != nil {
		return nil, err
	}
	return Object(raw)
}

// decode reads base64url without padding. The standard decoder skips line breaks
// and, unless it is strict, stray bits at the end: two texts of one value.
func decode(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, ErrMalformed
	}
	return raw, nil
}
