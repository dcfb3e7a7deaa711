package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rolegate/rolegate/bundles/demo"
	"github.com/rolegate/rolegate/proxy/identity"
	"github.com/rolegate/rolegate/proxy/identity/issue"
)

// demoAudience is the aud of the demo's tokens.
const demoAudience = "rolegate-demo"

// demoFolder is the folder of the demo: a bundle, and below .dev, which no bundle
// holds, the key that signs the tokens of the people there.
type demoFolder struct{ dir string }

func (d demoFolder) keyFile() string    { return filepath.Join(d.dir, ".dev", "key.pem") }
func (d demoFolder) jwksFile() string   { return filepath.Join(d.dir, ".dev", "jwks.json") }
func (d demoFolder) peopleFile() string { return filepath.Join(d.dir, ".dev", "people.json") }

// prepare writes the demo unless it is there. A folder with anything else in it is
// left alone.
func (d demoFolder) prepare() (wrote bool, err error) {
	entries, err := os.ReadDir(d.dir)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("demo bundle: %w", err)
	case len(entries) == 0:
		if err := d.write(); err != nil {
			return false, fmt.Errorf("write the demo bundle: %w", err)
		}
		wrote = true
	}
	if _, err := os.Stat(d.peopleFile()); err != nil {
		return false, hint(fmt.Errorf("%s is not the demo's: %w", d.dir, err), "--dir names another folder; one that is not there is made")
	}
	return wrote, d.prepareKey()
}

// write makes the folder whole or not at all.
func (d demoFolder) write() error {
	temp, err := os.MkdirTemp(filepath.Dir(d.dir), "."+filepath.Base(d.dir)+"-*")
	if err != nil {
		return err
	}
	err = errors.Join(
		os.CopyFS(temp, demo.Files()),
		os.Chmod(temp, 0o755),
		os.Chmod(filepath.Join(temp, ".dev"), 0o700),
	)
	if err == nil {
		err = os.Rename(temp, d.dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// prepareKey makes the key unless there is one, and publishes it.
func (d demoFolder) prepareKey() error {
	key, err := d.key()
	if errors.Is(err, fs.ErrNotExist) {
		key, err = d.makeKey()
	}
	if err != nil {
		return fmt.Errorf("key of the demo: %w", err)
	}
	set, err := issue.JWKS(key)
	if err != nil {
		return fmt.Errorf("key of the demo: %w", err)
	}
	return os.WriteFile(d.jwksFile(), set, 0o644)
}

func (d demoFolder) makeKey() (*issue.Key, error) {
	key, err := issue.NewKey()
	if err != nil {
		return nil, err
	}
	secret, err := key.PEM()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.keyFile(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(secret)
	return key, errors.Join(err, f.Close())
}

func (d demoFolder) key() (*issue.Key, error) {
	secret, err := os.ReadFile(d.keyFile())
	if err != nil {
		return nil, err
	}
	return issue.ParsePEM(secret)
}

// people are the claims of each person's token, by name.
func (d demoFolder) people() (map[string]map[string]any, error) {
	text, err := os.ReadFile(d.peopleFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(fmt.Errorf("no demo in %s", d.dir), "`rolegate dev` writes it; --dir says where it is")
	}
	if err != nil {
		return nil, fmt.Errorf("people of the demo: %w", err)
	}
	var people map[string]map[string]any
	if err := json.Unmarshal(text, &people); err != nil {
		return nil, fmt.Errorf("people of the demo: %s: %w", d.peopleFile(), err)
	}
	return people, nil
}

// token signs a token for a person.
func (d demoFolder) token(name string, now time.Time, life time.Duration) (string, error) {
	people, err := d.people()
	if err != nil {
		return "", err
	}
	person, ok := people[name]
	if !ok {
		names := slices.Sorted(maps.Keys(people))
		return "", unknownName("person", name, names, "there are "+strings.Join(names, ", "))
	}
	key, err := d.key()
	if err != nil {
		return "", fmt.Errorf("key of the demo: %w", err)
	}
	claims := map[string]any{"email_verified": true}
	maps.Copy(claims, person)
	maps.Copy(claims, map[string]any{
		"sub": name, "aud": demoAudience, "iat": now.Unix(), "exp": now.Add(life).Unix(),
	})
	return key.Sign(claims)
}

// identity believes the issuers of all people, by the demo's key.
func (d demoFolder) identity() (identity.Config, error) {
	people, err := d.people()
	if err != nil {
		return identity.Config{}, err
	}
	names := map[string]bool{}
	for name, claims := range people {
		iss, ok := claims["iss"].(string)
		if !ok {
			return identity.Config{}, fmt.Errorf("people of the demo: %s: %q has no iss", d.peopleFile(), name)
		}
		names[iss] = true
	}
	var issuers []identity.Issuer
	for _, iss := range slices.Sorted(maps.Keys(names)) {
		issuers = append(issuers, identity.Issuer{
			Issuer: iss, JWKSFile: d.jwksFile(), Audiences: []string{demoAudience},
			Claims: identity.Claims{Preset: "rolegate"},
		})
	}
	return identity.Config{Authenticators: []identity.Authenticator{{JWT: &identity.JWT{Issuers: issuers}}}}, nil
}
