package identity

import (
	"slices"

	"github.com/rolegate/rolegate/proxy"
)

// trusts says whether the peer of a request may speak for others.
func (t Trusted) trusts(c proxy.Credentials) bool {
	return c.Principal != "" && slices.Contains(t.Peers, c.Principal) || c.Socket != "" && slices.Contains(t.Sockets, c.Socket)
}

func (t Trusted) empty() bool { return len(t.Peers) == 0 && len(t.Sockets) == 0 }
