package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rolegate/rolegate/internal/lab/envoy"
)

// TestPathParameters: to rolegate, what stands behind a semicolon is a part of a name. With
// the README's variation for applications that cut it off, none of it arrives, allowed or not.
func TestPathParameters(t *testing.T) {
	s := start(t, options{edit: refuseParameters})
	signed, err := s.token("kim", nil) // who may read everything but the vault
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		"/v1/acme/documents/1":                http.StatusOK,
		"/v1/acme/documents/1?a=b;c=d":        http.StatusOK,
		"/v1/acme/documents/1%3ba":            http.StatusOK, // nobody cuts off what is escaped
		"/v1/acme/documents/1;a=b":            http.StatusBadRequest,
		"/v1/acme/documents/vault":            http.StatusForbidden,
		"/v1/acme/documents/vault;":           http.StatusBadRequest,
		"/v1/acme/documents/vault;a=b":        http.StatusBadRequest,
		"/v1/acme;x/documents/vault":          http.StatusForbidden, // of another tenant
		"/v1/acme/documents/vault;a=b?c=d":    http.StatusBadRequest,
		"/v1/acme/documents;a/vault;b/../1;c": http.StatusForbidden, // no route
	} {
		before := s.app.Served()
		got, err := s.raw(t.Context(), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", target, signed))
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		if reached := s.app.Served() > before; got.status != want || reached != (want == http.StatusOK) {
			t.Errorf("%s is %d, reached the application: %t, want %d", target, got.status, reached, want)
		}
	}
}

// refuseParameters is the variation of the README that refuses them.
func refuseParameters(c *envoy.Config) error {
	root, err := envoy.Root()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy", "envoy", "README.md"))
	if err != nil {
		return err
	}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		if block, _, _ = strings.Cut(block, "```"); strings.Contains(block, "direct_response") {
			const host = manager + "route_config/virtual_hosts/0"
			merged := map[string]any{}
			return errors.Join(c.Get(host, &merged), yaml.Unmarshal([]byte(block), &merged), c.Set(host, merged))
		}
	}
	return errors.New("the README has no such variation")
}
