package token

// Error says why a credential is bad, as one word that does not change between
// versions: logs and metrics may count by it. It holds nothing of the credential.
type Error string

// The words, in the order in which a credential is looked at.
const (
	ErrAmbiguous     Error = "ambiguous"             // the request carries more than one
	ErrTooLarge      Error = "too_large"             // longer than MaxSize
	ErrMalformed     Error = "malformed"             // not three parts of strict base64url around JSON objects
	ErrEncrypted     Error = "encrypted"             // a JWE
	ErrDuplicate     Error = "duplicate_member"      // an object names a member twice
	ErrTooDeep       Error = "too_deep"              // nested deeper than MaxDepth
	ErrUnsigned      Error = "unsigned"              // alg none, in any case, or no signature
	ErrCritical      Error = "critical_header"       // crit or b64: we understand no extension
	ErrUnknownIssuer Error = "unknown_issuer"        // no key is configured for it, or not at this place
	ErrAlgorithm     Error = "algorithm_not_allowed" // not bound to the issuer, or not the key's
	ErrWrongType     Error = "wrong_type"            // typ is none of the issuer's
	ErrUnknownKey    Error = "unknown_key"           // kid names none of the issuer's keys
	ErrNoKeys        Error = "no_keys"               // the issuer's keys could not be fetched yet
	ErrStaleKeys     Error = "stale_keys"            // they could not for so long that those there were are too old
	ErrBadSignature  Error = "bad_signature"
	ErrWrongAudience Error = "wrong_audience"
	ErrNoExpiry      Error = "no_expiry" // exp is missing
	ErrBadTime       Error = "bad_time"  // exp or nbf is no number of seconds of the years 1970 to 9999
	ErrBadSubject    Error = "bad_subject"
	ErrBadClaim      Error = "bad_claim" // a mapped claim is of a type that its place does not take
)

// The words of credentials that are no tokens.
const (
	ErrUnknownPrincipal Error = "unknown_principal" // no pattern of ours, or not of a trust domain of ours
	ErrUntrustedPeer    Error = "untrusted_peer"    // says who asks, and may not
	ErrUnknownAPIKey    Error = "unknown_api_key"
)

// Error is "bad credential: " and the word.
func (e Error) Error() string { return "bad credential: " + string(e) }
