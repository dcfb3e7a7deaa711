package identity

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rolegate/rolegate/proxy/identity/keys"
)

const (
	longestLeeway = 60 * time.Second
	shortestPoll  = 10 * time.Millisecond
)

// builder turns a configuration into authenticators and collects what is wrong.
type builder struct {
	cfg      Config
	id       *Identity
	problems []error

	keyPlaces []keyPlace
}

// wrong notes a problem of a field. The text says what would be right.
func (b *builder) wrong(field, message string) {
	b.problems = append(b.problems, Problem{Field: field, Message: message})
}

func (b *builder) wrongf(field, format string, args ...any) {
	b.wrong(field, fmt.Sprintf(format, args...))
}

func (b *builder) build() {
	if b.cfg.Poll != 0 && b.cfg.Poll < shortestPoll {
		b.wrongf("poll", "%v is too short, want at least %v, or 0 for %v", b.cfg.Poll, shortestPoll, defaultPoll)
	}
	if n := b.cfg.Remember.Entries; n < -1 || n > maxEntries {
		b.wrongf("remember.entries", "%d, want 1 to %d, 0 for %d, or -1 to remember nothing", n, maxEntries, defaultEntries)
	}
	if age := b.cfg.Remember.MaxAge; age < 0 || age > longestMemory {
		b.wrongf("remember.max_age", "%v, want at most %v, or 0 for that", age, longestMemory)
	}
	if len(b.problems) > 0 {
		return
	}
	for i, a := range b.cfg.Authenticators {
		field := fmt.Sprintf("authenticators[%d]", i)
		switch kinds := a.kinds(); len(kinds) {
		case 1:
			b.authenticator(field, a)
		case 0:
			b.wrong(field, "is empty, want one of jwt, mtls, api_key, metadata and headers")
		default:
			b.wrongf(field, "is %s at once, want a list entry for each", strings.Join(kinds, " and "))
		}
	}
	b.checkKeyPlaces()
}

