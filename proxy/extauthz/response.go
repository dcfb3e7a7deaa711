package extauthz

import (
	"slices"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// maxReason bounds a policy's own reason in the metadata.
const maxReason = 256

// maxRevisions bounds the list of bundles in the metadata of every response. With
// more of them (one a tenant, say) the generation has to do.
const maxRevisions = 16

// response makes the CheckResponse of an answer. It is total: the zero answer is a
// denial. A denial has status PERMISSION_DENIED whatever its HTTP status, for only
// the latter reaches the client; a fault has UNAVAILABLE and an error_response,
// which Envoys before 1.37 do not know and take for a plain 403; see [codeOf].
func response(a proxy.Answer) *authv3.CheckResponse {
	r := &authv3.CheckResponse{DynamicMetadata: metadata(a)}
	switch {
	case a.Passes():
		r.Status = status(codes.OK)
		r.HttpResponse = &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers:                 options(a.Reply.SetHeaders),
			HeadersToRemove:         a.Reply.RemoveHeaders,
			ResponseHeadersToAdd:    options(a.Reply.AddToResponse),
			QueryParametersToSet:    parameters(a.Reply.SetQuery),
			QueryParametersToRemove: a.Reply.RemoveQuery,
		}}
	case a.Reply.Fault:
		r.Status = status(codeOf(a))
		r.HttpResponse = &authv3.CheckResponse_ErrorResponse{ErrorResponse: denied(a.Reply)}
	default:
		r.Status = status(codeOf(a))
		r.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: denied(a.Reply)}
	}
	return r
}

// codeOf is the status of an answer that does not pass. A request that was shed has one of
// its own: who counts by codes sees the overload, and no retry policy makes it more.
func codeOf(a proxy.Answer) codes.Code {
	switch {
	case a.Reason == policy.ReasonOverloaded:
		return codes.ResourceExhausted
	case a.Reply.Fault:
		return codes.Unavailable
	default:
		return codes.PermissionDenied
	}
}

func status(code codes.Code) *rpcstatus.Status { return &rpcstatus.Status{Code: int32(code)} } //nolint:gosec // codes are small

func denied(r proxy.Reply) *authv3.DeniedHttpResponse {
	return &authv3.DeniedHttpResponse{
		Status:  &typev3.HttpStatus{Code: httpStatus(r.Status, r.AnyStatus)},
		Headers: deniedOptions(r.Headers),
		Body:    r.Body,
	}
}

// deniedOptions are the headers of a denial. Envoy takes from one only what replaces, and
// gives the client a second copy of a name beside the first.
func deniedOptions(headers []proxy.Header) []*corev3.HeaderValueOption {
	all := slices.Clone(headers)
	for i := range all {
		all[i].Append = false
	}
	return options(all)
}

// httpStatus is a status that Envoy knows and that is no success, unless that is meant;
// 403 in place of any other.
func httpStatus(code int, success bool) typev3.StatusCode {
	known := typev3.StatusCode(code) // none is above 599
	if _, ok := typev3.StatusCode_name[int32(known)]; ok && (code >= 300 || success && code >= 200) {
		return known
	}
	return typev3.StatusCode_Forbidden
}

// options says twice whether a header replaces or appends. Versions of Envoy differ
// in which field they read, and in what an absent one means: in some, a client's own
// copy of a header would survive in front of ours.
func options(headers []proxy.Header) []*corev3.HeaderValueOption {
	if len(headers) == 0 {
		return nil
	}
	// One array of each kind: an allow has three headers at least.
	list := make([]*corev3.HeaderValueOption, len(headers))
	each := make([]struct {
		option corev3.HeaderValueOption
		header corev3.HeaderValue
		append wrapperspb.BoolValue
	}, len(headers))
	for i, h := range headers {
		e := &each[i]
		e.header.Key, e.header.Value, e.append.Value = h.Name, h.Value, h.Append
		e.option.Header, e.option.Append = &e.header, &e.append //nolint:staticcheck // deprecated, and what some Envoys read
		e.option.AppendAction = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
		if h.Append {
			e.option.AppendAction = corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
		}
		list[i] = &e.option
	}
	return list
}

