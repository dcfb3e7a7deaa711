package extauthz

import (
	"net/http"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

func names() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{
		proxy.HeaderSubject, proxy.HeaderTenant, proxy.HeaderRoles, "x-a", "X-A", "x_rolegate_roles", "",
	}), rapid.String())
}

func headers() *rapid.Generator[[]proxy.Header] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) proxy.Header {
		return proxy.Header{
			Name:   names().Draw(t, "name"),
			Value:  rapid.OneOf(rapid.SampledFrom([]string{"", "v", "a\r\nb", "\xff"}), rapid.String()).Draw(t, "value"),
			Append: rapid.Bool().Draw(t, "append"),
		}
	}), 0, 5)
}

// answers of any kind, also those that no gate gives.
func answers() *rapid.Generator[proxy.Answer] {
	return rapid.Custom(func(t *rapid.T) proxy.Answer {
		a := proxy.Answer{ID: rapid.StringMatching(`[0-9a-f]{0,32}`).Draw(t, "id")}
		a.Effect = policy.Effect(rapid.IntRange(0, 3).Draw(t, "effect"))
		a.Reason = rapid.OneOf(rapid.SampledFrom([]string{"allowed", "no_roles", "timeout", "\xff"}), rapid.String()).Draw(t, "reason")
		a.Reply = proxy.Reply{
			SetHeaders:    headers().Draw(t, "set"),
			RemoveHeaders: rapid.SliceOfN(names(), 0, 5).Draw(t, "remove"),
			AddToResponse: headers().Draw(t, "add"),
			Status:        rapid.IntRange(-1, 700).Draw(t, "status"),
			Headers:       headers().Draw(t, "headers"),
			Body:          rapid.SampledFrom([]string{"", "{}", "\xff"}).Draw(t, "body"),
			Fault:         rapid.Bool().Draw(t, "fault"),
		}
		return a
	})
}

// TestResponseLaws: what is sent allows only if the answer does, and is what Envoy
// reads in one way.
func TestResponseLaws(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		if lawful(t, answers().Draw(t, "answer")) {
			allowed++
		}
	})
}

// lawful fails if the response to an answer breaks a law, and says whether it allows.
func lawful(t rapid.TB, a proxy.Answer) (allows bool) {
	t.Helper()
	r, fault := guardAs(response(a), meaningOf(a))
	allows = r.GetStatus().GetCode() == int32(codes.OK)
	if allows && (!a.Passes() || fault != "") {
		t.Errorf("%+v with fault %q is allowed: %v", a, fault, r)
	}
	if !a.Passes() && fault == "a denial that would be an allow" {
		t.Errorf("%+v: only the guard kept it from being allowed", a)
	}
	if allows != (r.GetOkResponse() != nil) || r.GetStatus() == nil {
		t.Errorf("%+v: status and response differ: %v", a, r)
	}
	if !allows && (r.GetErrorResponse() != nil) != (a.Reply.Fault && fault == "") {
		t.Errorf("%+v: is it an error? %v", a, r)
	}
	said := meaning{effect: map[bool]policy.Effect{true: policy.Allow}[allows], anyStatus: a.Reply.AnyStatus}
	if fault := contradiction(r, said); fault != "" {
		t.Errorf("%+v: the guard lets a contradiction pass, %s: %v", a, fault, r)
	}
	if _, err := proto.Marshal(r); err != nil {
		t.Errorf("%+v: the response cannot be sent: %v", a, err)
	}
	return allows
}

