package certs_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/proxy/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	pair := a.issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// issue signs a template; the first one signs itself.
func (a *authority) issue(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) server(t *testing.T) tls.Certificate {
	t.Helper()
	return a.issue(t, &x509.Certificate{DNSNames: []string{"rolegate"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client(t *testing.T, uri string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if strings.Contains(uri, "://") {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = []*url.URL{u}
	} else {
		template.DNSNames = []string{uri}
	}
	return a.issue(t, template)
}

func (a *authority) pem() []byte { return block("CERTIFICATE", a.cert.Raw) }

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// site is a folder with the files of a listener.
type site struct{ certs.Config }

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	return &site{certs.Config{
		CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), Poll: 2 * time.Millisecond,
	}}
}

func (s *site) put(t *testing.T, pair tls.Certificate) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.KeyFile, block("PRIVATE KEY", der))
	write(t, s.CertFile, block("CERTIFICATE", pair.Certificate[0]))
}

func (s *site) roots(t *testing.T, a *authority) {
	t.Helper()
	s.ClientCAFile = filepath.Join(filepath.Dir(s.CertFile), "ca.crt")
	write(t, s.ClientCAFile, a.pem())
}

// write writes in place: for a moment half of it may be seen.
func write(t *testing.T, path string, doc []byte) {
	t.Helper()
	if err := os.WriteFile(path, doc, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve echoes lines at an address, and follows the files, until the test ends.
func (s *site) serve(t *testing.T, log *zap.Logger) (addr string) {
	t.Helper()
	c, err := certs.New(s.Config, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Load(); err != nil {
		t.Fatal(err)
	}
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := tls.NewListener(plain, c.TLS("h2"))
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ran, listener.Close()); err != nil {
			t.Error(err)
		}
	})
	return plain.Addr().String()
}

// connection is one that a client keeps.
type connection struct {
	*tls.Conn
	lines *bufio.Reader
}

// dial connects, and hears an echo: with TLS 1.3 a client learns late that it was
// turned away.
func dial(t *testing.T, addr string, roots *authority, own ...tls.Certificate) (*connection, error) {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: roots.pool(), ServerName: "rolegate", Certificates: own, NextProtos: []string{"h2"}}}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &connection{conn.(*tls.Conn), bufio.NewReader(conn)}
	t.Cleanup(func() { _ = c.Close() })
	err = c.echo()
	return c, err
}

func (c *connection) echo() error {
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	line, err := c.lines.ReadString('\n')
	if err == nil && line != "hello\n" {
		return errors.New("another echo")
	}
	return err
}

