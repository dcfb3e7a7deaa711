// Package proxy is asked over a wire and answers. Every surface (Envoy's gRPC and
// HTTP, the reverse proxy, AuthZEN, the commands) turns its request into an
// [Inbound] and gives it to the one [Gate]; the gate authenticates, decides and
// records, and its [Answer] is turned back into what the surface speaks.
package proxy

import (
	"context"
	"iter"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
)

// Protocol names the surface that was asked, in logs and metrics.
type Protocol string

// The surfaces.
const (
	ProtocolGRPC    Protocol = "grpc"
	ProtocolHTTP    Protocol = "http"
	ProtocolReverse Protocol = "reverse"
	ProtocolCommand Protocol = "command"
)

// Headers answers a request's header by its name in lower case, every copy in the
// order of arrival. Envoy joins copies with a comma unless it sends raw headers.
type Headers interface {
	Values(name string) []string
}

// Metadata answers a value that a filter before this server noted of the request (the
// payload of a token that it verified, say), by the filter's namespace and the value's
// key. An error means that it is there and cannot be read: that is never "not there".
// Its text, a word or a few, holds nothing of the value.
type Metadata interface {
	Metadata(namespace, key string) (v ast.Value, found bool, err error)
}

// Credentials is what identity may read of a request.
type Credentials struct {
	Headers   Headers // never nil
	Principal string  // of the peer's certificate as Envoy verified it; "" when it has none
	// Certificate is that certificate, PEM in URL encoding; "" where the surface does not
	// tell it (Envoy does with include_peer_certificate).
	Certificate string
	// Path is the request's target as sent, undecoded: tokens may stand in its query.
	// The gate has refused every target that has no one reading.
	Path string
	// Socket is the unix socket that the peer came in by, its path; "" when it came by
	// the network, or when the surface cannot know.
	Socket string
	// Metadata is nil where the surface has none.
	Metadata Metadata
}

// Inbound is one request, whatever surface it came in by.
type Inbound struct {
	Protocol    Protocol
	Method      string
	Host        string // as sent; "" when the surface cannot know it: only routes of any host match
	Path        string // as sent, the query included, undecoded
	Credentials Credentials
	// HeaderNames are the names of all headers that the client sent, in any case and
	// possibly repeated: those that only this server may set are taken out before
	// the upstream sees them. nil: there are none.
	HeaderNames iter.Seq[string]
	Extensions  map[string]string // Envoy's context_extensions
	// Rest is the input document beside subject and route; nil: nothing.
	Rest Rest
	// Malformed is why the surface could not read the request ("" when it could):
	// one word for logs. Such a request is refused before anything is asked.
	Malformed string
}

// Rest is what a surface knows of a request beside subject and route, as members of
// the input document (attributes, parsed_path, …). It is asked only for what a policy
// may read.
type Rest interface {
	// Lookup answers the value at a path, whose first segment names a member, and
	// whether there is one. The empty path asks for all members, an object. An error
	// means that this part of the request cannot be read, and the request is refused as
	// malformed if a policy may have read it; the object holds the other parts. Its text, a word or a few, holds nothing of the request.
	Lookup(path ast.Ref) (v ast.Value, found bool, err error)
}

// Answer is what the gate says to a request: the decision and what a surface needs
// to tell it. The zero value denies.
type Answer struct {
	policy.Decision
	ID     string // of the decision, unique, for logs and for support
	Tenant string // that the decision was made for; "" before there is one
	Roles  []string
	// Subject is the verified caller; its zero value is nobody.
	Subject   policy.Subject
	Route     route.Match
	Revisions map[string]string // bundle → revision of the snapshot; shared, never changed
	Reply     Reply             // the answer as a surface puts it on its wire
	// DryRun says that nothing that a policy denies is stopped: see [Answer.Passes].
	DryRun bool
}

// Authenticator tells who asks. A request without its credential is the zero
// Subject and no error. A credential that is there and bad is an error, whose text
// holds nothing of the credential; the gate makes it a refusal, never "nobody".
//
// Neither ctx nor c is kept when it returns: both become another request's. Strings of
// c stay what they are, but may be parts of the request's whole message: who keeps one
// for long copies it.
type Authenticator interface {
	Authenticate(ctx context.Context, view policy.View, c Credentials) (policy.Subject, error)
}

// Record is one line of the decision log. It holds no token and no claim.
type Record struct {
	ID         string
	Time       time.Time
	Protocol   Protocol
	Method     string
	Host       string
	Path       string // canonical, without the query; "" when it was malformed
	Subject    string // id
	Kind       string // type of the subject
	Route      route.Match
	Tenant     string
	Effect     policy.Effect
	Verdict    policy.Verdict
	Reason     string
	Generation uint64
	Revisions  map[string]string // bundle → revision; shared, never changed
	Origin     policy.Origin
	Duration   time.Duration
	Error      string // why there was no answer; "" when there was one
	DryRun     bool   // nothing that a policy denies was stopped: set in every record then
}

// Recorder keeps records. Record must not block.
type Recorder interface {
	Record(r Record)
}
