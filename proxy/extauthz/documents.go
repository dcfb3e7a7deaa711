package extauthz

import (
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/parsed"
)

// rawBodyValues is how many values a body may have for policies written for
// opa-envoy-plugin, which does not count them: what they read there they read here, as
// long as memory stands it.
const rawBodyValues = 100_000

// Documents is how requests become the documents that policies read. The zero value
// works, and so does nil.
type Documents struct {
	// Raw has policies judge what is otherwise refused before they are asked: a request
	// without a host, one of no HTTP, an empty one. Numbers of metadata are written as
	// opa-envoy-plugin writes them, and bodies may have 100,000 values instead of 10,000.
	Raw bool
	// SkipBody leaves parsed_body and truncated_body out.
	SkipBody bool
	// Services are the gRPC services whose messages are read into parsed_body; nil: none.
	Services *parsed.Services
}

// malformed says why a request is refused before anybody is asked; "" when it is not.
func (d *Documents) malformed(attributes, http bool, host, id string) string {
	if d != nil && d.Raw {
		return ""
	}
	return malformed(attributes, http, host, id)
}

// rest reads single values straight from the message: an answer from memory needs a
// few of them, and the whole document would cost more than the answer. What it finds
// is what [rest.document] holds there. It is one request's.
type rest struct {
	req  *authv3.CheckRequest
	how  *Documents // may be nil
	read *readBody  // once it was asked for
}

// readBody is a body that was read.
type readBody struct {
	value     ast.Value
	truncated bool
	err       error
}

func newRest(req *authv3.CheckRequest, how *Documents) *rest { return &rest{req: req, how: how} }

// Lookup implements [proxy.Rest].
func (r *rest) Lookup(path ast.Ref) (ast.Value, bool, error) {
	if len(path) == 0 {
		doc, err := r.document()
		return doc, err == nil, err
	}
	http := r.req.GetAttributes().GetRequest().GetHttp()
	head, _ := path[0].Value.(ast.String)
	below := path[1:]
	switch head {
	case "version":
		return within(version(), below)
	case "attributes":
		return r.attributes(below)
	case "source_principal":
		if principal := r.req.GetAttributes().GetSource().GetPrincipal(); principal != "" {
			return within(ast.String(principal), below)
		}
		return nil, false, nil
	case "parsed_path", "parsed_query":
		segments, query, err := proxy.ParsedTarget(http.GetPath())
		switch {
		case err != nil:
			return nil, false, err
		case head == "parsed_path":
			return within(segments, below)
		default:
			return within(query, below)
		}
	case "parsed_body", "truncated_body":
		if r.skipsBody() {
			return nil, false, nil
		}
		body := r.body()
		switch {
		case body.err != nil:
			return nil, false, body.err
		case head == "parsed_body":
			return within(body.value, below)
		default:
			return within(ast.Boolean(body.truncated), below)
		}
	default:
		return nil, false, nil
	}
}

func (r *rest) attributes(below ast.Ref) (ast.Value, bool, error) {
	attributes := r.req.GetAttributes()
	if attributes == nil {
		return nil, false, nil
	}
	w := walk{left: maxNodes, short: r.how != nil && r.how.Raw}
	v, found := w.find(attributes.ProtoReflect(), below)
	if w.exceeded {
		return nil, false, errTooLarge
	}
	return v, found, nil
}

// document makes the input that opa-envoy-plugin gives a policy: attributes, version,
// parsed_path, parsed_query, parsed_body, truncated_body and source_principal. With an
// error it is what could be read.
func (r *rest) document() (ast.Object, error) {
	doc := ast.NewObject(member("version", version()))
	put := func(key string, v ast.Value) { doc.Insert(ast.InternedTerm(key), ast.NewTerm(v)) }

	var faults []error
	tree, found, err := r.attributes(nil)
	switch {
	case err != nil:
		faults = append(faults, err)
	case found:
		put("attributes", tree)
	}
	if principal := r.req.GetAttributes().GetSource().GetPrincipal(); principal != "" {
		put("source_principal", ast.String(principal))
	}
	path, query, err := proxy.ParsedTarget(r.req.GetAttributes().GetRequest().GetHttp().GetPath())
	if err != nil {
		faults = append(faults, err)
	} else {
		put("parsed_path", path)
		put("parsed_query", query)
	}
	if !r.skipsBody() {
		if body := r.body(); body.err != nil {
			faults = append(faults, body.err)
		} else {
			put("parsed_body", body.value)
			put("truncated_body", ast.Boolean(body.truncated))
		}
	}
	if len(faults) > 0 {
		return doc, faults[0] // one is as good as another
	}
	return doc, nil
}

func (r *rest) skipsBody() bool { return r.how != nil && r.how.SkipBody }

// body reads the body, once: most policies read several values of it.
func (r *rest) body() *readBody {
	if r.read == nil {
		r.read = r.bodyNow()
	}
	return r.read
}

func (r *rest) bodyNow() *readBody {
	http := r.req.GetAttributes().GetRequest().GetHttp()
	in := parsed.Request{Headers: http.GetHeaders(), Body: http.GetBody(), RawBody: http.GetRawBody()}
	if len(in.Headers) == 0 {
		in.Headers = joinedTexts(http.GetHeaderMap().GetHeaders())
	}
	if r.how != nil {
		in.Services = r.how.Services
		if r.how.Raw {
			in.Values = rawBodyValues
		}
	}
	if in.Services != nil {
		var err error
		if in.Path, err = parsed.Path(http.GetPath()); err != nil {
			return &readBody{err: err}
		}
	}
	v, truncated, err := in.Read()
	if err != nil {
		return &readBody{err: err}
	}
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		return &readBody{err: parsed.ErrTooMuch} // a number beyond all bounds
	}
	return &readBody{value: value, truncated: truncated}
}

// Metadata implements [proxy.Metadata]: what a filter noted, as a policy of the profile
// rolegate would read it, for identity has no profile.
func (r *rest) Metadata(namespace, key string) (ast.Value, bool, error) {
	plain := rest{req: r.req}
	return plain.Lookup(ast.Ref{
		ast.InternedTerm("attributes"), ast.InternedTerm("metadataContext"), ast.InternedTerm("filterMetadata"),
		ast.StringTerm(namespace), ast.StringTerm(key),
	})
}
