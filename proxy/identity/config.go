package identity

import "time"

// Config is who may be believed about whom. The zero value believes nobody: every
// request is without a subject.
type Config struct {
	// Authenticators are asked in this order. The first that finds its credential in
	// a request decides; if that is bad, the request is refused, not anonymous.
	Authenticators []Authenticator `yaml:"authenticators"`
	Poll           time.Duration   `yaml:"poll"` // how often key files are looked at; 0 means 1 s
	Remember       Remember        `yaml:"remember"`
}

// Authenticator is one way to tell who asks. Exactly one member is set.
type Authenticator struct {
	JWT *JWT `yaml:"jwt"`
}

// Remember bounds the memory of verified tokens. The zero value works.
type Remember struct {
	Entries int           `yaml:"entries"` // at most so many tokens, rounded up to a power of two; 0 means 8192, -1 none
	MaxAge  time.Duration `yaml:"max_age"` // verified anew after this; 0 means 5 min, which is also the longest
}

// JWT believes signed tokens of the issuers that it lists.
type JWT struct {
	Issuers []Issuer `yaml:"issuers"`
}

// Issuer is one issuer of tokens, with the keys that its tokens verify with.
// Exactly one of the key sources is set.
type Issuer struct {
	Issuer string `yaml:"issuer"` // iss of its tokens, compared byte by byte

	JWKSFile   string `yaml:"jwks_file"`   // a JWK Set
	PEMFile    string `yaml:"pem_file"`    // one public key; the kid of tokens is not consulted
	SecretFile string `yaml:"secret_file"` // the secret of HS256, at least 32 bytes
	JWKSURI    string `yaml:"jwks_uri"`    // reserved: refused by this version

	// Algorithms that its tokens may use. Empty means RS256, ES256 and EdDSA, each
	// with a key of its kind. HS256 is only ever used when it is listed, alone.
	Algorithms []string `yaml:"algorithms"`
	// Types are the typ that its tokens must have, whatever the case: with at+jwt an
	// ID token is no access token. Empty takes any, and none.
	Types []string `yaml:"types"`
	// Audiences are the names that we answer to: aud must hold one of them.
	Audiences   []string `yaml:"audiences"`
	AnyAudience bool     `yaml:"any_audience"` // accept tokens made for others too, instead of audiences

	// Leeway is how far the issuer's clock may be off, at most 60 s. It is written
	// into the claims: exp is that much later, nbf that much earlier.
	Leeway time.Duration `yaml:"leeway"`

	Token  Place  `yaml:"token"`
	Claims Claims `yaml:"claims"`
}

// Place is where in a request the token stands. At most one of header, cookie and
// query is set; the zero value is the header authorization with the scheme bearer.
type Place struct {
	Header string `yaml:"header"`
	// Scheme precedes the token in the header. "" means bearer for the header
	// authorization and none for any other.
	Scheme string `yaml:"scheme"`
	Cookie string `yaml:"cookie"`
	// Query is the name of a query parameter. Tokens in addresses end up in logs and
	// in histories: prefer the others. It is read from the pseudo header :path.
	Query string `yaml:"query"`
}

// Claims maps the payload of a token to the claims of the role model. The members
// that are pointers are JSON pointers (RFC 6901) into the payload; a segment that is
// `*` means every element of a list. A member that is empty is the preset's; what
// is missing in a token, or null there, is absent from the claims.
//
// iss, exp, nbf and jti are always the registered claims of those names.
type Claims struct {
	Preset string `yaml:"preset"` // oidc if empty; none for no mapping but what stands here

	ID            string `yaml:"id"`             // subject.id: a string, required in every token
	Kind          Kind   `yaml:"kind"`           // subject.type
	Tenant        string `yaml:"tenant"`         // a string
	Email         string `yaml:"email"`          // a string
	EmailVerified string `yaml:"email_verified"` // a boolean, or "true" or "false"
	Roles         string `yaml:"roles"`          // a list of strings, or one
	// RolesAfter leaves out each role's text up to and with the last one of these:
	// with ":", app:shop:manager is manager.
	RolesAfter string `yaml:"roles_after"`
	// Permissions is a list of strings, or one string that spaces divide (scope).
	Permissions string            `yaml:"permissions"`
	SSO         SSO               `yaml:"sso"`
	Attrs       map[string]string `yaml:"attrs"` // name in attrs → pointer, to any value; names add to the preset's
}

// Kind says what kind of principal a token stands for.
type Kind struct {
	Pointer string `yaml:"pointer"`
	// Values maps what stands there to user, m2m, api_key or external; `*` is any
	// other value. A value that is not mapped refuses the token.
	Values  map[string]string `yaml:"values"`
	Default string            `yaml:"default"` // when nothing stands there; "" says nothing
}

// SSO is the connections through which the session began. It is either one pointer
// to an object in the normal form, {"okta":{"groups":[…],"roles":[…]}}, or built
// of the connection's name and of pointers to its groups and roles.
type SSO struct {
	Pointer     string   `yaml:"pointer"`
	Connection  string   `yaml:"connection"`  // the name itself, where there is only one
	Connections []string `yaml:"connections"` // pointers to names
	Groups      string   `yaml:"groups"`      // a list of strings, or one; of every connection of the session
	Roles       string   `yaml:"roles"`       // likewise
}
