// Package certs keeps the certificate of a listener, and the names of the clients that
// it lets in, as its files have them: it looks for changes, and what is broken changes
// nothing. Connections that are open stay as they are.
package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// defaultPoll is how often files are looked at: three stats cost microseconds.
	defaultPoll = time.Second
	// settled is how old a file's time of change must be before an unchanged stat is
	// taken to mean unchanged content: file systems count time in steps of up to 2 s.
	settled = 2 * time.Second
	// maxFile is the longest file that is read, in bytes.
	maxFile = 1 << 20
)

// Config is who a listener is and whom it lets in. The zero value is no TLS.
type Config struct {
	CertFile string `yaml:"cert_file"` // PEM: the certificate, and those between it and the root
	KeyFile  string `yaml:"key_file"`  // PEM: its private key
	// ClientCAFile holds, in PEM, the roots that a client's certificate must come from. ""
	// lets every client in.
	ClientCAFile string `yaml:"client_ca_file"`
	// ClientNames are the only clients let in, by a DNS name or a URI (a SPIFFE id) of
	// their certificate, compared whole. Empty: whoever the roots vouch for.
	ClientNames []string `yaml:"client_names"`
	// Poll is how often the files are looked at; 0 means 1 s.
	Poll time.Duration `yaml:"poll"`
}

// Enabled says whether there is to be TLS.
func (c Config) Enabled() bool {
	return c.CertFile != "" || c.KeyFile != "" || c.ClientCAFile != "" || len(c.ClientNames) > 0
}

func (c Config) check() error {
	switch {
	case c.CertFile == "" || c.KeyFile == "":
		return errors.New("want both cert_file and key_file")
	case len(c.ClientNames) > 0 && c.ClientCAFile == "":
		return errors.New("client_names are believed only with a client_ca_file")
	case slices.Contains(c.ClientNames, ""):
		return errors.New("client_names holds an empty name")
	case c.Poll < 0:
		return fmt.Errorf("poll is %v, want a positive time, or 0 for %v", c.Poll, defaultPoll)
	}
	return nil
}

// Certs is the certificate and the roots in use. It may be used concurrently.
type Certs struct {
	cfg     Config
	log     *zap.Logger
	current atomic.Pointer[loaded] // nil before Load

	looking sync.Mutex // held while the files are looked at; of what follows
	seen    stamps     // zero: read at the next look
	digest  [sha256.Size]byte
	problem string // that was logged last
}

// loaded is what the files held. It is immutable.
type loaded struct {
	certificate tls.Certificate
	roots       *x509.CertPool // nil: clients need no certificate
}

// New checks the configuration. Nothing is read yet.
func New(cfg Config, log *zap.Logger) (*Certs, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	return &Certs{cfg: cfg, log: log.Named("certs")}, nil
}

// Load reads the files, so that what is wrong with them ends the program before it
// listens. Once they were good, it is no error that they are not any more.
func (c *Certs) Load() error {
	err := c.look(time.Now())
	if c.current.Load() != nil {
		return nil
	}
	return err
}

// Run looks at the files until ctx ends; then it returns nil.
func (c *Certs) Run(ctx context.Context) error {
	ticks := time.NewTicker(c.cfg.Poll)
	defer ticks.Stop()
	for {
		_ = c.look(time.Now()) // it was logged
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// TLS is the configuration of a listener that speaks one of protocols (ALPN). Each new
// connection gets what is then in use; before [Certs.Load] there is none, and none is
// accepted.
func (c *Certs) TLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := c.current.Load()
			if now == nil {
				return nil, errors.New("no certificate yet")
			}
			return c.config(now, protocols), nil
		},
	}
}

func (c *Certs) config(now *loaded, protocols []string) *tls.Config {
	cfg := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   protocols,
		Certificates: []tls.Certificate{now.certificate},
		// A ticket would let a client in again without showing its certificate. Envoy's
		// connections last, so there is little to be saved.
		SessionTicketsDisabled: true,
	}
	if now.roots != nil {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, now.roots
		cfg.VerifyConnection = c.admit
	}
	return cfg
}