// FuzzResponse: the laws, of answers that carry any texts and any numbers.
func FuzzResponse(f *testing.F) {
	f.Add(byte(policy.Allow), "allowed", "x-user", "ann", false, "x_rolegate_roles", 0, "", false, false, false)
	f.Add(byte(policy.Deny), "no_roles", "www-authenticate", "Bearer", false, "", 401, "log in", false, false, false)
	f.Add(byte(policy.Deny), "cached", "age", "1", true, "", 200, "{}", false, true, false)
	f.Add(byte(policy.Deny), "timeout", "retry-after", "1", false, "", 503, "", true, false, false)
	f.Add(byte(policy.Allow), "split\xff", "X-Rolegate-Subject", "a\r\nb: c", true, "X-ROLEGATE-SUBJECT", 99, "\xff", true, true, false)
	f.Add(byte(7), "", "", "", false, "", -1, "", false, false, true)
	f.Fuzz(func(t *testing.T, effect byte, reason, name, value string, appends bool, removed string, status int, body string, fault, anyStatus, dryRun bool) {
		a := proxy.Answer{ID: "0123", DryRun: dryRun}
		a.Effect, a.Reason = policy.Effect(effect), reason
		header := []proxy.Header{{Name: name, Value: value, Append: appends}}
		a.Reply = proxy.Reply{
			SetHeaders: header, RemoveHeaders: []string{removed}, AddToResponse: header, SetQuery: []proxy.Parameter{{Name: name, Value: value}}, RemoveQuery: []string{removed},
			Status: status, Headers: header, Body: body, AnyStatus: anyStatus, Fault: fault,
		}
		lawful(t, a)
		a.Reply.SetQuery, a.Reply.RemoveQuery = nil, nil
		a = sound(a)
		lawful(t, a)
		if r, fault := httpResponse(a); (r.status == http.StatusOK) != (a.Passes() && fault == "") || r.status >= 500 && (!a.Reply.Fault || a.Passes()) {
			t.Errorf("%+v: HTTP says %d, with fault %q", a, r.status, fault)
		}
	})
}