func parameters(list []proxy.Parameter) []*corev3.QueryParameter {
	var out []*corev3.QueryParameter
	for _, p := range list {
		out = append(out, &corev3.QueryParameter{Key: p.Name, Value: p.Value})
	}
	return out
}

// metadata is what access logs and later filters learn of the decision, under
// envoy.filters.http.ext_authz. The policy's own members stand beside ours, which
// it cannot change unless the reply says so.
func metadata(a proxy.Answer) *structpb.Struct {
	fields := make(map[string]*structpb.Value, 8)
	if a.Reply.Metadata != nil {
		a.Reply.Metadata.Foreach(func(k, v *ast.Term) {
			if key, ok := k.Value.(ast.String); ok {
				fields[string(key)] = plain(v.Value)
			}
		})
	}
	source := string(a.Origin)
	if source == "" {
		source = "none"
	}
	reason := a.Reason[:min(len(a.Reason), maxReason)]
	set := func(key string, v *structpb.Value) {
		if _, theirs := fields[key]; !theirs || !a.Reply.MetadataFirst {
			fields[key] = v
		}
	}
	fields["decision_id"] = structpb.NewStringValue(a.ID)
	set("verdict", structpb.NewStringValue(string(a.Verdict())))
	set("reason", structpb.NewStringValue(strings.ToValidUTF8(reason, "")))
	set("generation", structpb.NewNumberValue(float64(a.Generation)))
	set("source", structpb.NewStringValue(source))
	if a.DryRun {
		fields["dry_run"] = structpb.NewBoolValue(true)
	}
	if n := len(a.Revisions); n > 0 && n <= maxRevisions {
		revisions := make(map[string]*structpb.Value, len(a.Revisions))
		for bundle, revision := range a.Revisions {
			revisions[bundle] = structpb.NewStringValue(revision)
		}
		set("revisions", structpb.NewStructValue(&structpb.Struct{Fields: revisions}))
	}
	return &structpb.Struct{Fields: fields}
}

// plain turns a value of a policy into JSON's terms; the gate has checked that it
// has any. Whatever has none is null.
func plain(v ast.Value) *structpb.Value {
	list := func(n int, each func(func(*ast.Term))) *structpb.Value {
		values := make([]*structpb.Value, 0, n)
		each(func(t *ast.Term) { values = append(values, plain(t.Value)) })
		return structpb.NewListValue(&structpb.ListValue{Values: values})
	}
	switch v := v.(type) {
	case ast.Boolean:
		return structpb.NewBoolValue(bool(v))
	case ast.String:
		return structpb.NewStringValue(string(v))
	case ast.Number:
		if f, ok := v.Float64(); ok {
			return structpb.NewNumberValue(f)
		}
	case *ast.Array:
		return list(v.Len(), v.Foreach)
	case ast.Set:
		return list(v.Len(), v.Foreach)
	case ast.Object:
		fields := make(map[string]*structpb.Value, v.Len())
		v.Foreach(func(k, member *ast.Term) {
			if key, ok := k.Value.(ast.String); ok {
				fields[string(key)] = plain(member.Value)
			}
		})
		return structpb.NewStructValue(&structpb.Struct{Fields: fields})
	}
	return structpb.NewNullValue()
}

// refusal is the denial that stands in for whatever must not be sent.
func refusal() *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: status(codes.PermissionDenied),
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden},
		}},
	}
}

// guard is the last look at a response. It passes one that says what it was meant
// to say and nothing else; in place of any other it answers a denial and why. It
// trusts neither response nor whoever changes it next.
func guard(r *authv3.CheckResponse, meant policy.Effect) (sent *authv3.CheckResponse, fault string) {
	return guardAs(r, meaning{effect: meant})
}

// meaning is what a response was meant to say.
type meaning struct {
	effect    policy.Effect
	anyStatus bool // a denial may have the status of a success
}

