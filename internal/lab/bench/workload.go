package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rolegate/rolegate/internal/lab/token"
)

// The workload. A change of any of these makes earlier figures incomparable.
const (
	tenants        = 10
	usersPerTenant = 1000
	sessions       = 2000  // users that have a token and ask
	questions      = 20000 // distinct; all fit into the cache
	allowedShare   = 0.61
	requestBytes   = 727
	requestHeaders = 14

	issuer   = "https://idp"
	audience = "api"
	keyID    = "k1"
	host     = "api.example.com"
)

// resources times actions are the 50 routes.
func resources() []string {
	return []string{"documents", "invoices", "orders", "projects", "reports", "teams", "users", "keys", "webhooks", "exports"}
}

// action is one thing to do to a resource, and how HTTP says it.
type action struct {
	name, method string
	item         bool // the path names one item
}

func actions() []action {
	return []action{
		{name: "list", method: "GET"},
		{name: "create", method: "POST"},
		{name: "read", method: "GET", item: true},
		{name: "update", method: "PUT", item: true},
		{name: "delete", method: "DELETE", item: true},
	}
}

// rolesOf is who holds what: half of a tenant views, three in ten edit, one in ten
// does the billing, one in ten owns; every seventh is frozen.
func rolesOf(user int) []string {
	var roles []string
	switch user % 10 {
	case 0, 1, 2, 3, 4:
		roles = []string{"viewer"}
	case 5, 6, 7:
		roles = []string{"viewer", "editor"}
	case 8:
		roles = []string{"billing"}
	default:
		roles = []string{"owner"}
	}
	if user%7 == 0 {
		roles = append(roles, "frozen")
	}
	return roles
}

// allowed is what the roles below mean, said once more by hand: every answer is
// compared with it, so that nothing wrong is measured.
func allowed(user int, resource, action string) bool {
	roles := rolesOf(user)
	if slices.Contains(roles, "frozen") && action == "delete" {
		return false
	}
	return slices.ContainsFunc(roles, func(role string) bool {
		switch role {
		case "viewer":
			return action == "list" || action == "read"
		case "editor":
			return action == "create" || action == "update"
		case "billing":
			return resource == "invoices"
		default:
			return role == "owner"
		}
	})
}

// object is JSON's.
type object = map[string]any

// writeBundle writes the roles, the members and the routes as a bundle.
func writeBundle(dir string) error {
	held := object{".": true}
	roles := object{
		"viewer":  object{"owner": "@root", "key": "viewer", "allow": object{"*": object{"list": held, "read": held}}},
		"editor":  object{"owner": "@root", "key": "editor", "allow": object{"*": object{"create": held, "update": held}}},
		"billing": object{"owner": "@root", "key": "billing", "allow": object{"invoices": object{"*": held}}},
		"owner":   object{"owner": "@root", "key": "owner", "allow": object{"*": object{"*": held}}},
		"frozen":  object{"owner": "@root", "key": "frozen", "deny": object{"*": object{"delete": held}}},
	}
	nodes, members := object{"@root": object{}}, object{}
	for t := range tenants {
		nodes[tenant(t)] = object{}
		of := object{}
		for u := range usersPerTenant {
			grants := object{}
			for _, role := range rolesOf(u) {
				grants[role] = []any{}
			}
			of[subject(u)] = object{"kind": "user", "email": subject(u) + "@" + tenant(t) + ".example", "grants": grants}
		}
		members[tenant(t)] = of
	}
	var routes []any
	for _, resource := range resources() {
		for _, a := range actions() {
			path := "/v1/{tenant}/" + resource
			if a.item {
				path += "/{id}"
			}
			routes = append(routes, object{
				"id": resource + "." + a.name, "methods": []string{a.method}, "path": path,
				"resource": resource, "action": a.name, "tenant": "{tenant}", "at": "." + resource,
			})
		}
	}
	return write(dir, map[string]any{
		".manifest":                    object{"revision": "bench", "roots": []string{"rbac/roles", "rbac/tenants", "rbac/issuers", "rbac/members", "routes"}, "rego_version": 1},
		"rbac/roles/data.json":         roles,
		"rbac/tenants/data.json":       nodes,
		"rbac/issuers/data.json":       object{issuer: object{"authority": "bundle"}},
		"rbac/members/data.json":       members,
		"routes/application/data.json": object{"hosts": []string{host}, "prefixes": []string{"/v1/"}, "routes": routes},
	})
}

