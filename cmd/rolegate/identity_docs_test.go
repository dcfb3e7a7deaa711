package main

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/cmd/rolegate/internal/strict"
	"github.com/rolegate/rolegate/proxy/identity"
)

// TestIdentityPage: every configuration on the page about identity is one.
func TestIdentityPage(t *testing.T) {
	const page = "../../docs/identity.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for i, after := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(after, "```")
		var cfg config
		if _, err := strict.YAML(page, strings.NewReader(block), &cfg); err != nil {
			t.Errorf("block %d: %v\n%s", i, err, block)
			continue
		}
		if _, err := identity.New(cfg.Identity, nil, zap.NewNop()); err != nil {
			t.Errorf("block %d: %v\n%s", i, err, block)
		}
		for _, a := range cfg.Identity.Authenticators {
			kinds["jwt"] = kinds["jwt"] || a.JWT != nil
			kinds["mtls"] = kinds["mtls"] || a.MTLS != nil
			kinds["api_key"] = kinds["api_key"] || a.APIKey != nil
			kinds["metadata"] = kinds["metadata"] || a.Metadata != nil
			kinds["headers"] = kinds["headers"] || a.Headers != nil
		}
		kinds["tls"] = kinds["tls"] || cfg.GRPC.TLS.Enabled() && cfg.HTTP.TLS.Enabled()
	}
	for kind, shown := range kinds {
		if !shown {
			t.Errorf("the page shows no %s", kind)
		}
	}
	if len(kinds) != 6 {
		t.Errorf("the page has no block that is read: %v", kinds)
	}
}