func meaningOf(a proxy.Answer) meaning {
	m := meaning{effect: a.Effect, anyStatus: a.Reply.AnyStatus}
	if a.Passes() {
		m.effect = policy.Allow
	}
	return m
}

func guardAs(r *authv3.CheckResponse, meant meaning) (sent *authv3.CheckResponse, fault string) {
	if fault := contradiction(r, meant); fault != "" {
		return refusal(), fault
	}
	return r, ""
}

// contradiction says what is wrong with a response; "" for nothing.
func contradiction(r *authv3.CheckResponse, meant meaning) string {
	if r == nil || r.GetStatus() == nil {
		return "no status" // which Envoy takes for OK
	}
	ok := r.GetStatus().GetCode() == int32(codes.OK)
	switch body := r.GetHttpResponse().(type) {
	case *authv3.CheckResponse_OkResponse:
		switch {
		case !ok:
			return "a status that denies with a response that allows"
		case meant.effect != policy.Allow:
			return "a denial that would be an allow"
		case body.OkResponse == nil:
			return "an empty response"
		case body.OkResponse.GetDynamicMetadata() != nil: //nolint:staticcheck // deprecated, and overrides the metadata of the response
			return "metadata in two places"
		}
		return okContradiction(body.OkResponse)
	case *authv3.CheckResponse_DeniedResponse:
		return deniedContradiction(body.DeniedResponse, ok, meant)
	case *authv3.CheckResponse_ErrorResponse:
		return deniedContradiction(body.ErrorResponse, ok, meant)
	default:
		return "no response"
	}
}

func okContradiction(r *authv3.OkHttpResponse) string {
	for _, h := range r.GetHeaders() {
		if fault := optionContradiction(h); fault != "" {
			return fault
		}
		if contains(r.GetHeadersToRemove(), h.GetHeader().GetKey()) {
			return "a header both set and removed"
		}
	}
	for _, h := range r.GetResponseHeadersToAdd() {
		if fault := optionContradiction(h); fault != "" {
			return fault
		}
	}
	for _, name := range r.GetHeadersToRemove() {
		if name == "" || !holdable(name) {
			return "a header to remove that no message can hold"
		}
	}
	for _, name := range [...]string{proxy.HeaderSubject, proxy.HeaderTenant, proxy.HeaderRoles} {
		set := slices.ContainsFunc(r.GetHeaders(), func(h *corev3.HeaderValueOption) bool { return h.GetHeader().GetKey() == name })
		if !set && !contains(r.GetHeadersToRemove(), name) {
			return "an identity header neither set nor removed"
		}
	}
	return ""
}

func deniedContradiction(r *authv3.DeniedHttpResponse, ok bool, meant meaning) string {
	switch code := r.GetStatus().GetCode(); {
	case ok:
		return "a status that allows with a response that denies"
	case meant.effect != policy.Deny:
		return "an allow that would be a denial"
	case code < 200 || code > 599 || code < 300 && !meant.anyStatus:
		return "a denial with the HTTP status of a success"
	case !utf8.ValidString(r.GetBody()):
		return "a body that is not UTF-8"
	}
	for _, h := range r.GetHeaders() {
		if fault := optionContradiction(h); fault != "" {
			return fault
		}
	}
	return ""
}

func optionContradiction(h *corev3.HeaderValueOption) string {
	appends := h.GetAppendAction() == corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
	overwrites := h.GetAppendAction() == corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
	switch {
	case h.GetAppend() == nil || h.GetAppend().GetValue() != appends || appends == overwrites: //nolint:staticcheck // deprecated, and still what some Envoys read
		return "a header that replaces to one Envoy and appends to another"
	case h.GetHeader().GetKey() == "" || len(h.GetHeader().GetRawValue()) > 0:
		return "a header without a name, or with a raw value, which Envoy does not read"
	case !holdable(h.GetHeader().GetKey()) || !holdable(h.GetHeader().GetValue()):
		return "a header that no message can hold"
	}
	return ""
}

// holdable says whether a header can have this text.
func holdable(s string) bool {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	return utf8.ValidString(s) && !strings.ContainsFunc(s, control)
}

func contains(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}
