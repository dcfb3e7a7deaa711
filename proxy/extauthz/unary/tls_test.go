package unary_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// secure is a server's TLS, with a certificate that tests know.
func secure() *tls.Config {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{http2.NextProtoTLS}, MinVersion: tls.VersionTLS12}
}

// TestTLS: requests are answered, and errors told, below TLS as without it. Who has not
// agreed on HTTP/2 there hears nothing.
func TestTLS(t *testing.T) {
	cfg := config()
	cfg.TLS = secure()
	_, addr := serve(t, cfg)
	connect := func(t *testing.T, protocols ...string) *peer {
		t.Helper()
		p := dialRaw(t, addr)
		c := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) //nolint:gosec // whose it is is not the question
		p.Conn, p.Framer = c, http2.NewFramer(c, c)
		return p
	}
	t.Run("HTTP/2", func(t *testing.T) {
		p := connect(t, http2.NextProtoTLS)
		p.write([]byte(http2.ClientPreface))
		p.must(p.WriteSettings())
		p.ask(1, "x")
		if got := p.until(done(1)).answers[1]; got != said("x") {
			t.Errorf("got %+v", got)
		}
		p.raw("ffffff 00 00 00000001")
		if h := p.until(closed); len(h.goAway) != 1 || h.goAway[0].ErrCode != http2.ErrCodeFrameSize {
			t.Errorf("got %+v", h.goAway)
		}
	})
	t.Run("no protocol", func(t *testing.T) {
		p := connect(t)
		p.write([]byte(http2.ClientPreface))
		if h := p.until(closed); len(h.answers) > 0 || len(h.goAway) > 0 {
			t.Errorf("got %+v", h)
		}
	})
}

// TestStopDoesNotWaitForHandshakes: who has begun one, or nothing, is left soon.
func TestStopDoesNotWaitForHandshakes(t *testing.T) {
	for _, sent := range []string{"", "\x16\x03\x01"} {
		t.Run(sent, func(t *testing.T) {
			t.Parallel() // each takes a second
			cfg := config()
			cfg.TLS = secure()
			s, addr := serve(t, cfg)
			p := dialRaw(t, addr)
			p.write([]byte(sent))
			// It was accepted, as those are that come after it.
			other, err := (&tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", addr) //nolint:gosec // as above
			p.must(err)
			p.must(other.Close())
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			began := time.Now()
			s.Stop(ctx)
			cancel()
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			if n, err := p.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("it was told something that is not TLS")
			}
		})
	}
}

// TestUnknownClients: who has no certificate is not answered, where one is asked for, though
// the handshake is over for it before it is for the server.
func TestUnknownClients(t *testing.T) {
	cfg := config()
	cfg.TLS = secure()
	cfg.TLS.ClientAuth, cfg.TLS.MinVersion = tls.RequireAnyClientCert, tls.VersionTLS13
	_, addr := serve(t, cfg)
	p := dialRaw(t, addr)
	c := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http2.NextProtoTLS}}) //nolint:gosec // as above
	p.must(c.HandshakeContext(t.Context()))
	sent := written(t, func(p *peer) { p.ask(1, "x") })
	if _, err := c.Write(append([]byte(http2.ClientPreface), sent...)); err != nil {
		return // it has heard already that it is not wanted
	}
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}
