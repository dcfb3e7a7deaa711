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
	JWT      *JWT      `yaml:"jwt"`
	MTLS     *MTLS     `yaml:"mtls"`
	APIKey   *APIKey   `yaml:"api_key"`
	Metadata *Metadata `yaml:"metadata"`
	Headers  *Headers  `yaml:"headers"`
}

// Remember bounds the memories of verified tokens, of certificates and of what trusted peers
// say in headers. The zero value works.
type Remember struct {
	Entries int           `yaml:"entries"` // at most so many in each, rounded up to a power of two; 0 means 8192, -1 none
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
	JWKSURI    string `yaml:"jwks_uri"`    // where the issuer publishes its JWK Set, https
	JWKS       Fetch  `yaml:"jwks"`        // how jwks_uri is fetched; the zero value works

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

// Fetch is how a key set is fetched. The last good one stays in use while no other is
// to be had, until it is too old.
type Fetch struct {
	Refresh  time.Duration `yaml:"refresh"`   // how often; 0 means 5 min
	MaxStale time.Duration `yaml:"max_stale"` // keys older than this verify nothing; 0 means 24 h
	Timeout  time.Duration `yaml:"timeout"`   // of one fetch; 0 means 5 s
	// AllowHTTP allows http:// to hosts other than this one. Whoever is between then says
	// which keys are the issuer's.
	AllowHTTP bool   `yaml:"allow_http"`
	CAFile    string `yaml:"ca_file"` // roots in PEM instead of the system's, read at each fetch
}

// MTLS believes the certificate that Envoy verified, as Envoy names it
// (source.principal): a SPIFFE id. Any other principal is refused.
type MTLS struct {
	IDs []SPIFFE `yaml:"ids"` // the first that matches decides
	// Forwarded has the certificate of the hop before Envoy count where Envoy's own peer is
	// a proxy that is trusted to say it: the last element of x-forwarded-client-cert.
	Forwarded Trusted `yaml:"forwarded"`
}

// SPIFFE is a pattern of ids, and whom they stand for.
type SPIFFE struct {
	// Match is spiffe://{domain}/ns/{ns}/sa/{sa}, say: {name} is one whole segment, or,
	// once and in the first place, the trust domain.
	Match   string   `yaml:"match"`
	Domains []string `yaml:"domains"` // the trust domains that {domain} may be
	ID      string   `yaml:"id"`      // a template of the names in match: "{ns}/{sa}"
	Kind    string   `yaml:"kind"`    // "" means m2m
	Tenant  string   `yaml:"tenant"`  // a template too; "" is no tenant claim
	Issuer  string   `yaml:"issuer"`  // the iss claim, for data.rbac.issuers; "" is none
}

// Trusted lists the peers that may speak for others. The zero value is nobody.
type Trusted struct {
	Peers   []string `yaml:"peers"`   // principals as Envoy verified them, compared whole
	Sockets []string `yaml:"sockets"` // unix sockets that Envoy listens on, compared whole
}

// APIKey believes keys whose SHA-256 stands in data.rbac.api_keys.
type APIKey struct {
	Key Place `yaml:"key"` // the zero value is the header x-api-key
	// Prefix begins every key, so that keys and tokens can stand at the same place: what
	// does not begin so is no key.
	Prefix string `yaml:"prefix"`
}

// Metadata believes the payload of a token that a filter of Envoy's verified before
// (envoy.filters.http.jwt_authn with payload_in_metadata), and no other metadata.
type Metadata struct {
	Namespace string          `yaml:"namespace"` // "" means envoy.filters.http.jwt_authn
	Key       string          `yaml:"key"`       // payload_in_metadata
	Issuers   []PayloadIssuer `yaml:"issuers"`
}

// PayloadIssuer is an issuer whose tokens Envoy verifies. Its members are those of
// [Issuer].
type PayloadIssuer struct {
	Issuer      string        `yaml:"issuer"`
	Audiences   []string      `yaml:"audiences"`
	AnyAudience bool          `yaml:"any_audience"`
	Leeway      time.Duration `yaml:"leeway"`
	Claims      Claims        `yaml:"claims"`
}

// Headers believes what certain peers say in headers of who asks. Anybody who can speak
// as one of the peers can be anybody: prefer all other ways.
type Headers struct {
	From Trusted `yaml:"from"`

	ID          string `yaml:"id"`     // name of the header with subject.id
	Kind        string `yaml:"kind"`   // subject.type itself, no header; "" means user
	Tenant      string `yaml:"tenant"` // name of a header, like the following
	Email       string `yaml:"email"`
	Roles       string `yaml:"roles"`
	Permissions string `yaml:"permissions"`
	// Separator stands between the values of roles and permissions; "" means a space. With
	// ",", the copies of a header that Envoy joins are one list.
	Separator string `yaml:"separator"`
	Issuer    string `yaml:"issuer"` // the iss claim, for data.rbac.issuers; "" is none
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
	// in histories: prefer the others.
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