func write(dir string, files map[string]any) error {
	for name, content := range files {
		raw, err := json.Marshal(content)
		if err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func tenant(n int) string  { return fmt.Sprintf("t-%02d", n) }
func subject(n int) string { return fmt.Sprintf("u-%04d", n) }

// question is one request with its answer.
type question struct {
	method, path, token string
	allow               bool
}

// ask makes the questions: the same ones for the same seed.
func ask(idp token.Issuer, seed uint64) ([]question, error) {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a workload, not a secret
	exp := time.Now().Add(12 * time.Hour).Unix()
	tokens := make([]string, sessions)
	for i := range tokens {
		signed, err := idp.Sign(object{"sub": subject(i % usersPerTenant), "aud": audience, "exp": exp, "tenant": tenant(i / usersPerTenant)})
		if err != nil {
			return nil, err
		}
		tokens[i] = signed
	}
	all := make([]question, questions)
	for i := range all {
		want := random.Float64() < allowedShare
		for {
			session, resource := random.IntN(sessions), resources()[random.IntN(len(resources()))]
			a := actions()[random.IntN(len(actions()))]
			if allowed(session%usersPerTenant, resource, a.name) != want {
				continue
			}
			path := "/v1/" + tenant(session/usersPerTenant) + "/" + resource
			if a.item {
				path += "/" + fmt.Sprintf("%02d", random.IntN(100))
			}
			all[i] = question{method: a.method, path: path, token: tokens[session], allow: want}
			break
		}
	}
	return all, nil
}

// requestID stands in a request until a unique one is written over it.
const requestID = "00000000-0000-4000-8000-000000000000"

// checkRequest is what Envoy sends for a question with encode_raw_headers, padded to
// the size of the workload.
func checkRequest(q question) ([]byte, error) {
	for pad := 0; ; pad++ {
		raw, err := proto.Marshal(message(q, pad))
		if err != nil {
			return nil, fmt.Errorf("encode a CheckRequest: %w", err)
		}
		if len(raw) == requestBytes {
			return raw, nil
		}
		if len(raw) > requestBytes {
			return nil, fmt.Errorf("a CheckRequest of %s %s has %d bytes, and none of %d can be made", q.method, q.path, len(raw), requestBytes)
		}
		pad = max(pad, requestBytes-len(raw)-8) // lengths of lengths: the last steps are small
	}
}

func message(q question, pad int) *authv3.CheckRequest {
	headers := [][2]string{
		{":authority", host},
		{":method", q.method},
		{":path", q.path},
		{":scheme", "https"},
		{"accept", "*/*"},
		{"accept-encoding", "gzip"},
		{"authorization", "Bearer " + q.token},
		{"dnt", "1"},
		{"priority", "u=1"},
		{"user-agent", "c" + strings.Repeat("x", pad)},
		{"x-forwarded-for", "10.0.0.9"},
		{"x-forwarded-proto", "https"},
		{"sec-gpc", "1"},
		{"x-request-id", requestID},
	}
	raw := &corev3.HeaderMap{}
	for _, h := range headers {
		raw.Headers = append(raw.Headers, &corev3.HeaderValue{Key: h[0], RawValue: []byte(h[1])})
	}
	address := func(ip string, port uint32) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
		}}}}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:      address("10.0.0.9", 51000),
		Destination: address("10.0.0.1", 10000),
		Request: &authv3.AttributeContext_Request{
			Time: &timestamppb.Timestamp{Seconds: 1_767_225_600, Nanos: 123_456_000},
			Http: &authv3.AttributeContext_HttpRequest{
				Id: "1", Method: q.method, Path: q.path, Host: host, Scheme: "https", Protocol: "HTTP/1.1", HeaderMap: raw,
			},
		},
	}}
}

// number writes n into the request id at offset at, as hexadecimal digits.
func number(raw []byte, at int, n uint64) {
	const digits = "0123456789abcdef"
	for i := at + len(requestID) - 1; i >= at+len(requestID)-12; i-- {
		raw[i] = digits[n&15]
		n >>= 4
	}
}

var errNoRequestID = errors.New("no request id in the request")

// requestIDAt finds where the request id stands.
func requestIDAt(raw []byte) (int, error) {
	if i := bytes.Index(raw, []byte(requestID)); i >= 0 {
		return i, nil
	}
	return 0, errNoRequestID
}
