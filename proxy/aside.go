package proxy

import (
	"context"
	"errors"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
)

// Aside is what a surface may say of a request that the usual way does not ask.
type Aside struct {
	// Connection says that a connection is asked about, and no request: of Inbound, only
	// Protocol, Credentials, Extensions and Rest count. No route is ever its own.
	Connection bool
	// Entrypoint is asked in place of the snapshot's; "" for that one.
	Entrypoint string
	// Tenant is the one that the request must be about: a route that names another is not
	// answered, one that names none is about this one. "" for any.
	Tenant string
}

// usual says that there is nothing aside.
func (a Aside) usual() bool { return a == Aside{} }

// CheckAside answers as Check does, on what is aside as well. It goes the long way:
// decisions are remembered, what is said of them is made anew.
func (g *Gate) CheckAside(ctx context.Context, in Inbound, aside Aside) Answer {
	return g.CheckSaid(ctx, in, aside, func(Answer) string { return "" })
}

// CheckSaid is CheckAside for a surface that cannot say everything: an answer in which
// fault finds something is a denial instead, and is noted as one, with fault's words as its
// error. Those hold nothing of the request.
func (g *Gate) CheckSaid(ctx context.Context, in Inbound, aside Aside, fault func(Answer) string) Answer {
	c := g.check(ctx, &in, aside, nil)
	if why := fault(c.answer); why != "" {
		c.fault = errors.New(why)
		c.refuse(policy.ReasonPolicyError, c.fault)
	}
	g.note(c)
	a := c.answer
	c.release()
	return a
}

// bind has a route be about the tenant.
func (a Aside) bind(m route.Match) route.Match {
	switch {
	case a.Tenant == "" || m.Error != "" || m.Tenant == a.Tenant:
		return m
	case m.Tenant == "":
		m.Tenant = a.Tenant
		return m
	default:
		return route.Match{Error: policy.ReasonTenantMismatch}
	}
}
