package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
	"github.com/rolegate/rolegate/proxy"
)

// ask asks the engine. A name that does not exist is an error.
func ask(ctx context.Context, engine *policy.Engine, r checkRequest, now time.Time) (answer, error) {
	view := engine.View()
	names := newNames(view)
	a := answer{
		SchemaVersion: answerSchema, AsOf: now, Revisions: view.Revisions(),
		Subject: answerSubject{ID: r.subject, Session: "stored"},
	}
	if r.tenant != "" {
		if err := names.tenant(r.tenant); err != nil {
			return answer{}, err
		}
	}
	if err := names.subject(r.subject); err != nil {
		return answer{}, err
	}
	var err error
	if r.method != "" {
		err = a.askRequest(ctx, engine, names, r, now)
	} else {
		err = a.askPermission(ctx, view, names, r, now)
	}
	return a, err
}

func (a *answer) askPermission(ctx context.Context, view policy.View, names names, r checkRequest, now time.Time) error {
	if err := names.permission(r.resource, r.action); err != nil {
		return err
	}
	path := r.at
	if strings.HasPrefix(path, ".") {
		path = names.node(r.tenant) + path
	}
	place := path
	if place == "" {
		place = names.node(r.tenant)
	}
	subject := a.session(names, place)
	m := route.Match{Resource: r.resource, Action: r.action, Tenant: r.tenant, Path: path}
	d, err := view.Decide(ctx, view.Entrypoint(), policy.Document{Subject: subject, Route: m}, now)
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	a.Question = answerQuestion{Resource: m.Resource, Action: m.Action, Tenant: m.Tenant, Path: m.Path}
	return a.take(d)
}

// askRequest asks the gate, as every server does. Without a tenant it asks twice:
// first which tenant the route names, then for a subject with the session that is
// stored there.
func (a *answer) askRequest(ctx context.Context, engine *policy.Engine, names names, r checkRequest, now time.Time) error {
	host, path := splitURL(r.url)
	in := proxy.Inbound{Protocol: proxy.ProtocolCommand, Method: r.method, Host: host, Path: path}
	place := names.node(r.tenant)
	if r.tenant == "" {
		first, err := gateAnswer(ctx, engine, policy.Subject{ID: r.subject}, in, now)
		if err != nil {
			return err
		}
		place = names.node(first.Route.Tenant)
		if first.Route.Path != "" {
			place = first.Route.Path
		}
	}
	got, err := gateAnswer(ctx, engine, a.session(names, place), in, now)
	if err != nil {
		return err
	}
	m := got.Route
	a.Question = answerQuestion{
		Resource: m.Resource, Action: m.Action, RolesAny: m.RolesAny, Tenant: m.Tenant, Path: m.Path,
		Method: r.method, URL: r.url, Public: m.Public,
	}
	if m.ID != "" {
		a.Question.Route = m.Set + ":" + m.ID
	}
	switch {
	case m.Error == route.NoRoute:
		return fmt.Errorf("no route for %s %s: of %d routes none matches", r.method, r.url, engine.View().Routes().Len())
	case m.Error == route.Incomplete:
		return fmt.Errorf("the route of %s %s needs %s, which a stored session does not have", r.method, r.url, m.Missing)
	case m.Tenant != "" && got.Reason == policy.ReasonUnknownTenant:
		return names.tenant(m.Tenant)
	case m.Action != "" && got.Reason == policy.ReasonUnknownPermission:
		return names.permission(m.Resource, m.Action)
	}
	return a.take(got.Decision)
}

// gateAnswer asks a gate that believes the caller to be subject.
func gateAnswer(ctx context.Context, engine *policy.Engine, subject policy.Subject, in proxy.Inbound, now time.Time) (proxy.Answer, error) {
	gate, err := proxy.New(proxy.Config{MaxTime: patience}, engine, believed(subject), nil, nil,
		func() time.Time { return now }, zap.NewNop())
	if err != nil {
		return proxy.Answer{}, err
	}
	return gate.Check(ctx, in), nil
}

// believed is an authenticator that takes its subject's word.
type believed policy.Subject

// Authenticate implements [proxy.Authenticator].
func (b believed) Authenticate(context.Context, policy.View, proxy.Credentials) (policy.Subject, error) {
	return policy.Subject(b), nil
}

// session is the subject with what its record at or above place stores.
func (a *answer) session(names names, place string) policy.Subject {
	s := policy.Subject{ID: a.Subject.ID}
	node, record := names.record(a.Subject.ID, place)
	if record == nil {
		return s
	}
	s.Type, _ = record["kind"].(string)
	if s.Type == "" {
		s.Type = "user" // N11: a record without a kind
	}
	if sso, ok := record["sso"]; ok {
		if v, err := ast.InterfaceToValue(map[string]any{"sso": sso}); err == nil {
			s.Claims, _ = v.(ast.Object)
		}
	}
	a.Subject.Type, a.Subject.Record = s.Type, node
	return s
}

// splitURL takes a URL apart as a client sends it: nothing is decoded.
func splitURL(url string) (host, path string) {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	host, path, _ = strings.Cut(url, "/")
	return host, "/" + path
}
