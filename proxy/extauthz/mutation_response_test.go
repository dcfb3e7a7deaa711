package extauthz

import (
	"net/http"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// TestEveryHTTPStatus: what Envoy is given as the status of a denial is never that of a
// success, unless that is meant, and one that Envoy knows.
func TestEveryHTTPStatus(t *testing.T) {
	for code := -1; code <= 1000; code++ {
		_, known := typev3.StatusCode_name[int32(code)]
		for _, success := range []bool{false, true} {
			want := typev3.StatusCode_Forbidden
			if known && (code >= 300 && code <= 599 || success && code >= 200 && code <= 299) {
				want = typev3.StatusCode(code)
			}
			if got := httpStatus(code, success); got != want {
				t.Errorf("%d, success meant %v: got %d, want %d", code, success, got, want)
			}
		}
	}
}

// TestGuardKnowsEveryStatus: the guard looks by itself at the status of a denial.
func TestGuardKnowsEveryStatus(t *testing.T) {
	for code := -1; code <= 1000; code++ {
		for _, success := range []bool{false, true} {
			r := refusal()
			r.GetDeniedResponse().Status.Code = typev3.StatusCode(code)
			want := code >= 300 && code <= 599 || success && code >= 200 && code <= 299
			sent, fault := guardAs(r, meaning{anyStatus: success})
			if (fault == "") != want {
				t.Errorf("%d, success meant %v: got fault %q", code, success, fault)
			}
			if sent.GetStatus().GetCode() != int32(codes.PermissionDenied) {
				t.Errorf("%d: got %v", code, sent)
			}
		}
	}
}

// TestGuardKnowsEveryByte: which a header may hold, in its name and its value.
func TestGuardKnowsEveryByte(t *testing.T) {
	for i := range 256 {
		c := string([]byte{byte(i)})
		if want := i >= ' ' && i < 0x7f; holdable("x"+c) != want {
			t.Errorf("%q: got %v, want %v", c, !want, want)
		}
	}
	for text, want := range map[string]bool{"": true, "é": true, "\u0080": true, "a\x7fb": false} {
		if holdable(text) != want {
			t.Errorf("%q: got %v, want %v", text, !want, want)
		}
	}
}

// TestMeaning: an answer is meant to pass if it does, and may look like a success only if
// it says so.
func TestMeaning(t *testing.T) {
	for effect, want := range map[policy.Effect]policy.Effect{policy.Deny: policy.Deny, policy.Allow: policy.Allow, 2: 2} {
		for _, anyStatus := range []bool{false, true} {
			a := proxy.Answer{Decision: policy.Decision{Effect: effect}, Reply: proxy.Reply{AnyStatus: anyStatus}}
			if got := meaningOf(a); got != (meaning{want, anyStatus}) {
				t.Errorf("%v, any status %v: got %+v", effect, anyStatus, got)
			}
		}
	}
	lifted := proxy.Answer{DryRun: true}
	if got := meaningOf(lifted); (got.effect == policy.Allow) != lifted.Passes() {
		t.Errorf("a dry run that passes (%v) is meant as %+v", lifted.Passes(), got)
	}
	if got := metadata(lifted).GetFields()["dry_run"].GetBoolValue(); !got {
		t.Error("a dry run is not noted")
	}
	if _, noted := metadata(proxy.Answer{}).GetFields()["dry_run"]; noted {
		t.Error("what is no dry run is noted as one")
	}
}

// TestEmptyBodies: a response whose kind is set and whose body is not.
func TestEmptyBodies(t *testing.T) {
	empty := &authv3.CheckResponse{Status: status(codes.OK), HttpResponse: &authv3.CheckResponse_OkResponse{}}
	if fault := contradiction(empty, meaning{effect: policy.Allow}); fault != "an empty response" {
		t.Errorf("got %q", fault)
	}
	if fault := contradiction(nil, meaning{effect: policy.Allow}); fault != "no status" {
		t.Errorf("nil: got %q", fault)
	}
	if options(nil) != nil || options([]proxy.Header{}) != nil {
		t.Error("no headers: got some")
	}
	unnamed := &corev3.HeaderValueOption{Append: wrapperspb.Bool(false), AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD, Header: &corev3.HeaderValue{Value: "v"}} //nolint:staticcheck // deprecated, and read
	if optionContradiction(unnamed) == "" {
		t.Error("a header without a name passes")
	}
}

// TestMetadataOfAnswers: what is noted of a decision, and who wins where the policy notes
// the same.
func TestMetadataOfAnswers(t *testing.T) {
	theirs := ast.NewObject(
		[2]*ast.Term{ast.StringTerm("decision_id"), ast.StringTerm("mine")},
		[2]*ast.Term{ast.StringTerm("reason"), ast.StringTerm("mine")},
		[2]*ast.Term{ast.StringTerm("list"), ast.ArrayTerm(ast.IntNumberTerm(1), ast.BooleanTerm(true), ast.NullTerm())},
		[2]*ast.Term{ast.StringTerm("set"), ast.SetTerm(ast.StringTerm("a"))},
		[2]*ast.Term{ast.StringTerm("beyond all bounds"), ast.NewTerm(ast.Number("1e400"))},
		[2]*ast.Term{ast.IntNumberTerm(7), ast.StringTerm("no key")},
		[2]*ast.Term{ast.StringTerm("object"), ast.ObjectTerm([2]*ast.Term{ast.StringTerm("a"), ast.StringTerm("b")}, [2]*ast.Term{ast.IntNumberTerm(7), ast.StringTerm("no key")})},
	)
	revisions := map[string]string{}
	for _, first := range []bool{false, true} {
		for n, want := range map[int]bool{0: false, 1: true, maxRevisions: true, maxRevisions + 1: false} {
			clear(revisions)
			for i := range n {
				revisions[strings.Repeat("b", i+1)] = "r"
			}
			a := proxy.Answer{ID: "0123", Revisions: revisions, Reply: proxy.Reply{Metadata: theirs, MetadataFirst: first}}
			a.Reason = strings.Repeat("x", maxReason+1)
			got := metadata(a).AsMap()
			reason := a.Reason[:maxReason]
			if first {
				reason = "mine"
			}
			expected := map[string]any{
				"decision_id": "0123", "reason": reason, "verdict": got["verdict"], "generation": 0.0, "source": "none",
				"beyond all bounds": nil, "list": []any{1.0, true, nil}, "set": []any{"a"}, "object": map[string]any{"a": "b"},
			}
			if want {
				all := map[string]any{}
				for bundle := range revisions {
					all[bundle] = "r"
				}
				expected["revisions"] = all
			}
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("%d bundles, theirs first %v: (-want +got)\n%s", n, first, diff)
			}
		}
	}
	short := proxy.Answer{}
	short.Reason, short.Origin = strings.Repeat("x", maxReason), policy.OriginHit
	if got := metadata(short).AsMap(); got["reason"] != short.Reason || got["source"] != string(policy.OriginHit) {
		t.Errorf("got %v", got)
	}
	broken := proxy.Answer{}
	broken.Reason = "a\xffb"
	if got := metadata(broken).AsMap(); got["reason"] != "ab" {
		t.Errorf("a reason that is not UTF-8: got %q, want what is readable of it", got["reason"])
	}
}

