package extauthz

import (
	"iter"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/rolegate/rolegate/proxy"
)

// Why a CheckRequest cannot be read, in logs.
const (
	malformedEmpty = "no attributes"
	// What network ext_authz sends, and Istio's CUSTOM on a TCP port: a connection is asked
	// about, and whatever takes it for a request refuses it.
	malformedNoHTTP = "no http attributes"
	malformedNoHost = "no host"
	// Bytes that are no CheckRequest at all.
	malformedMessage = "no message"
)

// inbound reads a CheckRequest. It takes any message, a nil one included: what it
// cannot read is malformed, and the gate refuses it.
func inbound(req *authv3.CheckRequest, how *Documents) proxy.Inbound {
	rest := newRest(req, how)
	attributes := req.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	return proxy.Inbound{
		Protocol:   proxy.ProtocolGRPC,
		Method:     http.GetMethod(),
		Host:       http.GetHost(),
		Path:       http.GetPath(),
		Extensions: attributes.GetContextExtensions(),
		Credentials: proxy.Credentials{
			Headers:   headersOf(http),
			Principal: attributes.GetSource().GetPrincipal(),

			Certificate: attributes.GetSource().GetCertificate(),
			Path:        http.GetPath(),
			Socket:      attributes.GetDestination().GetAddress().GetPipe().GetPath(),
			Metadata:    rest,
		},
		HeaderNames: headerNames(http),
		Rest:        rest,
		Malformed:   how.malformed(attributes != nil, http != nil, http.GetHost(), http.GetId()),
	}
}

// malformed says why a request cannot be read; "" when it can.
func malformed(attributes, http bool, host, id string) string {
	switch {
	case !attributes:
		return malformedEmpty
	case !http:
		return malformedNoHTTP
	case host == "" && id != "":
		// Envoy, which numbers every request, passes one with an empty Host on without
		// the attribute. gRPC servers (gRFC A92) send neither, whatever the host was.
		return malformedNoHost
	default:
		return ""
	}
}

// headersOf answers the headers in whichever of Envoy's two forms they came.
func headersOf(http *authv3.AttributeContext_HttpRequest) proxy.Headers {
	if raw := http.GetHeaderMap().GetHeaders(); len(raw) > 0 {
		return rawHeaders(raw)
	}
	return joinedHeaders(http.GetHeaders())
}

// joinedHeaders are Envoy's default form: names in lower case, the copies of one
// header joined by commas.
type joinedHeaders map[string]string

func (h joinedHeaders) Values(name string) []string {
	if v, ok := h[name]; ok {
		return []string{v}
	}
	return nil
}

// rawHeaders are the form of encode_raw_headers and of gRPC servers: every copy as
// it was sent.
type rawHeaders []*corev3.HeaderValue

func (h rawHeaders) Values(name string) []string {
	var values []string
	for _, header := range h {
		if strings.EqualFold(header.GetKey(), name) {
			values = append(values, rawValue(header))
		}
	}
	return values
}

// rawValue reads both fields that a raw value may stand in: Envoy fills raw_value,
// gRPC servers only for names that end in -bin.
func rawValue(h *corev3.HeaderValue) string {
	if raw := h.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return h.GetValue()
}

// headerNames lists the names of both forms.
func headerNames(http *authv3.AttributeContext_HttpRequest) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range http.GetHeaderMap().GetHeaders() {
			if !yield(h.GetKey()) {
				return
			}
		}
		for name := range http.GetHeaders() {
			if !yield(name) {
				return
			}
		}
	}
}
