package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/rolegate/rolegate/cmd/rolegate/internal/strict"
)

// readSettings reads settings as `serve` does, in an own folder.
func readSettings(t *testing.T, file string, env, args []string) (config, *settings, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		if err := os.WriteFile("rolegate.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newSettings(&program{env: env})
	var got config
	var readErr error
	cmd := &cobra.Command{RunE: func(cmd *cobra.Command, _ []string) error {
		got, readErr = s.read(cmd)
		return nil
	}}
	s.configFlag(cmd)
	s.flag(cmd, "admin.addr", "admin-addr", "", "")
	s.flag(cmd, "cache.negative", "cache-negative", "", "")
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	return got, s, readErr
}

// A flag wins over the environment, that over the file, that over the default.
func TestSettingsOrder(t *testing.T) {
	const file = "admin: {addr: file}\ncache: {negative: false}\n"
	for _, c := range []struct {
		name      string
		file      string
		env, args []string
		addr      string
		negative  bool
	}{
		{"default", "", nil, nil, "", true},
		{"file", file, nil, nil, "file", false},
		{"env", file, []string{"ROLEGATE_ADMIN_ADDR=env", "ROLEGATE_CACHE_NEGATIVE=true"}, nil, "env", true},
		{"empty env is none", file, []string{"ROLEGATE_ADMIN_ADDR="}, nil, "file", false},
		{"flag", file, []string{"ROLEGATE_ADMIN_ADDR=env"}, []string{"--admin-addr", "flag", "--cache-negative"}, "flag", true},
		{"flag that says no", "", nil, []string{"--cache-negative=false"}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := readSettings(t, c.file, c.env, c.args)
			if err != nil {
				t.Fatal(err)
			}
			if got.Admin.Addr != c.addr || got.Cache.Negative != c.negative {
				t.Errorf("got admin.addr %q and cache.negative %v, want %q and %v, of %+v",
					got.Admin.Addr, got.Cache.Negative, c.addr, c.negative, c)
			}
		})
	}
}

func TestSettingsFileThatIsNamedMustBeThere(t *testing.T) {
	_, _, err := readSettings(t, "", nil, []string{"--config", filepath.Join("no", "file")})
	if err == nil {
		t.Error("got no error, of a file that is not there")
	}
}

// Variables that Kubernetes sets for a service named rolegate are none of ours.
func TestStrays(t *testing.T) {
	_, s, err := readSettings(t, "", []string{
		"ROLEGATE_PORT=tcp://10.0.0.1:9191", "ROLEGATE_SERVICE_HOST=10.0.0.1", "ROLEGATE_SERVICE_PORT=9191",
		"ROLEGATE_PORT_9191_TCP_ADDR=10.0.0.1", "ROLEGATE_GRCP_ADDR=:1", "ROLEGATE_ADMIN_ADDR=x", "HOME=/",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ROLEGATE_GRCP_ADDR sets nothing (did you mean ROLEGATE_GRPC_ADDR?)"}
	if diff := cmp.Diff(want, s.strays()); diff != "" {
		t.Errorf("strays (-want +got):\n%s", diff)
	}
}

// Every setting that a flag names exists, and no two settings share a variable.
func TestSettingsNames(t *testing.T) {
	cfg := defaultConfig()
	paths := map[string]string{}
	for _, l := range strict.Leaves(&cfg) {
		name := envName(l.Path)
		if other, taken := paths[name]; taken {
			t.Errorf("%s sets both %s and %s", name, other, l.Path)
		}
		paths[name] = l.Path
	}
	root := (&program{}).rootCommand()
	for command, flags := range map[string][]string{
		"serve":       {"bundle-dir", "grpc-addr", "http-addr", "drain-wait", "admin-addr", "decision-log", "cache-entries", "config"},
		"dev":         {"dir", "grpc-addr", "admin-addr", "listen"},
		"healthcheck": {"admin-addr", "config"},
	} {
		cmd, _, err := root.Find([]string{command})
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range flags {
			if cmd.Flags().Lookup(flag) == nil {
				t.Errorf("%s has no flag --%s: its setting does not exist", command, flag)
			}
		}
	}
}
