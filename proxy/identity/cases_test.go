package identity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/token"
)

// cases runs f for every txtar file of a folder. Its answer is compared with the
// last part, or with -update becomes it.
func cases(t *testing.T, folder string, f func(t *testing.T, parts map[string][]byte) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string][]byte{}
			for _, part := range archive.Files {
				parts[part.Name] = part.Data
			}
			got := f(t, parts)
			last := &archive.Files[len(archive.Files)-1]
			if updating() {
				last.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil { //nolint:gosec // a test file
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(last.Data), got); diff != "" {
				t.Errorf("%s, %s (-want +got), -update rewrites it:\n%s", file, last.Name, diff)
			}
		})
	}
}

// strictly reads YAML as the server does: an unknown key is an error.
func strictly(t *testing.T, doc []byte, to any) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(doc))
	decoder.KnownFields(true)
	if err := decoder.Decode(to); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%v\n%s", err, doc)
	}
}

// TestClaims maps the payload of a well signed token: issuer.yaml is what a
// configuration says beside the key and the audience.
func TestClaims(t *testing.T) {
	w := newWorld(t)
	cases(t, "claims", func(t *testing.T, parts map[string][]byte) string {
		t.Helper()
		issuer := identity.Issuer{Issuer: issuerURL, JWKSFile: w.path("jwks.json"), Audiences: []string{audience}}
		strictly(t, parts["issuer.yaml"], &issuer)
		cfg := identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: []identity.Issuer{issuer}}}}}
		id := load(t, cfg, nil, zap.NewNop())
		text, err := w.ed.SignPayload(parts["token.json"])
		if err != nil {
			t.Fatal(err)
		}
		subject, err := authenticate(t, id, bearer(text))
		if err != nil {
			return err.Error() + "\n"
		}
		return document(t, subject)
	})
}

// document is input.subject, in JSON with sorted names.
func document(t *testing.T, subject policy.Subject) string {
	t.Helper()
	v, ok := subject.Value()
	if !ok {
		return "nobody\n"
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(v.String()), "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}

// TestConfig is what operators are told.
func TestConfig(t *testing.T) {
	cases(t, "config", func(t *testing.T, parts map[string][]byte) string {
		t.Helper()
		var cfg identity.Config
		strictly(t, parts["identity.yaml"], &cfg)
		if _, err := identity.New(cfg, nil, zap.NewNop()); err != nil {
			return err.Error() + "\n"
		}
		return "ok\n"
	})
}

// TestPresets checks that every mapping that ships can be printed, read back as it
// is printed, and used.
func TestPresets(t *testing.T) {
	names := identity.Presets()
	want := []string{"forgerock", "frontegg", "oidc", "rolegate", "stytch", "waltid", "wristband"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("Presets (-want +got):\n%s", diff)
	}
	for _, name := range names {
		text, err := identity.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		var printed identity.Claims
		strictly(t, text, &printed)
		printed.Preset = "none"
		for how, claims := range map[string]identity.Claims{"named": {Preset: name}, "printed": printed} {
			if name == "waltid" {
				claims.SSO.Connection = "keycloak"
			}
			cfg := identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: []identity.Issuer{
				{Issuer: issuerURL, JWKSFile: "jwks.json", Audiences: []string{audience}, Claims: claims},
			}}}}}
			if _, err := identity.New(cfg, nil, zap.NewNop()); err != nil {
				t.Errorf("preset %s, %s: %v", name, how, err)
			}
		}
	}
	if _, err := identity.Preset("okta"); err == nil || !strings.Contains(fmt.Sprint(err), "frontegg") {
		t.Errorf("unknown preset: got error %v, want one that names those there are", err)
	}
}

// TestMappings is what mappings make of payloads, and of those that do not fit them.
func TestMappings(t *testing.T) {
	raw, err := os.ReadFile("testdata/mappings.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name        string
		Claims      identity.Claims
		Token, Want string
	}
	strictly(t, raw, &all)
	w := newWorld(t)
	for _, c := range all {
		id := load(t, identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: []identity.Issuer{
			{Issuer: issuerURL, PEMFile: w.path("ed.pem"), AnyAudience: true, Claims: c.Claims},
		}}}}}, nil, zap.NewNop())
		text, err := w.ed.SignPayload([]byte(`{"iss":"` + issuerURL + `","exp":0,` + c.Token[1:]))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		subject, err := authenticate(t, id, bearer(text))
		if bad, ok := errors.AsType[token.Error](err); ok || err != nil {
			if string(bad) != c.Want {
				t.Errorf("%s: claims %+v\n got error %v\nwant %s", c.Name, c.Claims, err, c.Want)
			}
			continue
		}
		want, err := ast.ValueFromReader(strings.NewReader(c.Want))
		if err != nil {
			t.Errorf("%s: got %v, want %s", c.Name, subject, c.Want)
			continue
		}
		if got, _ := subject.Value(); got.Compare(withEvery(want.(ast.Object))) != 0 {
			t.Errorf("%s: claims %+v\n got %v\nwant %v, and iss and exp", c.Name, c.Claims, got, want)
		}
	}
}

// withEvery adds the claims of every case.
func withEvery(subject ast.Object) ast.Object {
	claims := ast.NewObject(
		[2]*ast.Term{ast.StringTerm("iss"), ast.StringTerm(issuerURL)},
		[2]*ast.Term{ast.StringTerm("exp"), ast.IntNumberTerm(0)},
	)
	if own := subject.Get(ast.StringTerm("claims")); own != nil {
		claims, _ = claims.Merge(own.Value.(ast.Object))
	}
	subject.Insert(ast.StringTerm("claims"), ast.NewTerm(claims))
	return subject
}
