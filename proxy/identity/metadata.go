package identity

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

const jwtAuthn = "envoy.filters.http.jwt_authn"

// metadata is the authenticator of payloads that Envoy verified. It may be used
// concurrently.
type metadata struct {
	namespace string
	key       string
	issuers   map[string]*issuer // without keys
	metrics   *metrics
}

// Authenticate implements [proxy.Authenticator]. The error is a [token.Error].
func (a *metadata) Authenticate(_ context.Context, _ policy.View, c proxy.Credentials) (policy.Subject, error) {
	if c.Metadata == nil {
		return policy.Subject{}, nil
	}
	v, found, err := c.Metadata.Metadata(a.namespace, a.key)
	if err == nil && !found {
		return policy.Subject{}, nil
	}
	var subject policy.Subject
	if err != nil {
		err = token.ErrMalformed
	} else {
		subject, err = a.subject(v)
	}
	a.metrics.credential("metadata", err)
	return subject, err
}

func (a *metadata) subject(v ast.Value) (policy.Subject, error) {
	plain, _ := ast.JSON(v) // nil, which is no object, on an error
	payload, ok := plain.(map[string]any)
	if !ok {
		return policy.Subject{}, token.ErrMalformed
	}
	name, _ := payload["iss"].(string)
	iss, ok := a.issuers[name]
	if !ok {
		return policy.Subject{}, token.ErrUnknownIssuer
	}
	_, subject, err := iss.believe(payload)
	if err != nil {
		return policy.Subject{}, err
	}
	return subject, nil
}
