package extauthz

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rolegate/rolegate/proxy"
)

// headerRemove names, in the answer to a check, the headers that Envoy takes out of the
// request before it goes upstream.
const headerRemove = "x-envoy-auth-headers-to-remove"

// httpAnswer is an answer as the HTTP service says it. Its status is 200 if it allows,
// and nothing else allows; 503 is an error, and every other status a denial.
type httpAnswer struct {
	status  int
	headers []proxy.Header
	body    string
}

// httpRefusal is the denial that stands in for whatever must not be said.
func httpRefusal() httpAnswer { return httpAnswer{status: http.StatusForbidden} }

// httpResponse says an answer. It is total: the zero answer is a denial. What the guard
// of the gRPC service would not let pass, and what HTTP cannot say, is a denial, with
// the fault.
func httpResponse(a proxy.Answer) (r httpAnswer, fault string) {
	if _, fault := guardAs(response(a), meaningOf(a)); fault != "" {
		return httpRefusal(), fault
	}
	if !a.Passes() {
		return httpAnswer{status: httpDenied(a.Reply), headers: a.Reply.Headers, body: a.Reply.Body}, ""
	}
	if len(a.Reply.SetQuery)+len(a.Reply.RemoveQuery) > 0 {
		return httpRefusal(), "query parameters, which the HTTP service cannot change"
	}
	headers := joinCopies(a.Reply.SetHeaders)
	for _, h := range a.Reply.AddToResponse {
		if slices.ContainsFunc(headers, func(set proxy.Header) bool { return strings.EqualFold(set.Name, h.Name) }) {
			return httpRefusal(), "a header for the upstream and for the client, which the HTTP service cannot tell apart"
		}
	}
	headers = append(headers, a.Reply.AddToResponse...)
	headers = append(headers, proxy.Header{Name: proxy.HeaderDecisionID, Value: a.ID})
	if len(a.Reply.RemoveHeaders) > 0 {
		headers = append(headers, proxy.Header{Name: headerRemove, Value: strings.Join(a.Reply.RemoveHeaders, ",")})
	}
	return httpAnswer{status: http.StatusOK, headers: headers}, ""
}

// joinCopies makes one line of all copies of a header: of more than one, Envoy sends the
// last one upstream.
func joinCopies(list []proxy.Header) []proxy.Header {
	joined := make([]proxy.Header, 0, len(list)+4)
	for _, h := range list {
		i := slices.IndexFunc(joined, func(before proxy.Header) bool { return strings.EqualFold(before.Name, h.Name) })
		switch {
		case i < 0:
			joined = append(joined, proxy.Header{Name: h.Name, Value: h.Value})
		case !h.Append:
			joined[i].Value = h.Value
		case h.Name == "cookie":
			joined[i].Value += "; " + h.Value
		default:
			joined[i].Value += "," + h.Value
		}
	}
	return joined
}

// httpDenied is the status of a denial. Of 500 and above Envoy makes an error, which it
// may be told to take for an allow; so a denial has none of them, whatever the policy
// says and however it came about, unless the operator wants errors to be errors.
func httpDenied(r proxy.Reply) int {
	if r.Fault {
		return http.StatusServiceUnavailable
	}
	if code := int(httpStatus(r.Status, false)); code < http.StatusInternalServerError {
		return code
	}
	return http.StatusForbidden
}