// kinds are the members that are set.
func (a Authenticator) kinds() []string {
	var kinds []string
	for _, k := range [...]struct {
		name string
		set  bool
	}{
		{"jwt", a.JWT != nil},
		{"mtls", a.MTLS != nil},
		{"api_key", a.APIKey != nil},
		{"metadata", a.Metadata != nil},
		{"headers", a.Headers != nil},
	} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

func (b *builder) authenticator(field string, a Authenticator) {
	switch {
	case a.JWT != nil:
		b.jwt(field+".jwt", *a.JWT)
	case a.MTLS != nil:
		b.mtls(field+".mtls", *a.MTLS)
	case a.APIKey != nil:
		b.apiKey(field+".api_key", *a.APIKey)
	case a.Metadata != nil:
		b.metadata(field+".metadata", *a.Metadata)
	default:
		b.headers(field+".headers", *a.Headers)
	}
}

func (b *builder) jwt(field string, cfg JWT) {
	if len(cfg.Issuers) == 0 {
		b.wrong(field+".issuers", "is empty, want at least one")
	}
	a := &jwt{memory: newMemory(b.cfg.Remember), metrics: b.id.metrics}
	names := map[string]bool{}
	for i, c := range cfg.Issuers {
		field := fmt.Sprintf("%s.issuers[%d]", field, i)
		if names[c.Issuer] && c.Issuer != "" {
			b.wrongf(field+".issuer", "%q is listed twice", c.Issuer)
		}
		names[c.Issuer] = true
		a.add(b.place(field+".token", c.Token), b.issuer(field, c))
	}
	b.add(a)
	b.id.memories = append(b.id.memories, a.memory)
}

// add has an issuer's tokens looked for at a place.
func (a *jwt) add(where Place, iss *issuer) {
	i := slices.IndexFunc(a.places, func(p *place) bool { return p.where == where })
	if i < 0 {
		i = len(a.places)
		a.places = append(a.places, &place{where: where, issuers: map[string]*issuer{}})
	}
	a.places[i].issuers[iss.name] = iss
}

func (b *builder) issuer(field string, c Issuer) *issuer {
	i := b.payloadIssuer(field, PayloadIssuer{
		Issuer: c.Issuer, Audiences: c.Audiences, AnyAudience: c.AnyAudience, Leeway: c.Leeway, Claims: c.Claims,
	})
	if slices.Contains(c.Types, "") {
		b.wrong(field+".types", "holds an empty name, want the typ of its tokens, such as at+jwt")
	}
	i.types = slices.Clone(c.Types)
	i.algorithms = b.algorithms(field, c)
	i.source = b.source(field, c)
	return i
}

// payloadIssuer is what is the same of whoever verifies the signature.
func (b *builder) payloadIssuer(field string, c PayloadIssuer) *issuer {
	if c.Issuer == "" {
		b.wrong(field+".issuer", "is empty, want the iss of its tokens")
	}
	switch {
	case len(c.Audiences) == 0 && !c.AnyAudience:
		b.wrong(field+".audiences", "is empty, want the aud of tokens that are meant for us (or any_audience: true to accept tokens meant for others)")
	case len(c.Audiences) > 0 && c.AnyAudience:
		b.wrong(field+".any_audience", "contradicts audiences, want one of the two")
	case slices.Contains(c.Audiences, ""):
		b.wrong(field+".audiences", "holds an empty name")
	}
	if c.Leeway < 0 || c.Leeway > longestLeeway {
		b.wrongf(field+".leeway", "%v, want 0s to %v", c.Leeway, longestLeeway)
	}
	return &issuer{
		name:        c.Issuer,
		audiences:   slices.Clone(c.Audiences),
		anyAudience: c.AnyAudience,
		leeway:      c.Leeway.Milliseconds(),
		mapping:     b.mapping(field+".claims", c.Claims),
	}
}

// source is the one source of an issuer's keys. Issuers that name the same one share it.
func (b *builder) source(field string, c Issuer) source {
	var sources []source
	for _, file := range [...]*keyFile{
		{path: c.JWKSFile, format: formatJWKS},
		{path: c.PEMFile, format: formatPEM},
		{path: c.SecretFile, format: formatSecret},
	} {
		if file.path != "" {
			sources = append(sources, file)
		}
	}
	if c.JWKSURI != "" {
		b.checkFetch(field, c)
		sources = append(sources, newRemote(c.JWKSURI, c.JWKS.withDefaults()))
	} else if c.JWKS != (Fetch{}) {
		b.wrong(field+".jwks", "says how to fetch, want a jwks_uri beside it")
	}
	if len(sources) != 1 {
		b.wrongf(field, "has %d key sources, want exactly one of jwks_uri, jwks_file, pem_file and secret_file", len(sources))
		return nil
	}
	if r, ok := sources[0].(*remote); ok {
		return b.id.publish(r, c.Issuer)
	}
	return b.id.watch(sources[0].(*keyFile), c.Issuer)
}

func (b *builder) checkFetch(field string, c Issuer) {
	u, err := url.Parse(c.JWKSURI)
	if err != nil {
		b.wrong(field+".jwks_uri", "is no address, want https:// and so on")
		return
	}
	if err := checkURI(u, c.JWKS.AllowHTTP); err != nil {
		b.wrongf(field+".jwks_uri", "%q: %v", u.Redacted(), err)
	}
	for _, d := range [...]struct {
		name               string
		d, least, most, or time.Duration
	}{
		{"refresh", c.JWKS.Refresh, time.Second, 24 * time.Hour, defaultRefresh},
		{"max_stale", c.JWKS.MaxStale, time.Second, 7 * 24 * time.Hour, defaultMaxStale},
		{"timeout", c.JWKS.Timeout, 10 * time.Millisecond, time.Minute, defaultFetchTime},
	} {
		if d.d != 0 && (d.d < d.least || d.d > d.most) {
			b.wrongf(field+".jwks."+d.name, "%v, want %v to %v, or 0 for %v", d.d, d.least, d.most, d.or)
		}
	}
	if f := c.JWKS.withDefaults(); f.MaxStale < f.Refresh {
		b.wrongf(field+".jwks.max_stale", "%v is shorter than the refresh, %v: good keys would be refused", f.MaxStale, f.Refresh)
	}
}

// publish adds a key set to those that are fetched, unless it is one of them.
func (id *Identity) publish(r *remote, issuer string) *remote {
	for _, other := range id.remotes {
		if other.uri == r.uri && other.cfg == r.cfg {
			other.issuers = append(other.issuers, issuer)
			return other
		}
	}
	r.issuers, r.metrics, r.log, r.changed = []string{issuer}, id.metrics, id.log, id.sweep
	id.remotes = append(id.remotes, r)
	return r
}

// watch adds a file to those that are looked at, unless it is one of them.
func (id *Identity) watch(file *keyFile, issuer string) *keyFile {
	for _, f := range id.files {
		if f.path == file.path && f.format == file.format {
			f.issuers = append(f.issuers, issuer)
			return f.keyFile
		}
	}
	id.files = append(id.files, &watchedFile{keyFile: file, issuers: []string{issuer}})
	return file
}

// algorithms never lets a shared secret and public keys meet: a public key is no
// secret, so whoever takes it for one accepts anybody's tokens.
func (b *builder) algorithms(field string, c Issuer) []string {
	field += ".algorithms"
	for _, name := range c.Algorithms {
		if !slices.Contains(keys.Algorithms(), name) {
			b.wrongf(field, "%q is not known, want some of %s", name, strings.Join(keys.Algorithms(), ", "))
		}
	}
	hmac := slices.Contains(c.Algorithms, keys.HS256)
	switch {
	case hmac && len(c.Algorithms) > 1:
		b.wrong(field, "HS256 stands beside others, want it alone")
	case hmac && c.SecretFile == "":
		b.wrong(field, "HS256 needs a secret_file, not public keys")
	case !hmac && c.SecretFile != "":
		b.wrong(field, "want [HS256] beside secret_file: it is only used where it is written")
	}
	if len(c.Algorithms) == 0 {
		return keys.DefaultAlgorithms()
	}
	return slices.Clone(c.Algorithms)
}

func (b *builder) place(field string, p Place) Place {
	set := 0
	for _, name := range [...]string{p.Header, p.Cookie, p.Query} {
		if name != "" {
			set++
		}
	}
	if set > 1 {
		b.wrongf(field, "names %d places, want one of header, cookie and query", set)
	}
	if p.Scheme != "" && (p.Cookie != "" || p.Query != "") {
		b.wrong(field+".scheme", "belongs to a header only")
	}
	normal := p.normal()
	for _, name := range [...]struct{ field, value string }{
		{".header", normal.Header}, {".scheme", normal.Scheme}, {".cookie", normal.Cookie},
	} {
		if strings.ContainsFunc(name.value, isNoTokenRune) {
			b.wrongf(field+name.field, "%q holds a character that such a name cannot have", name.value)
		}
	}
	if normal.Header == "cookie" {
		b.wrong(field+".header", "cookie is not looked at as a header, want the cookie's name in cookie")
	}
	return normal
}

// isNoTokenRune is true for what RFC 9110 keeps out of names.
func isNoTokenRune(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
}

func (b *builder) mapping(field string, c Claims) mapping {
	c, err := c.withPreset()
	if err != nil {
		b.wrongf(field+".preset", "%v", err)
		return mapping{}
	}
	at := func(name, text string) pointer {
		p, err := parsePointer(text)
		if err != nil {
			b.wrongf(field+"."+name, "%q %v", text, err)
		}
		return p
	}
	if c.ID == "" {
		b.wrong(field+".id", "is empty, want the pointer to the subject's id, most often /sub")
	}
	m := mapping{
		id:            at("id", c.ID),
		kind:          b.kind(field+".kind", c.Kind),
		tenant:        at("tenant", c.Tenant),
		email:         at("email", c.Email),
		emailVerified: at("email_verified", c.EmailVerified),
		roles:         at("roles", c.Roles),
		rolesAfter:    c.RolesAfter,
		permissions:   at("permissions", c.Permissions),
		sso: ssoMapping{
			at:         at("sso.pointer", c.SSO.Pointer),
			connection: c.SSO.Connection,
			groups:     at("sso.groups", c.SSO.Groups),
			roles:      at("sso.roles", c.SSO.Roles),
		},
	}
	for i, text := range c.SSO.Connections {
		m.sso.connections = append(m.sso.connections, at(fmt.Sprintf("sso.connections[%d]", i), text))
	}
	b.checkSSO(field+".sso", c.SSO)
	for _, name := range slices.Sorted(maps.Keys(c.Attrs)) {
		text := c.Attrs[name]
		if text == "" {
			b.wrong(field+".attrs."+name, "is empty, want a pointer")
		}
		m.attrs = append(m.attrs, attrMapping{name: name, at: at("attrs."+name, text)})
	}
	return m
}

func (b *builder) checkSSO(field string, s SSO) {
	built := s.Connection != "" || len(s.Connections) > 0
	parts := s.Groups != "" || s.Roles != ""
	switch {
	case s.Pointer != "" && (built || parts):
		b.wrong(field+".pointer", "stands beside members that build sso, want one way or the other")
	case s.Connection != "" && len(s.Connections) > 0:
		b.wrong(field+".connection", "stands beside connections, want one of the two")
	case parts && !built:
		b.wrong(field+".connection", "is empty, want the name of the identity provider's connection that the groups and roles are of")
	case slices.Contains(s.Connections, ""):
		b.wrong(field+".connections", "holds an empty pointer")
	}
}

func (b *builder) kind(field string, k Kind) kindMapping {
	p, err := parsePointer(k.Pointer)
	if err != nil {
		b.wrongf(field+".pointer", "%q %v", k.Pointer, err)
	}
	switch {
	case k.Pointer != "" && len(k.Values) == 0:
		b.wrong(field+".values", "is empty, want what stands there, each with user, m2m, api_key or external")
	case k.Pointer == "" && len(k.Values) > 0:
		b.wrong(field+".pointer", "is empty, want where the values stand")
	}
	values := make(map[string]string, len(k.Values))
	for _, word := range slices.Sorted(maps.Keys(k.Values)) {
		kind := k.Values[word]
		if !isKind(kind) {
			b.wrongf(field+".values."+word, "%q, want user, m2m, api_key or external", kind)
		}
		values[word] = kind
	}
	if k.Default != "" && !isKind(k.Default) {
		b.wrongf(field+".default", "%q, want user, m2m, api_key or external", k.Default)
	}
	return kindMapping{at: p, values: values, fallback: k.Default}
}

func isKind(s string) bool {
	switch s {
	case "user", "m2m", "api_key", "external":
		return true
	default:
		return false
	}
}