func (c *connection) serial() string {
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const patience = time.Minute
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

// TestRotation: new connections are made with the new certificate, the ones that are
// open go on, and a pair that does not belong together changes nothing.
func TestRotation(t *testing.T) {
	ca := newAuthority(t)
	s := newSite(t)
	first, second := ca.server(t), ca.server(t)
	s.put(t, first)
	core, logs := observer.New(zapcore.InfoLevel)
	addr := s.serve(t, zap.New(core))
	kept, err := dial(t, addr, ca)
	if err != nil || kept.serial() != first.Leaf.SerialNumber.String() || kept.ConnectionState().NegotiatedProtocol != "h2" {
		t.Fatalf("the first connection: %v", err)
	}
	serialNow := func() string {
		c, err := dial(t, addr, ca)
		if err != nil {
			t.Fatalf("a new connection: %v", err)
		}
		return c.serial()
	}
	write(t, s.CertFile, block("CERTIFICATE", second.Certificate[0])) // with the first one's key
	reported := func(problem string) func() bool {
		return func() bool {
			all := logs.FilterMessage("certificate files are of no use").All()
			return len(all) > 0 && strings.Contains(all[len(all)-1].ContextMap()["error"].(string), problem)
		}
	}
	eventually(t, "the broken pair is reported", reported("does not match"))
	if got := serialNow(); got != first.Leaf.SerialNumber.String() {
		t.Errorf("with a broken pair on disk: certificate %s, want the first one's, %s", got, first.Leaf.SerialNumber)
	}
	for _, doc := range []string{"", "no PEM", "-----BEGIN CERTIFICATE-----\n"} {
		write(t, s.CertFile, []byte(doc))
		if got := serialNow(); got != first.Leaf.SerialNumber.String() {
			t.Errorf("%q on disk: certificate %s, want the first one's, %s", doc, got, first.Leaf.SerialNumber)
		}
	}
	if err := os.Remove(s.CertFile); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the missing file is reported", reported("no such file"))
	s.put(t, second)
	eventually(t, "the second certificate is in use", func() bool { return serialNow() == second.Leaf.SerialNumber.String() })
	if err := kept.echo(); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	if n := logs.FilterMessage("certificate taken into use").Len(); n != 2 {
		t.Errorf("taken into use %d times, want 2: %v", n, logs.All())
	}
	for _, e := range logs.All() {
		if strings.Contains(e.Message, "PRIVATE") {
			t.Errorf("a log tells of a key: %v", e)
		}
	}
}

func TestClients(t *testing.T) {
	const envoy = "spiffe://mesh.example/ns/edge/sa/envoy"
	ca, other := newAuthority(t), newAuthority(t)
	s := newSite(t)
	s.put(t, ca.server(t))
	s.roots(t, ca)
	everyone := s.serve(t, zap.NewNop())
	s.ClientNames = []string{envoy, "envoy.example"}
	listed := s.serve(t, zap.NewNop())
	for _, tt := range []struct {
		name string
		own  []tls.Certificate
		any  bool // let in by the roots alone
		one  bool // let in by its name
	}{
		{"none", nil, false, false},
		{"of another authority", []tls.Certificate{other.client(t, envoy)}, false, false},
		{"listed URI", []tls.Certificate{ca.client(t, envoy)}, true, true},
		{"listed DNS name", []tls.Certificate{ca.client(t, "envoy.example")}, true, true},
		{"another URI", []tls.Certificate{ca.client(t, envoy+"2")}, true, false},
		{"another domain", []tls.Certificate{ca.client(t, "spiffe://mesh.example.evil/ns/edge/sa/envoy")}, true, false},
		{"below a DNS name", []tls.Certificate{ca.client(t, "x.envoy.example")}, true, false},
		{"a DNS wildcard", []tls.Certificate{ca.client(t, "*.example")}, true, false},
		{"for servers only", []tls.Certificate{ca.server(t)}, false, false},
	} {
		for addr, want := range map[string]bool{everyone: tt.any, listed: tt.one} {
			if _, err := dial(t, addr, ca, tt.own...); (err == nil) != want {
				t.Errorf("client %s, names listed: %v: got error %v, want it let in: %v", tt.name, addr == listed, err, want)
			}
		}
	}
}

// TestRootsRotate: a client of an authority that was taken off the file is turned away.
func TestRootsRotate(t *testing.T) {
	ca, next := newAuthority(t), newAuthority(t)
	s := newSite(t)
	s.put(t, ca.server(t))
	s.roots(t, ca)
	addr := s.serve(t, zap.NewNop())
	before, after := ca.client(t, "envoy"), next.client(t, "envoy")
	if _, err := dial(t, addr, ca, before); err != nil {
		t.Fatal(err)
	}
	write(t, s.ClientCAFile, next.pem())
	eventually(t, "clients of the next authority are let in", func() bool {
		_, err := dial(t, addr, ca, after)
		return err == nil
	})
	if _, err := dial(t, addr, ca, before); err == nil {
		t.Error("a client of the authority that was taken off is let in")
	}
}

func TestOldVersionsAreRefused(t *testing.T) {
	ca := newAuthority(t)
	s := newSite(t)
	s.put(t, ca.server(t))
	addr := s.serve(t, zap.NewNop())
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		d := tls.Dialer{Config: &tls.Config{RootCAs: ca.pool(), ServerName: "rolegate", MinVersion: version, MaxVersion: version}} //nolint:gosec // old ones are what is tried
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: got error %v, want it accepted: %v", tls.VersionName(version), err, want)
		}
	}
}

func TestWrong(t *testing.T) {
	ca := newAuthority(t)
	good := newSite(t)
	good.put(t, ca.server(t))
	for _, tt := range []struct {
		cfg  certs.Config
		want string
	}{
		{certs.Config{CertFile: "a"}, "want both cert_file and key_file"},
		{certs.Config{KeyFile: "a"}, "want both cert_file and key_file"},
		{certs.Config{ClientCAFile: "a"}, "want both"},
		{certs.Config{CertFile: "a", KeyFile: "b", ClientNames: []string{"x"}}, "believed only with a client_ca_file"},
		{certs.Config{CertFile: "a", KeyFile: "b", ClientCAFile: "c", ClientNames: []string{""}}, "an empty name"},
		{certs.Config{CertFile: "a", KeyFile: "b", Poll: -1}, "poll"},
		{certs.Config{CertFile: "nowhere", KeyFile: "b"}, "nowhere: no such file"},
		{certs.Config{CertFile: good.CertFile, KeyFile: good.CertFile}, "tls.crt"},
		{certs.Config{CertFile: good.CertFile, KeyFile: good.KeyFile, ClientCAFile: good.KeyFile}, "holds no certificate"},
		{certs.Config{CertFile: t.TempDir(), KeyFile: good.KeyFile}, "is no file"},
	} {
		c, err := certs.New(tt.cfg, zap.NewNop())
		if err == nil {
			err = c.Load()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got error %v, want one with %q", tt.cfg, err, tt.want)
		}
		if !tt.cfg.Enabled() {
			t.Errorf("%+v: is taken for no TLS at all", tt.cfg)
		}
	}
	if (certs.Config{}).Enabled() {
		t.Error("the zero value is TLS")
	}
}
