package reverse

import (
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/proxy"
)

// Why a request is refused before the gate looks at it, in logs.
const (
	malformedUpgrade    = "an upgrade"
	malformedConnection = "connection options"
	malformedNoHost     = "no host"
)

// inbound reads a request.
func inbound(r *http.Request) proxy.Inbound {
	return proxy.Inbound{
		Protocol:    proxy.ProtocolReverse,
		Method:      r.Method,
		Host:        r.Host,
		Path:        r.RequestURI,
		Credentials: proxy.Credentials{Headers: headers(r.Header), Principal: principal(r), Path: r.RequestURI},
		HeaderNames: maps.Keys(r.Header),
		Rest:        &proxy.Members{Make: func() (ast.Object, error) { return document(r) }},
		Malformed:   malformed(r),
	}
}

// malformed refuses what would make a second, unchecked request of one that was
// checked: an upgrade, and a Connection header that has the upstream see fewer
// headers than the policy did.
func malformed(r *http.Request) string {
	if r.Host == "" {
		return malformedNoHost
	}
	if _, ok := r.Header["Upgrade"]; ok {
		return malformedUpgrade
	}
	for _, value := range r.Header["Connection"] {
		for option := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.TrimSpace(option)) {
			case "", "close", "keep-alive", "te":
			default:
				return malformedConnection
			}
		}
	}
	return ""
}

type headers http.Header

func (h headers) Values(name string) []string { return http.Header(h).Values(name) }

// principal is the client's certificate as Envoy names one: its first URI, else its
// first DNS name, else its subject; "" when none was verified.
func principal(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	return principalOf(r.TLS.PeerCertificates[0])
}

func principalOf(cert *x509.Certificate) string {
	switch {
	case len(cert.URIs) > 0:
		return cert.URIs[0].String()
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	default:
		return cert.Subject.String()
	}
}

// document makes of a request what Envoy would have made of it, so that a policy need
// not know by which way it came: attributes, version, parsed_path, parsed_query and
// source_principal. The body is not read.
func document(r *http.Request) (ast.Object, error) {
	path, query, err := proxy.ParsedTarget(r.RequestURI)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	joined := ast.NewObject()
	for name, values := range r.Header {
		joined.Insert(ast.StringTerm(strings.ToLower(name)), ast.StringTerm(strings.Join(values, ",")))
	}
	request := object(
		member{"method", ast.String(r.Method)}, member{"path", ast.String(r.RequestURI)}, member{"host", ast.String(r.Host)},
		member{"scheme", ast.String(scheme)}, member{"protocol", ast.String(r.Proto)},
		member{"size", ast.Number(strconv.FormatInt(r.ContentLength, 10))}, member{"headers", joined},
	)
	source := object(member{"address", address(r.RemoteAddr)})
	doc := object(
		member{"version", object(member{"ext_authz", ast.String("v3")}, member{"encoding", ast.String("protojson")})},
		member{"parsed_path", path}, member{"parsed_query", query},
	)
	if p := principal(r); p != "" {
		source.Insert(ast.InternedTerm("principal"), ast.StringTerm(p))
		doc.Insert(ast.InternedTerm("source_principal"), ast.StringTerm(p))
	}
	attributes := object(member{"source", source}, member{"request", object(member{"http", request})})
	doc.Insert(ast.InternedTerm("attributes"), ast.NewTerm(attributes))
	return doc, nil
}

func address(remote string) ast.Object {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return object(member{"pipe", object(member{"path", ast.String(remote)})})
	}
	socket := object(member{"address", ast.String(host)})
	if addr, err := netip.ParseAddrPort(remote); err == nil {
		socket.Insert(ast.InternedTerm("portValue"), ast.NewTerm(ast.Number(strconv.Itoa(int(addr.Port())))))
	}
	return object(member{"socketAddress", socket})
}

type member struct {
	key   string
	value ast.Value
}

func object(members ...member) ast.Object {
	o := ast.NewObject()
	for _, m := range members {
		o.Insert(ast.InternedTerm(m.key), ast.NewTerm(m.value))
	}
	return o
}