// admit refuses clients that the roots vouch for and that are not listed.
func (c *Certs) admit(state tls.ConnectionState) error {
	if len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return errors.New("no verified client certificate")
	}
	if len(c.cfg.ClientNames) == 0 {
		return nil
	}
	client := state.PeerCertificates[0]
	for _, uri := range client.URIs {
		if slices.Contains(c.cfg.ClientNames, uri.String()) {
			return nil
		}
	}
	for _, name := range client.DNSNames {
		if slices.Contains(c.cfg.ClientNames, name) {
			return nil
		}
	}
	c.log.Warn("a client that is not listed was turned away", zap.Strings("dns_names", client.DNSNames), zap.Stringers("uris", client.URIs))
	return errors.New("the client certificate's names are not listed")
}

// look reads the files if they may have changed, and takes what they hold into use if
// it is good.
func (c *Certs) look(now time.Time) error {
	c.looking.Lock()
	defer c.looking.Unlock()
	before, err := c.stat()
	if err == nil && before.same(c.seen) {
		return nil
	}
	c.seen = nil
	changed := false
	if err == nil {
		changed, err = c.reread()
	}
	c.report(changed, err)
	if err != nil {
		return err
	}
	// Files that changed under our eyes, or a moment ago, are read again next time.
	if after, err := c.stat(); err == nil && after.same(before) && after.settled(now) {
		c.seen = after
	}
	return nil
}

func (c *Certs) report(changed bool, err error) {
	if err != nil {
		if c.problem != err.Error() {
			c.problem = err.Error()
			c.log.Error("certificate files are of no use", zap.Error(err), zap.Bool("keeps_last_good", c.current.Load() != nil))
		}
		return
	}
	if c.problem != "" && !changed {
		c.log.Info("certificate files are well again")
	}
	c.problem = ""
	if changed {
		leaf := c.current.Load().certificate.Leaf
		c.log.Info("certificate taken into use", zap.String("cert_file", c.cfg.CertFile), zap.Time("not_after", leaf.NotAfter))
	}
}

// reread takes what the files hold into use, all of it or nothing.
func (c *Certs) reread() (changed bool, err error) {
	var docs [3][]byte
	sum := sha256.New()
	for i, path := range c.paths() {
		if docs[i], err = read(path); err != nil {
			return false, err
		}
		_, _ = fmt.Fprintf(sum, "%d:", len(docs[i]))
		_, _ = sum.Write(docs[i])
	}
	digest := [sha256.Size]byte(sum.Sum(nil))
	if c.current.Load() != nil && digest == c.digest {
		return false, nil
	}
	next := &loaded{}
	if next.certificate, err = tls.X509KeyPair(docs[0], docs[1]); err != nil {
		return false, fmt.Errorf("%s with %s: %w", c.cfg.CertFile, c.cfg.KeyFile, err)
	}
	if c.cfg.ClientCAFile != "" {
		next.roots = x509.NewCertPool()
		if !next.roots.AppendCertsFromPEM(docs[2]) {
			return false, fmt.Errorf("%s: holds no certificate in PEM", c.cfg.ClientCAFile)
		}
	}
	c.digest = digest
	c.current.Store(next)
	return true, nil
}

// paths are the files that are read.
func (c *Certs) paths() []string {
	paths := []string{c.cfg.CertFile, c.cfg.KeyFile}
	if c.cfg.ClientCAFile != "" {
		paths = append(paths, c.cfg.ClientCAFile)
	}
	return paths
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// stamps are the stats of the files, in order; nil is none.
type stamps []fs.FileInfo

func (c *Certs) stat() (stamps, error) {
	var all stamps
	for _, path := range c.paths() {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return all, nil
}

func (s stamps) same(other stamps) bool {
	return slices.EqualFunc(s, other, func(a, b fs.FileInfo) bool {
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
	})
}

func (s stamps) settled(now time.Time) bool {
	return !slices.ContainsFunc(s, func(info fs.FileInfo) bool { return now.Sub(info.ModTime()) <= settled })
}
