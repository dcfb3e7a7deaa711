package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

const (
	// shortestKey is below what anybody should use (128 bits are 22 characters of base64),
	// and above what can be tried out.
	shortestKey = 16
	longestKey  = 512
)

// apiKey is the authenticator of keys that the bundles list by their digest. It may be
// used concurrently.
type apiKey struct {
	where   Place // of one member
	prefix  string
	metrics *metrics
}

// Authenticate implements [proxy.Authenticator]. The error is a [token.Error].
func (a *apiKey) Authenticate(_ context.Context, view policy.View, c proxy.Credentials) (policy.Subject, error) {
	text, found, err := a.where.find(c)
	if err == nil && (!found || !strings.HasPrefix(text, a.prefix)) {
		return policy.Subject{}, nil
	}
	var subject policy.Subject
	if err == nil {
		subject, err = keyOwner(view, text)
	}
	a.metrics.credential("api_key", err)
	return subject, err
}

// keyOwner is whom a key stands for in the pinned snapshot. Only the key's digest is
// looked up, and of that nothing can be learned by timing: whoever does not know a key
// cannot choose its digest.
func keyOwner(view policy.View, key string) (policy.Subject, error) {
	switch {
	case len(key) > longestKey:
		return policy.Subject{}, token.ErrTooLarge
	case len(key) < shortestKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return policy.Subject{}, token.ErrMalformed
	}
	snapshot := view.Snapshot()
	if snapshot == nil {
		return policy.Subject{}, token.ErrUnknownAPIKey
	}
	rbac, _ := snapshot.Data()["rbac"].(map[string]any)
	owners, _ := rbac["api_keys"].(map[string]any)
	digest := sha256.Sum256([]byte(key))
	owner, ok := owners[hex.EncodeToString(digest[:])].(map[string]any)
	if !ok {
		return policy.Subject{}, token.ErrUnknownAPIKey
	}
	return readOwner(owner)
}

// readOwner reads an entry of data.rbac.api_keys. What is not of its form is refused, not
// left out: a key without its end would have none.
func readOwner(owner map[string]any) (policy.Subject, error) {
	id, _ := owner["id"].(string)
	if id == "" || strings.ContainsFunc(id, unicode.IsControl) {
		return policy.Subject{}, token.ErrBadSubject
	}
	kind := "api_key"
	if v := owner["kind"]; v != nil {
		if kind, _ = v.(string); !isKind(kind) {
			return policy.Subject{}, token.ErrBadClaim
		}
	}
	claims := members{}
	switch expires := owner["expires"].(type) {
	case nil:
	case json.Number:
		if _, err := expires.Int64(); err != nil {
			return policy.Subject{}, token.ErrBadTime
		}
		claims.add("exp", ast.Number(expires))
	default:
		return policy.Subject{}, token.ErrBadTime
	}
	switch tenant := owner["tenant"].(type) {
	case nil:
	case string:
		claims.add("tenant", ast.String(tenant))
	default:
		return policy.Subject{}, token.ErrBadClaim
	}
	return policy.Subject{ID: id, Type: kind, Claims: claims.object()}, nil
}
