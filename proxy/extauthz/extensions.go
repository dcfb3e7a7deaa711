package extauthz

import (
	"slices"

	"github.com/rolegate/rolegate/proxy"
)

// ContextExtensions says what two of Envoy's context_extensions mean here. Whatever it
// does not name means nothing to the server; routes and policies read every extension
// anyway. The zero value gives none a meaning.
type ContextExtensions struct {
	// Entrypoint are the entry points that the extension "entrypoint" may ask in place of
	// the usual one. A request with any other is refused.
	Entrypoint []string `yaml:"entrypoint"`
	// Tenant has the extension "tenant" say whose an Envoy route is: a request whose own
	// route names another tenant is denied, and one that names none is about this one.
	Tenant bool `yaml:"tenant"`
}

// The extensions.
const (
	extensionEntrypoint = "entrypoint"
	extensionTenant     = "tenant"
)

// malformedEntrypoint is why a request cannot be read, in logs.
const malformedEntrypoint = "an entry point that is not listed"

// aside reads what is to be decided otherwise than usual. It makes a request malformed
// that asks for what is not listed.
func (c ContextExtensions) aside(in *proxy.Inbound) proxy.Aside {
	aside := proxy.Aside{Connection: in.Malformed == malformedNoHTTP}
	if c.Tenant {
		aside.Tenant = in.Extensions[extensionTenant]
	}
	if len(c.Entrypoint) == 0 {
		return aside
	}
	if aside.Entrypoint = in.Extensions[extensionEntrypoint]; aside.Entrypoint != "" && !slices.Contains(c.Entrypoint, aside.Entrypoint) {
		in.Malformed = malformedEntrypoint
		return proxy.Aside{}
	}
	return aside
}