// TestHTTPDenials: over HTTP no denial has a status of which Envoy makes an error, and a
// fault has 503.
func TestHTTPDenials(t *testing.T) {
	for code := -1; code <= 1000; code++ {
		want := http.StatusForbidden
		if _, known := typev3.StatusCode_name[int32(code)]; known && code >= 300 && code <= 499 {
			want = code
		}
		if got := httpDenied(proxy.Reply{Status: code, AnyStatus: true}); got != want {
			t.Errorf("%d: got %d, want %d", code, got, want)
		}
		if got := httpDenied(proxy.Reply{Status: code, Fault: true}); got != http.StatusServiceUnavailable {
			t.Errorf("a fault with %d: got %d, want 503", code, got)
		}
	}
}

// TestCopiesAreJoined: of the copies of one header the HTTP service says one line.
func TestCopiesAreJoined(t *testing.T) {
	one := func(name, value string) proxy.Header { return proxy.Header{Name: name, Value: value} }
	more := func(name, value string) proxy.Header { return proxy.Header{Name: name, Value: value, Append: true} }
	for name, c := range map[string]struct{ list, want []proxy.Header }{
		"one of each":             {[]proxy.Header{one("a", "1"), one("b", "2")}, []proxy.Header{one("a", "1"), one("b", "2")}},
		"an appended one alone":   {[]proxy.Header{more("a", "1")}, []proxy.Header{one("a", "1")}},
		"a list":                  {[]proxy.Header{one("a", "1"), more("a", "2"), more("A", "3"), one("b", "4")}, []proxy.Header{one("a", "1,2,3"), one("b", "4")}},
		"a list behind another":   {[]proxy.Header{one("b", "0"), one("a", "1"), more("a", "2")}, []proxy.Header{one("b", "0"), one("a", "1,2")}},
		"cookies":                 {[]proxy.Header{one("cookie", "a=1"), more("cookie", "b=2")}, []proxy.Header{one("cookie", "a=1; b=2")}},
		"the second in its place": {[]proxy.Header{one("a", "1"), one("A", "2")}, []proxy.Header{one("a", "2")}},
	} {
		if diff := cmp.Diff(c.want, joinCopies(c.list)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
