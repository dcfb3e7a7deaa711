package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rolegate/rolegate/cmd/rolegate/internal/strict"
	"github.com/rolegate/rolegate/proxy/identity"
)

// envPrefix begins the environment variables of settings: cache.entries is
// ROLEGATE_CACHE_ENTRIES.
const envPrefix = "ROLEGATE_"

// settings reads a config: a flag wins over the environment, that over the file,
// that over the default.
type settings struct {
	p     *program
	cfg   config
	flags []settingFlag
	file  string   // --config
	notes []string // what the file says to OPA and nobody heeds here

	name  string         // of the file that was read; "" when there was none
	lines map[string]int // of its settings
}

// settingFlag is a flag that sets one setting.
type settingFlag struct {
	path string // "grpc.addr"
	flag *pflag.Flag
}

// newSettings begins with the defaults.
func newSettings(p *program) *settings { return &settings{p: p, cfg: defaultConfig()} }

// flag makes a flag of cmd that sets the setting at path.
func (s *settings) flag(cmd *cobra.Command, path, name, short, usage string) {
	scratch := defaultConfig() // flags are read before the file, and must win over it
	leaf, ok := leafAt(&scratch, path)
	if !ok {
		return // cannot be: every path is tested
	}
	f := cmd.Flags().VarPF(&leafValue{leaf: leaf}, name, short, usage)
	if leaf.IsBool() {
		f.NoOptDefVal = "true"
	}
	s.flags = append(s.flags, settingFlag{path, f})
}

// configFlag makes the flag that names the file.
func (s *settings) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "settings in YAML (default: ./rolegate.yaml, else /etc/rolegate/rolegate.yaml)")
}

// read answers the config. Faults of the file are told with their lines. What must
// be set and is not is for the caller to ask ([config.check]).
func (s *settings) read(cmd *cobra.Command) (config, error) {
	if err := s.readFile(); err != nil {
		return config{}, err
	}
	if err := s.readEnv(); err != nil {
		return config{}, err
	}
	if err := s.readFlags(cmd); err != nil {
		return config{}, err
	}
	return s.resolved()
}

// resolved is what was read, with the habits of its profile.
func (s *settings) resolved() (config, error) {
	if s.cfg.Profile == profileOPAEnvoy && !s.given(runTests) {
		s.cfg.Loader.RunTests = false // OPA runs none
	}
	return s.cfg.profiled()
}

// runTests is a setting whose default is another one in the profile opa-envoy.
const runTests = "loader.run_tests"

// given says whether a setting is set by a flag, the environment or the file.
func (s *settings) given(path string) bool {
	if text, ok := s.p.lookup(envName(path)); ok && text != "" {
		return true
	}
	_, inFile := s.lines[path]
	return inFile || slices.ContainsFunc(s.flags, func(f settingFlag) bool { return f.path == path && f.flag.Changed })
}

// readFlags takes over the flags that were given.
func (s *settings) readFlags(cmd *cobra.Command) error {
	for _, f := range s.flags {
		if f.flag.Changed {
			if err := s.set(f.path, f.flag.Value.String()); err != nil {
				return fmt.Errorf("--%s: %w", f.flag.Name, err)
			}
		}
	}
	for _, name := range [...]string{"log-level", "log-format"} { // of every command
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			if err := s.set(strings.Replace(name, "-", ".", 1), f.Value.String()); err != nil {
				return fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	return nil
}

// readFile reads the file that was named, else the first of the usual ones that is
// there.
func (s *settings) readFile() error {
	names := []string{"rolegate.yaml", "/etc/rolegate/rolegate.yaml"}
	if s.file != "" {
		names = []string{s.file}
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && s.file == "" {
			continue
		}
		if err != nil {
			return fmt.Errorf("read settings: %w", err)
		}
		s.name = name
		doc, err := strict.Parse(name, bytes.NewReader(text))
		if err != nil {
			return err
		}
		opa := opaReader{file: name, cfg: &s.cfg, lookup: s.p.lookup}
		s.lines, err = strict.Read(name, opa.take(doc), &s.cfg)
		s.notes = opa.notes
		return errors.Join(err, errors.Join(opa.faults...))
	}
	return nil
}

// locate tells the problems of identity with the lines that they stand in.
func (s *settings) locate(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all := joined.Unwrap()
		for i := range all {
			all[i] = s.locate(all[i])
		}
		return errors.Join(all...)
	}
	problem, ok := errors.AsType[identity.Problem](err)
	if !ok || s.name == "" {
		return err
	}
	path := "identity." + problem.Field
	return strict.Fault{File: s.name, Line: s.lineOf(path), Path: path, Message: path + ": " + problem.Message}
}

// lineOf is where a setting stands, or would: the line of it, else the first line of what
// it is part of; 0 when that is not in the file.
func (s *settings) lineOf(path string) int {
	for path != "" {
		first := 0
		for setting, line := range s.lines {
			rest, ok := strings.CutPrefix(setting, path)
			if ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && (first == 0 || line < first) {
				first = line
			}
		}
		if first > 0 {
			return first
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

func (s *settings) readEnv() error {
	for _, l := range strict.Leaves(&s.cfg) {
		name := envName(l.Path)
		text, ok := s.p.lookup(name)
		if !ok || text == "" {
			continue
		}
		if err := l.Set(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// strays are variables that begin like ours, set nothing, and are so near to one of
// ours that they were probably meant to.
func (s *settings) strays() []string {
	var known, strays []string
	for _, l := range strict.Leaves(&s.cfg) {
		known = append(known, envName(l.Path))
	}
	for _, entry := range s.p.env {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || fromKubernetes(name) {
			continue
		}
		if near := strict.Nearest(name, known); near != "" {
			strays = append(strays, fmt.Sprintf("%s sets nothing (did you mean %s?)", name, near))
		}
	}
	return strays
}

// fromKubernetes says whether a variable is one that Kubernetes sets in every
// container beside a service named rolegate.
func fromKubernetes(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return strings.HasPrefix(rest, "SERVICE_") || rest == "PORT" || strings.HasPrefix(rest, "PORT_")
}

func (s *settings) set(path, text string) error {
	leaf, ok := leafAt(&s.cfg, path)
	if !ok {
		return fmt.Errorf("no setting %q", path)
	}
	return leaf.Set(text)
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

func leafAt(cfg *config, path string) (strict.Leaf, bool) {
	for _, l := range strict.Leaves(cfg) {
		if l.Path == path {
			return l, true
		}
	}
	return strict.Leaf{}, false
}

// leafValue is a setting as the value of a flag.
type leafValue struct {
	leaf strict.Leaf
	text string
}

// Set implements [pflag.Value].
func (v *leafValue) Set(text string) error {
	v.text = text
	return v.leaf.Set(text)
}

// String implements [pflag.Value].
func (v *leafValue) String() string { return v.text }

// Type implements [pflag.Value]: the word for the value in the help.
func (v *leafValue) Type() string {
	if v.leaf.IsBool() {
		return "bool"
	}
	_, word, _ := strings.Cut(v.leaf.Want(), " ")
	word, _, _ = strings.Cut(word, " ")
	return word
}