// TestGuard breaks a sound response in each way that Envoy would take for an allow or
// read in two ways.
func TestGuard(t *testing.T) {
	sound := func(effect policy.Effect) *authv3.CheckResponse {
		a := proxy.Answer{Reply: proxy.Reply{
			SetHeaders:    []proxy.Header{{Name: proxy.HeaderSubject, Value: "ann"}},
			RemoveHeaders: []string{proxy.HeaderTenant, proxy.HeaderRoles},
			AddToResponse: []proxy.Header{{Name: "x-a", Value: "1", Append: true}},
			Status:        403, Headers: []proxy.Header{{Name: "x-b", Value: "1"}},
		}}
		a.Effect = effect
		return response(a)
	}
	for _, effect := range []policy.Effect{policy.Allow, policy.Deny} {
		if _, fault := guard(sound(effect), effect); fault != "" {
			t.Fatalf("a sound %s is refused: %s", effect, fault)
		}
		if r, fault := guard(sound(effect), 1-effect); fault == "" || r.GetStatus().GetCode() == 0 {
			t.Errorf("%s in place of the other passes as %v", effect, r)
		}
	}
	ok := func(r *authv3.CheckResponse) *authv3.OkHttpResponse { return r.GetOkResponse() }
	for name, change := range map[string]func(*authv3.CheckResponse){
		"no status":         func(r *authv3.CheckResponse) { r.Status = nil },
		"status denies":     func(r *authv3.CheckResponse) { r.Status = status(codes.PermissionDenied) },
		"no response":       func(r *authv3.CheckResponse) { r.HttpResponse = nil },
		"empty ok_response": func(r *authv3.CheckResponse) { r.HttpResponse = &authv3.CheckResponse_OkResponse{} },
		"denied_response":   func(r *authv3.CheckResponse) { r.HttpResponse = refusal().HttpResponse },
		"empty denied":      func(r *authv3.CheckResponse) { r.HttpResponse = &authv3.CheckResponse_DeniedResponse{} },
		"error_response":    func(r *authv3.CheckResponse) { r.HttpResponse = &authv3.CheckResponse_ErrorResponse{} },
		"everything":        func(r *authv3.CheckResponse) { proto.Reset(r) },
		"two metadatas":     func(r *authv3.CheckResponse) { ok(r).DynamicMetadata = &structpb.Struct{} },      //nolint:staticcheck // the fault
		"unset append":      func(r *authv3.CheckResponse) { ok(r).Headers[0].Append = nil },                   //nolint:staticcheck // the fault
		"append differs":    func(r *authv3.CheckResponse) { ok(r).Headers[0].Append = wrapperspb.Bool(true) }, //nolint:staticcheck // the fault
		"action differs": func(r *authv3.CheckResponse) {
			ok(r).Headers[0].AppendAction = corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
		},
		"other action":       func(r *authv3.CheckResponse) { ok(r).Headers[0].AppendAction = corev3.HeaderValueOption_ADD_IF_ABSENT },
		"raw value":          func(r *authv3.CheckResponse) { ok(r).Headers[0].Header.RawValue = []byte("ann") },
		"no name":            func(r *authv3.CheckResponse) { ok(r).Headers[0].Header.Key = "" },
		"no header":          func(r *authv3.CheckResponse) { ok(r).Headers[0].Header = nil },
		"nil option":         func(r *authv3.CheckResponse) { ok(r).Headers[0] = nil },
		"splitting":          func(r *authv3.CheckResponse) { ok(r).Headers[0].Header.Value = "a\r\nb: c" },
		"splitting response": func(r *authv3.CheckResponse) { ok(r).ResponseHeadersToAdd[0].Header.Value = "a\nb" },
		"not UTF-8":          func(r *authv3.CheckResponse) { ok(r).Headers[0].Header.Value = "\xff" },
		"set and removed": func(r *authv3.CheckResponse) {
			ok(r).HeadersToRemove = append(ok(r).HeadersToRemove, "X-Rolegate-Subject")
		},
		"neither":            func(r *authv3.CheckResponse) { ok(r).HeadersToRemove = nil },
		"removal of nothing": func(r *authv3.CheckResponse) { ok(r).HeadersToRemove = append(ok(r).HeadersToRemove, "") },
		"removal of a NUL":   func(r *authv3.CheckResponse) { ok(r).HeadersToRemove = append(ok(r).HeadersToRemove, "x\x00") },
	} {
		r := sound(policy.Allow)
		change(r)
		sent, fault := guard(r, policy.Allow)
		if fault == "" || sent.GetStatus().GetCode() != int32(codes.PermissionDenied) || sent.GetDeniedResponse() == nil {
			t.Errorf("%s: got %v and fault %q, want a denial", name, sent, fault)
		}
	}
	if sent, fault := guard(nil, policy.Allow); fault == "" || sent.GetStatus().GetCode() == 0 {
		t.Errorf("nil: got %v", sent)
	}
	for name, change := range map[string]func(*authv3.CheckResponse){
		"status OK":    func(r *authv3.CheckResponse) { r.Status = status(codes.OK) },
		"no status":    func(r *authv3.CheckResponse) { r.Status = nil },
		"ok_response":  func(r *authv3.CheckResponse) { r.HttpResponse = sound(policy.Allow).HttpResponse },
		"HTTP success": func(r *authv3.CheckResponse) { r.GetDeniedResponse().Status.Code = typev3.StatusCode_OK },
		"no HTTP":      func(r *authv3.CheckResponse) { r.GetDeniedResponse().Status = nil },
		"body":         func(r *authv3.CheckResponse) { r.GetDeniedResponse().Body = "\xff" },
		"header":       func(r *authv3.CheckResponse) { r.GetDeniedResponse().Headers[0].Append = nil }, //nolint:staticcheck // the fault
	} {
		r := sound(policy.Deny)
		change(r)
		if sent, fault := guard(r, policy.Deny); fault == "" || sent.GetStatus().GetCode() != int32(codes.PermissionDenied) {
			t.Errorf("a denial with %s: got %v and fault %q, want a plain denial", name, sent, fault)
		}
	}
}
