package proxy

import (
	"context"
	"fmt"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
)

// NoRequest is the error of input.route when there is no request to be routed: the
// surface was asked about a connection. The role library denies, with this reason.
const NoRequest = "no_http_request"

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
	if aside.usual() {
		return g.Check(ctx, in)
	}
	c := newCheck(g)
	c.begin(ctx, in)
	defer c.limited.end()
	c.runAside(&c.limited, aside) //nolint:contextcheck // made from ctx
	g.note(c)
	return c.answer
}

// runAside decides, and turns whatever cannot be told into a denial.
func (c *check) runAside(ctx context.Context, aside Aside) {
	defer func() {
		if p := recover(); p != nil {
			c.gate.log.Error("panic while deciding", zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
			c.refuse(policy.ReasonPolicyError, errPanic)
		}
	}()
	view := c.gate.engine.View()
	c.view = view
	c.answer.Generation, c.answer.Revisions = view.Generation(), view.Revisions()
	if !aside.Connection {
		if err := c.read(); err != nil {
			c.refuse(policy.ReasonMalformedRequest, err)
			return
		}
	}
	if !view.Ready() {
		c.refuse(policy.ReasonNotReady, policy.ErrNotReady)
		return
	}
	c.answer.Subject = c.authenticate(ctx, view)
	c.answer.Route = route.Match{Error: NoRequest}
	if !aside.Connection {
		c.answer.Route = aside.bind(c.resolve(true))
	}
	if aside.Entrypoint == "" {
		c.decide(ctx)
		return
	}
	c.decideAt(ctx, aside.Entrypoint)
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

// decideAt decides as decide does, at another entry point.
func (c *check) decideAt(ctx context.Context, entrypoint string) {
	c.doc = document{Document: policy.Document{Subject: c.answer.Subject, Route: c.answer.Route}, rest: c.in.Rest}
	decision, err := c.view.Decide(ctx, entrypoint, &c.doc, c.began)
	switch {
	case c.doc.unread != nil:
		c.refuse(policy.ReasonMalformedRequest, c.doc.unread)
		return
	case err != nil:
		err = briefly(err)
		decision.Effect, decision.Result, c.why = policy.Deny, nil, err
		if decision.Reason == policy.ReasonPolicyError {
			c.fault = err
		}
	}
	c.answer.Decision = decision
	c.reply()
}
