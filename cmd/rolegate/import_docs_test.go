package main

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/cmd/rolegate/internal/strict"
	"github.com/rolegate/rolegate/loader/importer"
	"github.com/rolegate/rolegate/proxy/identity"
)

// Each system that is imported from has a page, and every configuration on it is one.
func TestImportPages(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for _, vendor := range importer.Vendors() {
		name := "docs/import/" + vendor + ".md"
		blocks := strings.Split(all[name], "```yaml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s is not there, or says nothing of settings", name)
		}
		for i, after := range blocks {
			block, _, _ := strings.Cut(after, "```")
			var cfg config
			if _, err := strict.YAML(name, strings.NewReader(block), &cfg); err != nil {
				t.Errorf("%s, block %d: %v\n%s", name, i, err, block)
				continue
			}
			if _, err := identity.New(cfg.Identity, nil, zap.NewNop()); err != nil {
				t.Errorf("%s, block %d: %v\n%s", name, i, err, block)
			}
		}
		if !strings.Contains(all["docs/import/README.md"], "("+vendor+".md)") {
			t.Errorf("docs/import/README.md does not name %s", name)
		}
	}
}
