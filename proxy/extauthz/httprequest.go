package extauthz

import (
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/rolegate/rolegate/proxy"
)

// Why an HTTP check cannot be read, in logs.
const malformedBody = "a body that is cut or too long"

// asked takes the prefix off a request's target. It compares bytes: whatever spells the
// prefix otherwise is no check.
func asked(prefix, uri string) (target string, ok bool) {
	target, ok = strings.CutPrefix(uri, prefix)
	// "/ext_authzother" is not below "/ext_authz". Without a prefix everything is asked
	// about, "*" and whole URLs too, and the gate refuses those.
	return target, ok && (prefix == "" || strings.HasPrefix(target, "/"))
}

// httpInbound reads a check. It makes of it the CheckRequest that Envoy's gRPC service
// would have sent, so that a policy need not know which way it was asked; what the HTTP
// service does not tell is absent from it: source and destination, context extensions,
// metadata, scheme and protocol. The certificate of the connection is Envoy's own, and
// says nothing of the client.
func httpInbound(r *http.Request, target string, how *Documents) proxy.Inbound {
	body, malformed := bodyOf(r)
	check := &authv3.AttributeContext_HttpRequest{
		Method: r.Method, Path: target, Host: r.Host, Size: -1,
		Headers: map[string]string{":method": r.Method, ":path": target, ":authority": r.Host},
	}
	for name, values := range r.Header {
		if name = strings.ToLower(name); !ofHop(name) {
			check.Headers[name] = printable(strings.Join(values, ","))
		}
	}
	if len(body) > 0 {
		check.Size = int64(len(body))
		if utf8.Valid(body) {
			check.Body = string(body)
		} else {
			check.RawBody = body
		}
	}
	in := inbound(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: check}}}, how)
	in.Protocol = proxy.ProtocolHTTP
	in.Credentials.Headers = copies(r.Header)
	switch {
	case malformed != "":
		in.Malformed = malformed
	case r.Host == "":
		in.Malformed = malformedNoHost
	}
	return in
}

// bodyOf reads the part of the body that Envoy was told to send; mostly there is none.
func bodyOf(r *http.Request) (body []byte, malformed string) {
	if r.ContentLength == 0 || r.Body == nil {
		return nil, ""
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxHTTPBody+1))
	if err != nil || len(body) > maxHTTPBody {
		return nil, malformedBody
	}
	return body, ""
}

// copies are the headers of a check, every copy by itself.
type copies http.Header

// Values implements [proxy.Headers].
func (h copies) Values(name string) []string {
	if ofHop(name) {
		return nil
	}
	return http.Header(h).Values(name)
}

// ofHop says whether a header, in lower case, is about the connection between Envoy and
// us, or about the message on it, and not about the client's request.
func ofHop(name string) bool {
	switch name {
	case "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "expect":
		return true
	}
	return strings.HasPrefix(name, "proxy-")
}
