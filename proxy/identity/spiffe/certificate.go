package spiffe

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"strings"
	"time"
)

// ErrCertificate is why a text is no certificate.
var ErrCertificate = errors.New("is no certificate in PEM and URL encoding")

// Certificate reads a certificate as Envoy sends it, PEM in URL encoding: its one URI, and
// the instant at which it ends. Only the form is checked: Envoy verified it. One without
// exactly one URI, the form of SPIFFE, is [ErrNoURI].
func Certificate(text string) (uri string, ends time.Time, err error) {
	if len(text) > maxForwarded {
		return "", time.Time{}, ErrCertificate
	}
	decoded, err := url.PathUnescape(text) // a + is a + in base64
	if err != nil {
		return "", time.Time{}, ErrCertificate
	}
	block, rest := pem.Decode([]byte(decoded))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return "", time.Time{}, ErrCertificate
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", time.Time{}, ErrCertificate
	}
	if len(c.URIs) != 1 {
		return "", time.Time{}, ErrNoURI
	}
	return c.URIs[0].String(), c.NotAfter, nil
}
