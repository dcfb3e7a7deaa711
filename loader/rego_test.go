package loader_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/policy"
)

// TestOldRego: a bundle as people have it, alone and for OPA before 1.0, is read when
// its manifest says so, when the operator says so, and not else. What the manifest says
// wins.
func TestOldRego(t *testing.T) {
	t.Parallel()
	const (
		old = "package envoy.authz\n\ndefault allow = false\n\nallow {\n\tinput.parsed_path[0] == \"public\"\n}\n"
		now = "package envoy.authz\n\ndefault allow := false\n\nallow if input.parsed_path[0] == \"public\"\n"
	)
	for name, c := range map[string]struct {
		policy, manifest string
		v0               bool
		fault            string // "" when it decides
	}{
		"nobody says so":      {policy: old, fault: "rego_v0"},
		"the operator":        {policy: old, v0: true},
		"the manifest":        {policy: old, manifest: `{"rego_version": 0}`},
		"new, says operator":  {policy: now, v0: true, fault: "rego_parse_error"},
		"new, says manifest":  {policy: now, v0: true, manifest: `{"rego_version": 1}`},
		"a file":              {policy: old, manifest: `{"rego_version": 1, "file_rego_versions": {"/authz/*.rego": 0}}`},
		"another file":        {policy: old, manifest: `{"file_rego_versions": {"/other/*.rego": 0}}`, fault: "rego_v0"},
		"a pattern of braces": {policy: old, manifest: `{"file_rego_versions": {"/{a,b}.rego": 0}}`, fault: "bad_manifest"},
		"a third version":     {policy: old, manifest: `{"rego_version": 2}`, fault: "bad_manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			files := map[string]string{"authz/policy.rego": c.policy}
			if c.manifest != "" {
				files[".manifest"] = c.manifest
			}
			for file, text := range files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			set, err := loader.Open(t.Context(), loader.Config{Dir: dir, Entrypoint: "envoy/authz/allow", Lenient: true, V0: c.v0})
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("got %v, want %s", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			e, err := policy.NewEngine(policy.Config{Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			e.Install(set.Snapshot)
			if d, err := e.View().Decide(t.Context(), "envoy/authz/allow", policy.Document{}, time.UnixMilli(0)); err != nil || d.Effect != policy.Deny {
				t.Errorf("got %+v, %v, want a denial", d, err)
			}
		})
	}
}
