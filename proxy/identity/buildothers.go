package identity

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity/spiffe"
)

func (b *builder) mtls(field string, cfg MTLS) {
	if len(cfg.IDs) == 0 {
		b.wrong(field+".ids", "is empty, want at least one pattern such as spiffe://{domain}/ns/{ns}/sa/{sa}")
	}
	a := &mtls{forwarded: cfg.Forwarded, memory: newMemory(b.cfg.Remember), metrics: b.id.metrics}
	b.checkTrusted(field+".forwarded", cfg.Forwarded)
	for i, c := range cfg.IDs {
		a.ids = append(a.ids, b.spiffe(fmt.Sprintf("%s.ids[%d]", field, i), c))
	}
	b.add(a)
}

// add has an authenticator asked after those before it.
func (b *builder) add(a proxy.Authenticator) { b.id.authenticators = append(b.id.authenticators, a) }

func (b *builder) spiffe(field string, c SPIFFE) spiffeID {
	s := spiffeID{kind: c.Kind, issuer: c.Issuer}
	if s.kind == "" {
		s.kind = "m2m"
	}
	if !isKind(s.kind) {
		b.wrongf(field+".kind", "%q, want user, m2m, api_key or external", c.Kind)
	}
	var err error
	if s.pattern, err = spiffe.ParsePattern(c.Match, slices.Clone(c.Domains)); err != nil {
		b.wrongf(field+".match", "%q %v", c.Match, err)
		return s
	}
	if c.ID == "" {
		b.wrong(field+".id", "is empty, want a template of the names in match, such as {ns}/{sa}")
	}
	if s.id, err = spiffe.ParseTemplate(c.ID, s.pattern.Names()); err != nil {
		b.wrongf(field+".id", "%q %v", c.ID, err)
	}
	if s.tenant, err = spiffe.ParseTemplate(c.Tenant, s.pattern.Names()); err != nil {
		b.wrongf(field+".tenant", "%q %v", c.Tenant, err)
	}
	for _, name := range s.pattern.Names() {
		if !s.id.Uses(name) && (name != s.pattern.Domain() || len(c.Domains) > 1) {
			b.wrongf(field+".id", "%q leaves out {%s}: whoever differs in it alone would be one subject", c.ID, name)
		}
	}
	return s
}

func (b *builder) checkTrusted(field string, t Trusted) {
	if slices.Contains(t.Peers, "") {
		b.wrong(field+".peers", "holds an empty name: a peer without a certificate is nobody")
	}
	for _, peer := range t.Peers {
		if strings.ContainsAny(peer, "*{}") {
			b.wrongf(field+".peers", "%q: principals are compared whole, want one without patterns", peer)
		}
	}
	if slices.Contains(t.Sockets, "") {
		b.wrong(field+".sockets", "holds an empty path")
	}
}

func (b *builder) apiKey(field string, cfg APIKey) {
	where := cfg.Key
	if where == (Place{}) {
		where.Header = "x-api-key"
	}
	if strings.ContainsFunc(cfg.Prefix, isNoTokenRune) {
		b.wrongf(field+".prefix", "%q holds a character that a key should not have", cfg.Prefix)
	}
	b.keyPlaces = append(b.keyPlaces, keyPlace{field: field, at: len(b.id.authenticators), prefix: cfg.Prefix})
	b.add(&apiKey{where: b.place(field+".key", where), prefix: cfg.Prefix, metrics: b.id.metrics})
}

// keyPlace is an api_key of the configuration, for [builder.checkKeyPlaces].
type keyPlace struct {
	field  string
	at     int // among the authenticators
	prefix string
}

// checkKeyPlaces refuses keys at a place of tokens where one would be taken for the
// other: a credential that is found decides.
func (b *builder) checkKeyPlaces() {
	for _, k := range b.keyPlaces {
		where := b.id.authenticators[k.at].(*apiKey).where
		for i, a := range b.id.authenticators {
			tokens, ok := a.(*jwt)
			if !ok || !slices.ContainsFunc(tokens.places, func(p *place) bool { return p.where == where }) {
				continue
			}
			if i < k.at || k.prefix == "" {
				b.wrong(k.field, "stands at a place of tokens: want it before that jwt in the list, and a prefix that every key has and no token")
			}
		}
	}
}

func (b *builder) metadata(field string, cfg Metadata) {
	a := &metadata{namespace: cfg.Namespace, key: cfg.Key, issuers: map[string]*issuer{}, metrics: b.id.metrics}
	if a.namespace == "" {
		a.namespace = jwtAuthn
	}
	if a.key == "" {
		b.wrong(field+".key", "is empty, want what payload_in_metadata of Envoy's filter says")
	}
	if len(cfg.Issuers) == 0 {
		b.wrong(field+".issuers", "is empty, want at least one")
	}
	for i, c := range cfg.Issuers {
		field := fmt.Sprintf("%s.issuers[%d]", field, i)
		if a.issuers[c.Issuer] != nil {
			b.wrongf(field+".issuer", "%q is listed twice", c.Issuer)
		}
		a.issuers[c.Issuer] = b.payloadIssuer(field, c)
	}
	b.add(a)
}

func (b *builder) headers(field string, cfg Headers) {
	if cfg.From.empty() {
		b.wrong(field+".from", "is empty, want the peers (principals) or the sockets that may say who asks")
	}
	b.checkTrusted(field+".from", cfg.From)
	a := &fromHeaders{
		from: cfg.From, kind: cfg.Kind, separator: cfg.Separator, issuer: cfg.Issuer,
		memory: newMemory(b.cfg.Remember), metrics: b.id.metrics,
	}
	if a.kind == "" {
		a.kind = "user"
	}
	if !isKind(a.kind) {
		b.wrongf(field+".kind", "%q, want user, m2m, api_key or external", cfg.Kind)
	}
	if a.separator == "" {
		a.separator = " "
	}
	switch a.separator {
	case " ", ",", ";", "|":
	default:
		b.wrongf(field+".separator", "%q, want one of a space, a comma, a semicolon and |", cfg.Separator)
	}
	if cfg.ID == "" {
		b.wrong(field+".id", "is empty, want the name of the header that says who asks")
	}
	seen := map[string]bool{}
	for _, h := range [...]struct {
		field, name string
		to          *string
	}{
		{"id", cfg.ID, &a.id},
		{"tenant", cfg.Tenant, &a.tenant},
		{"email", cfg.Email, &a.email},
		{"roles", cfg.Roles, &a.roles},
		{"permissions", cfg.Permissions, &a.permissions},
	} {
		name := strings.ToLower(h.name)
		switch {
		case name == "":
		case strings.ContainsFunc(name, isNoTokenRune):
			b.wrongf(field+"."+h.field, "%q holds a character that such a name cannot have", h.name)
		case isNoIdentityHeader(name):
			b.wrongf(field+"."+h.field, "%q has another meaning, want a name of your own such as x-user", h.name)
		case seen[name]:
			b.wrongf(field+"."+h.field, "%q is read for two things", h.name)
		}
		seen[name] = true
		*h.to = name
	}
	delete(seen, "")
	a.names = slices.Sorted(maps.Keys(seen))
	b.id.headers = append(b.id.headers, a.names...)
	b.add(a)
}

// isNoIdentityHeader says whether a header means something else, so that it could not be
// taken out of a request.
func isNoIdentityHeader(name string) bool {
	switch name {
	case authorization, "cookie", "host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "keep-alive",
		"trailer", "content-type", "accept", "user-agent":
		return true
	}
	return strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-envoy-") ||
		strings.HasPrefix(name, "x-rolegate-") || strings.HasPrefix(name, "proxy-")
}
