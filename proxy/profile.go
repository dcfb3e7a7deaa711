package proxy

import (
	"errors"
	"net/http"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
	"github.com/rolegate/rolegate/proxy/canonical"
	"github.com/rolegate/rolegate/proxy/parsed"
)

// Profile is whose policies are asked: its habits go together, and there are no switches
// for single ones.
type Profile string

// The profiles. The zero value is rolegate's own.
const (
	ProfileRolegate Profile = ""
	// ProfileOPAEnvoy is that of policies written for opa-envoy-plugin: they see requests
	// as they were sent, and what they say of a request goes out as they say it.
	ProfileOPAEnvoy Profile = "opa-envoy"
)

// readRaw takes apart what the caller wrote and refuses nothing that a policy can judge.
// What has no one reading is of no route.
func (c *check) readRaw() error {
	if c.in.Malformed != "" {
		return errors.New(c.in.Malformed)
	}
	if err := parsed.Readable(c.in.Path); err != nil {
		return err
	}
	if err := c.readHeaderNames(); err != nil {
		return err
	}
	err := canonical.Method(c.in.Method)
	if err == nil {
		c.target, err = canonical.PathInto(c.room, c.in.Path)
	}
	if err == nil && c.in.Host != "" {
		c.host, err = canonical.Host(c.in.Host)
	}
	if err != nil {
		c.target, c.host, c.routeless = canonical.Target{}, "", true
		return nil //nolint:nilerr // the policy sees what was sent
	}
	c.room = c.target.Segments
	return nil
}

// noRoute is the route of a request that no route can be asked about.
func noRoute() route.Match { return route.Match{Error: route.NoRoute} }

// asSaid says that a denial is the policy's own, and goes out as the policy says it.
func (cfg Config) asSaid(a *Answer) bool {
	return cfg.Profile == ProfileOPAEnvoy && a.Result != nil
}

// denyAsSaid tells the client what the policy says, and nothing beside it.
func (r *Reply) denyAsSaid(c carried) {
	r.Status, r.Headers, r.Body, r.AnyStatus = http.StatusForbidden, c.headers, c.body, true
	if c.status != 0 {
		r.Status = c.status
	}
}

// sendable says whether Envoy sends a status to a client. Its list and Go's differ.
func sendable(status int) bool {
	switch status {
	case http.StatusTooEarly, http.StatusTeapot, http.StatusUnavailableForLegalReasons:
		return false
	default:
		return status >= http.StatusOK && http.StatusText(status) != ""
	}
}

// Passes says whether the request goes on: it is allowed, or would be denied and is
// let through in a dry run. A denial for want of an answer never passes.
func (a *Answer) Passes() bool { return a.Effect == policy.Allow || a.lifted() }

// lifted says whether a policy's denial is let through.
func (a *Answer) lifted() bool { return a.DryRun && a.Effect != policy.Allow && a.Result != nil }
