package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/policy"
)

// value reads what a policy says, written as JSON.
func value(t *testing.T, text string) ast.Value {
	t.Helper()
	v, err := ast.ValueFromReader(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// TestEveryUnsettableHeader: none of those that frame, route or attribute a message can be
// set or removed, however it is spelt; what only looks like one can.
func TestEveryUnsettableHeader(t *testing.T) {
	for _, name := range []string{
		"host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "keep-alive", "trailer",
		"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-client-cert",
		":path", ":", "proxy-authorization", "proxy-", "x-envoy-original-path", "x-envoy-", "x-rolegate-", "x-rolegate-roles",
	} {
		for _, spelt := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "-", "_")} {
			if got, err := headerName(ast.String(spelt)); err == nil || got != "" {
				t.Errorf("%q: got %q, want an error", spelt, got)
			}
		}
	}
	for _, name := range []string{"hosts", "x-host", "content-lengthy", "tea", "x-forwarded", "proxy", "x-envoy", "x-rolegate", "trailers", "upgrade-insecure-requests"} {
		if got, err := headerName(ast.String(strings.ToUpper(name))); err != nil || got != name {
			t.Errorf("%q: got %q, %v, want it in lower case", name, got, err)
		}
	}
}

// TestBytes: which byte may stand where.
func TestBytes(t *testing.T) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for i := range 256 {
		c := string([]byte{byte(i)})
		ascii := i < 0x80
		for what, check := range map[string]struct{ got, want bool }{
			"in a name":         {validName("x" + c), ascii && strings.IndexByte(letters+"!#$%&'*+-.^_`|~", byte(i)) >= 0},
			"in a value":        {validValue("x" + c), i >= 0x20 && i < 0x7f},
			"in a parameter":    {plainParameter("x" + c), ascii && strings.IndexByte(letters+"-._~", byte(i)) >= 0},
			"unescaped":         {Escape(c) == c, i > 0x20 && i < 0x7f && c != "%" && c != ","},
			"begins a reserved": {begins("x-rolegate"+c, reservedPrefix), c == "-" || c == "_"},
		} {
			if check.got != check.want {
				t.Errorf("%q %s: got %v, want %v", c, what, check.got, check.want)
			}
		}
		if got := Escape(c); got != c && got != fmt.Sprintf("%%%02X", i) {
			t.Errorf("Escape(%q) = %q", c, got)
		}
	}
	if validName("") || !validValue("") || !validValue("é") || validValue("\xc3") {
		t.Error("an empty name, an empty value, UTF-8 and half of it: want false, true, true and false")
	}
}

// TestEveryDeniedStatus: a denial is an error of HTTP's or a redirect that says whereto,
// whatever the policy says.
func TestEveryDeniedStatus(t *testing.T) {
	location := []Header{{Name: "x-a"}, {Name: "location", Value: "/login"}}
	for status := -1; status <= 1000; status++ {
		known := http.StatusText(status) != ""
		want := http.StatusForbidden
		if known && status >= 400 && status <= 599 {
			want = status
		}
		if got := deniedStatus(status, []Header{{Name: "x-location"}}); got != want {
			t.Errorf("%d: got %d, want %d", status, got, want)
		}
		switch status {
		case 301, 302, 303, 307, 308:
			want = status
		}
		if got := deniedStatus(status, location); got != want {
			t.Errorf("%d with a location: got %d, want %d", status, got, want)
		}
	}
}

// TestEveryDeniedBody: the class of a denial, in words.
func TestEveryDeniedBody(t *testing.T) {
	for status, class := range map[int]string{
		400: "bad_request", 401: "unauthenticated", 403: "forbidden", 404: "not_found", 429: "too_many_requests", 402: "forbidden",
		499: "forbidden", 500: "unavailable", 503: "unavailable", 599: "unavailable", 302: "forbidden",
	} {
		var got map[string]string
		if err := json.Unmarshal([]byte(deniedBody(status, "0123")), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"error": class, "decision_id": "0123"}, got); diff != "" {
			t.Errorf("%d: (-want +got)\n%s", status, diff)
		}
	}
}

// TestBounds: what an answer carries is bounded exactly, wherever it stands.
func TestBounds(t *testing.T) {
	lists := map[string]func(r *Reply, name, value string){
		"set": func(r *Reply, name, value string) {
			r.SetHeaders = append(r.SetHeaders, Header{Name: name, Value: value})
		},
		"add to response": func(r *Reply, name, value string) {
			r.AddToResponse = append(r.AddToResponse, Header{Name: name, Value: value})
		},
		"denied": func(r *Reply, name, value string) { r.Headers = append(r.Headers, Header{Name: name, Value: value}) },
		"set query": func(r *Reply, name, value string) {
			r.SetQuery = append(r.SetQuery, Parameter{Name: name, Value: value})
		},
		"remove query": func(r *Reply, name, value string) { r.RemoveQuery = append(r.RemoveQuery, name+value) },
	}
	for name, add := range lists {
		many, large := &Reply{}, &Reply{}
		for range 32 {
			add(many, "", "")
		}
		add(large, "abcd", strings.Repeat("x", 8<<10-4))
		if err := many.withinBounds(); err != nil {
			t.Errorf("%s, 32 of them: %v", name, err)
		}
		if err := large.withinBounds(); err != nil {
			t.Errorf("%s, 8 KiB: %v", name, err)
		}
		add(many, "", "")
		if many.withinBounds() == nil {
			t.Errorf("%s, 33 of them: got no error", name)
		}
		add(large, "x", "")
		if large.withinBounds() == nil {
			t.Errorf("%s, 8 KiB and a byte: got no error", name)
		}
	}
	var list []string
	for i := range 33 {
		list = append(list, fmt.Sprint("x-", i))
	}
	for n, ok := range map[int]bool{32: true, 33: false} {
		text, err := json.Marshal(list[:n])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := names(value(t, string(text))); (err == nil) != ok || ok && len(got) != n {
			t.Errorf("%d names to remove: got %d, %v", n, len(got), err)
		}
	}
}

// TestWhatCannotBeMeant: a policy whose result is of the wrong shape does not decide.
func TestWhatCannotBeMeant(t *testing.T) {
	for _, c := range []struct {
		allowed bool
		result  string
	}{
		{true, `{"tenant": 7}`},
		{true, `{"roles": "a"}`},
		{true, `{"roles": ["a", 7]}`},
		{true, `{"roles": {"a": 1}}`},
		{true, `{"headers": 7}`},
		{true, `{"headers": ["x-a"]}`},
		{true, `{"headers": [{"x-a": 1}]}`},
		{true, `{"headers": [{"x-a": "1"}, 7]}`},
		{true, `{"headers": {"x-a": ["1", 2]}}`},
		{true, `{"headers": {"x a": "1"}}`},
		{true, `{"headers": {"": "1"}}`},
		{true, `{"headers": {"x-a": "a\u0000b"}}`},
		{true, `{"headers": [{"x-a": "a\u0000b"}]}`},
		{true, `{"response_headers_to_add": {"host": "a"}}`},
		{true, `{"request_headers_to_remove": "x-a"}`},
		{true, `{"request_headers_to_remove": [7]}`},
		{true, `{"request_headers_to_remove": ["x-a", ":path"]}`},
		{true, `{"query_parameters_to_set": ["a"]}`},
		{true, `{"query_parameters_to_set": "a"}`},
		{true, `{"query_parameters_to_set": {"a": 7}}`},
		{true, `{"query_parameters_to_set": {"": "a"}}`},
		{true, `{"query_parameters_to_set": {"a&b": "a"}}`},
		{true, `{"query_parameters_to_set": {"a": "a&b=1"}}`},
		{true, `{"query_parameters_to_set": {"a": ["a", "a&b=1"]}}`},
		{true, `{"query_parameters_to_remove": "a"}`},
		{true, `{"query_parameters_to_remove": [7]}`},
		{true, `{"query_parameters_to_remove": ["a\u0000"]}`},
		{true, `{"dynamic_metadata": []}`},
		{false, `{"headers": {"host": "a"}}`},
		{false, `{"http_status": "401"}`},
		{false, `{"http_status": 401.5}`},
		{false, `{"http_status": 1e400}`},
		{false, `{"body": 7}`},
		{false, `{"dynamic_metadata": 7}`},
	} {
		if got, err := carry(value(t, c.result), c.allowed, ProfileRolegate); err == nil {
			t.Errorf("%s: got %+v, want an error", c.result, got)
		}
	}
}

// TestKeysOfAnotherType: what JSON cannot say, Rego can. A name that is no text is an error;
// a key of the result that is none is a key that nobody knows.
func TestKeysOfAnotherType(t *testing.T) {
	odd := ast.NewObject([2]*ast.Term{ast.IntNumberTerm(1), ast.StringTerm("a")})
	for _, key := range []string{"headers", "response_headers_to_add", "query_parameters_to_set", "dynamic_metadata"} {
		result := ast.NewObject([2]*ast.Term{ast.StringTerm(key), ast.NewTerm(odd)})
		if got, err := carry(result, true, ProfileRolegate); err == nil {
			t.Errorf("%v: got %+v, want an error", result, got)
		}
	}
	if got, err := carry(odd, true, ProfileRolegate); err != nil || !cmp.Equal(got, carried{}, cmp.AllowUnexported(carried{})) {
		t.Errorf("%v: got %+v, %v, want nothing carried", odd, got, err)
	}
}

// TestWhatTheProfileOPAEnvoyCarries: names and values of a query as the policy encoded them,
// no tenant and no roles, and only statuses that Envoy sends.
func TestWhatTheProfileOPAEnvoyCarries(t *testing.T) {
	same := cmp.AllowUnexported(carried{})
	for _, c := range []struct {
		allowed bool
		result  string
		want    *carried // nil: an error
	}{
		{true, `{"tenant": "acme", "roles": ["a"]}`, &carried{}},
		{true, `{"query_parameters_to_set": {"a%5B%5D": ["b=c", "d+e"]}}`, &carried{setQuery: []Parameter{{"a%5B%5D", "b=c"}, {"a%5B%5D", "d+e"}}}},
		{true, `{"query_parameters_to_set": {"a=b": "c"}}`, nil},
		{true, `{"query_parameters_to_set": {"a": "b&c"}}`, nil},
		{true, `{"query_parameters_to_set": {"a": ["b", "b#"]}}`, nil},
		{true, `{"query_parameters_to_set": {"": "b"}}`, nil},
		{false, `{"http_status": 302}`, &carried{status: 302}},
		{false, `{"http_status": 418}`, nil},
		{false, `{"http_status": 0}`, nil},
	} {
		got, err := carry(value(t, c.result), c.allowed, ProfileOPAEnvoy)
		got.profile = ProfileRolegate
		switch {
		case c.want == nil:
			if err == nil {
				t.Errorf("%s: got %+v, want an error", c.result, got)
			}
		case err != nil || !cmp.Equal(*c.want, got, same):
			t.Errorf("%s: %v (-want +got)\n%s", c.result, err, cmp.Diff(*c.want, got, same))
		}
	}
}

// TestEveryStatusThatEnvoySends: all that HTTP knows from 200 on, but for three.
func TestEveryStatusThatEnvoySends(t *testing.T) {
	for status := -1; status <= 1000; status++ {
		want := status >= 200 && http.StatusText(status) != "" && status != 418 && status != 425 && status != 451
		if got := sendable(status); got != want {
			t.Errorf("%d: got %t, want %t", status, got, want)
		}
	}
}

// TestDeniedAsThePolicySays: in the profile opa-envoy the client gets what the policy says of
// a denial, 403 if it says no status, and nothing of ours.
func TestDeniedAsThePolicySays(t *testing.T) {
	cfg := Config{Profile: ProfileOPAEnvoy}
	for name, c := range map[string]struct {
		says carried
		want Reply
	}{
		"nothing":  {carried{}, Reply{Status: 403, AnyStatus: true, MetadataFirst: true}},
		"a status": {carried{status: 200}, Reply{Status: 200, AnyStatus: true, MetadataFirst: true}},
		"all": {
			carried{status: 401, body: "no", hasBody: true, headers: []Header{{"x-a", "1", false}}},
			Reply{Status: 401, AnyStatus: true, MetadataFirst: true, Body: "no", Headers: []Header{{"x-a", "1", false}}},
		},
	} {
		a := Answer{ID: "0123", Decision: policy.Decision{Result: ast.Boolean(false)}}
		if err := cfg.replyTo(&a, c.says, nil, time.UnixMilli(0)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, a.Reply); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

// TestWhatIsMissingIsNotEmpty: what a request does not have, or has twice, is not the empty
// text.
func TestWhatIsMissingIsNotEmpty(t *testing.T) {
	c := newCheck(&Gate{})
	c.in.Extensions = map[string]string{"empty": ""}
	c.in.Credentials.Headers = oneHeader{"x-empty": {""}, "x-twice": {"a", "b"}}
	for name, want := range map[string]bool{"empty": true, "missing": false} {
		if v, ok := c.extension(name); ok != want || v != "" {
			t.Errorf("extension %s: got %q, %t, want %t", name, v, ok, want)
		}
	}
	for name, want := range map[string]bool{"X-Empty": true, "x-twice": false, "x-missing": false} {
		if v, ok := c.header(name); ok != want || v != "" {
			t.Errorf("header %s: got %q, %t, want %t", name, v, ok, want)
		}
	}
}

type oneHeader map[string][]string

// Values implements [Headers].
func (h oneHeader) Values(name string) []string { return h[name] }

// TestWhatIsCarried: what has the right shape arrives whole.
func TestWhatIsCarried(t *testing.T) {
	same := cmp.AllowUnexported(carried{})
	for _, c := range []struct {
		allowed bool
		result  string
		want    carried
	}{
		{true, `true`, carried{}},
		{true, `{"tenant": null, "roles": [], "other": 7}`, carried{roles: []string{}}},
		{true, `{"tenant": "acme", "roles": ["a", "b"]}`, carried{tenant: "acme", roles: []string{"a", "b"}}},
		{true, `{"headers": [{"X-A": "1"}, {"x-a": ["2", "3"]}, {"x-b": ""}]}`, carried{headers: []Header{
			{"x-a", "1", false}, {"x-a", "2", true}, {"x-a", "3", true}, {"x-b", "", false},
		}}},
		{true, `{"response_headers_to_add": {"x-a": "1"}}`, carried{addToResponse: []Header{{"x-a", "1", true}}}},
		{true, `{"request_headers_to_remove": ["X-A", "x-b"]}`, carried{removeHeaders: []string{"x-a", "x-b"}}},
		{true, `{"query_parameters_to_set": {"a": ["1", "2"]}}`, carried{setQuery: []Parameter{{"a", "1"}, {"a", "2"}}}},
		{true, `{"query_parameters_to_remove": ["a b", "c"]}`, carried{removeQuery: []string{"a b", "c"}}},
		{true, `{"http_status": "x", "body": 7}`, carried{}}, // of denials: not looked at
		{false, `{"http_status": 404, "body": "no"}`, carried{status: 404, body: "no", hasBody: true}},
		{false, `{"body": ""}`, carried{hasBody: true}},
		{false, `{"query_parameters_to_set": 7, "response_headers_to_add": 7}`, carried{}},
	} {
		got, err := carry(value(t, c.result), c.allowed, ProfileRolegate)
		if err != nil {
			t.Errorf("%s: %v", c.result, err)
		}
		if diff := cmp.Diff(c.want, got, same); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.result, diff)
		}
	}
	body := ast.NewObject([2]*ast.Term{ast.StringTerm("body"), ast.StringTerm(strings.Repeat("x", maxBody))})
	if _, err := carry(body, false, ProfileRolegate); err != nil {
		t.Errorf("the longest body: %v", err)
	}
	for _, bad := range []string{strings.Repeat("x", maxBody+1), "\xff"} {
		body = ast.NewObject([2]*ast.Term{ast.StringTerm("body"), ast.StringTerm(bad)})
		if _, err := carry(body, false, ProfileRolegate); err == nil {
			t.Errorf("a body of %d bytes: got no error", len(bad))
		}
	}
}

// nested is a value of so many levels.
func nested(levels int) ast.Value {
	var v ast.Value = ast.Boolean(true)
	for range levels - 1 {
		v = ast.NewObject([2]*ast.Term{ast.StringTerm("a"), ast.NewTerm(v)})
	}
	return v
}

// TestMetadataBounds: depth and number, exactly.
func TestMetadataBounds(t *testing.T) {
	for levels, ok := range map[int]bool{maxMetadataDepth: true, maxMetadataDepth + 1: false} {
		if _, err := metadata(nested(levels)); (err == nil) != ok {
			t.Errorf("%d levels: got %v", levels, err)
		}
	}
	list := func(n int) ast.Value {
		terms := make([]*ast.Term, n)
		for i := range terms {
			terms[i] = ast.IntNumberTerm(i)
		}
		return ast.NewObject([2]*ast.Term{ast.StringTerm("a"), ast.NewTerm(ast.NewArray(terms...))})
	}
	const around = 3 // the object, its key, the list
	for n, ok := range map[int]bool{maxMetadataNodes - around: true, maxMetadataNodes - around + 1: false} {
		if _, err := metadata(list(n)); (err == nil) != ok {
			t.Errorf("%d values: got %v", n, err)
		}
	}
	for _, bad := range []ast.Value{
		ast.NewObject([2]*ast.Term{ast.IntNumberTerm(1), ast.StringTerm("a")}),
		ast.NewObject([2]*ast.Term{ast.StringTerm("\xff"), ast.StringTerm("a")}),
		ast.NewObject([2]*ast.Term{ast.StringTerm("a"), ast.StringTerm("\xff")}),
		ast.NewObject([2]*ast.Term{ast.StringTerm("a"), ast.NewTerm(ast.NewArray(ast.StringTerm("\xff")))}),
		ast.NewObject([2]*ast.Term{ast.StringTerm("a"), ast.NewTerm(ast.NewSet(ast.StringTerm("b"), ast.StringTerm("\xff")))}),
		ast.NewObject([2]*ast.Term{ast.StringTerm("a"), ast.NewTerm(ast.Number("1e400"))}),
		ast.NewObject([2]*ast.Term{ast.StringTerm("a"), ast.VarTerm("x")}),
	} {
		if _, err := metadata(bad); err == nil {
			t.Errorf("%v: got no error", bad)
		}
	}
}

// TestVouched: the upstream is told a subject only of an allow that is about one, while it
// holds.
func TestVouched(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for name, c := range map[string]struct {
		answer Answer
		want   string
	}{
		"allow":  {Answer{Decision: policy.Decision{Effect: policy.Allow}, Subject: policy.Subject{ID: "ann"}}, "ann"},
		"deny":   {Answer{Decision: policy.Decision{Effect: policy.Deny}, Subject: policy.Subject{ID: "ann"}}, ""},
		"other":  {Answer{Decision: policy.Decision{Effect: 2}, Subject: policy.Subject{ID: "ann"}}, ""},
		"public": {Answer{Decision: policy.Decision{Effect: policy.Allow, Reason: policy.ReasonPublic}, Subject: policy.Subject{ID: "ann"}}, ""},
		"bad":    {Answer{Decision: policy.Decision{Effect: policy.Allow}, Subject: policy.Subject{ID: "ann", Error: policy.ReasonBadCredential}}, ""},
	} {
		if got := c.answer.vouched(now); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestNobodysTenantAndRoles: of an allow without a subject nothing is set, whatever the
// policy says of tenant and roles.
func TestNobodysTenantAndRoles(t *testing.T) {
	cfg, err := Config{}.checked()
	if err != nil {
		t.Fatal(err)
	}
	a := Answer{Decision: policy.Decision{Effect: policy.Allow, Reason: policy.ReasonPublic}}
	c := carried{tenant: "acme", roles: []string{"admin"}, removeHeaders: []string{"x-a", "x-a", HeaderRoles}}
	if err := cfg.replyTo(&a, c, spoofs{"x-a", "x-rolegate-roles"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	want := Reply{SetHeaders: []Header{}, RemoveHeaders: []string{HeaderSubject, HeaderTenant, HeaderRoles, "x-a"}}
	if diff := cmp.Diff(want, a.Reply); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestDeniedHeaders: what a policy says of a header of a denial stands instead of ours.
func TestDeniedHeaders(t *testing.T) {
	cfg, err := Config{}.checked()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status int
		ours   []Header
	}{
		{401, []Header{{"www-authenticate", "Bearer", false}}}, {503, []Header{{"retry-after", "1", false}}}, {403, nil},
	} {
		id := Header{Name: HeaderDecisionID, Value: "0123"}
		kind := Header{Name: "content-type", Value: "application/json"}
		for _, own := range append(c.ours, kind) {
			own.Value = "mine"
			a := Answer{ID: "0123"}
			cfg.deny(&a, carried{status: c.status, headers: []Header{own}})
			want := []Header{id}
			for _, h := range append(append([]Header{}, c.ours...), kind) {
				if h.Name != own.Name {
					want = append(want, h)
				}
			}
			if diff := cmp.Diff(append(want, own), a.Reply.Headers); diff != "" {
				t.Errorf("%d, %s: (-want +got)\n%s", c.status, own.Name, diff)
			}
		}
	}
}

// TestFaultsAndTheirStatus: which denials are faults of the server, and what the operator
// made of them.
func TestFaultsAndTheirStatus(t *testing.T) {
	type told struct {
		Status int
		Fault  bool
	}
	for _, c := range []struct {
		reason                     string
		byDefault, asDeny, asFault told
	}{
		{policy.ReasonTimeout, told{503, false}, told{403, false}, told{503, true}},
		{policy.ReasonNotReady, told{503, false}, told{403, false}, told{503, true}},
		{policy.ReasonPolicyError, told{403, false}, told{403, false}, told{503, true}},
		{policy.ReasonMalformedRequest, told{400, false}, told{400, false}, told{400, false}},
		{policy.ReasonUnauthenticated, told{401, false}, told{401, false}, told{401, false}},
		{policy.ReasonNoRoles, told{403, false}, told{403, false}, told{403, false}},
	} {
		for on, want := range map[OnError]told{OnErrorDefault: c.byDefault, OnErrorDeny: c.asDeny, OnErrorFault: c.asFault} {
			a := Answer{Decision: policy.Decision{Reason: c.reason}}
			cfg := Config{OnPolicyError: on}
			cfg.deny(&a, carried{})
			if got := (told{a.Reply.Status, a.Reply.Fault}); got != want {
				t.Errorf("%s, on_policy_error %q: got %+v, want %+v", c.reason, on, got, want)
			}
		}
	}
}

// TestSpoofsOnce: a name that was sent twice is taken out once.
func TestSpoofsOnce(t *testing.T) {
	var s spoofs
	for _, name := range []string{"x-rolegate-b", "X-Rolegate-A", "x-rolegate-b", "accept"} {
		if err := s.add(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(spoofs{"x-rolegate-a", "x-rolegate-b"}, s); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := s.add("x-rolegate-a b", nil); err == nil {
		t.Error("a name that cannot be taken out: got no error")
	}
}

// TestSizesOfSettings: the settings of a gate, at their bounds.
func TestSizesOfSettings(t *testing.T) {
	for _, c := range []struct {
		cfg Config
		ok  bool
	}{
		{Config{Challenge: strings.Repeat("x", maxHeaderBytes/2)}, true},
		{Config{Challenge: strings.Repeat("x", maxHeaderBytes/2+1)}, false},
		{Config{Challenge: "a\nb"}, false},
		{Config{MaxTime: -1}, false},
		{Config{MaxTime: 1, RetryAfter: time.Second}, true},
		{Config{RetryAfter: time.Second - 1}, false},
		{Config{ReservedHeaders: []string{"x-rolegate-other", "X_User"}}, true},
		{Config{ReservedHeaders: []string{"content-length"}}, false},
		{Config{ReservedHeaders: []string{"x user"}}, false},
		{Config{OnPolicyError: "allow"}, false},
	} {
		if _, err := c.cfg.checked(); (err == nil) != c.ok {
			t.Errorf("%+v: got %v, want ok %v", c.cfg, err, c.ok)
		}
	}
}

// TestClaims: a claim is a string, by its name or by a path of names.
func TestClaims(t *testing.T) {
	claims, ok := value(t, `{"a": "1", "n": 7, "o": {"b": "2", "p": {"c": "3"}}, "x.y": "4", "x": {"y": "5"}}`).(ast.Object)
	if !ok {
		t.Fatal("no object")
	}
	for name, want := range map[string]string{"a": "1", "o.b": "2", "o.p.c": "3", "x.y": "4"} {
		if got, ok := claim(claims, name); !ok || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "n", "o", "z", "z.b", "a.b", "n.b", "o.z", "o.p", ".", "o."} {
		if got, ok := claim(claims, name); ok || got != "" {
			t.Errorf("%s: got %q, %v, want none", name, got, ok)
		}
	}
	if got, ok := claim(nil, "a"); ok || got != "" {
		t.Errorf("of no claims: got %q, %v, want none", got, ok)
	}
}

// TestIDs: 128 bits, each digit of its own.
func TestIDs(t *testing.T) {
	var seen [idBytes]map[byte]bool
	for range 1000 {
		id := newID()
		for i, c := range id {
			if strings.IndexByte("0123456789abcdef", c) < 0 {
				t.Fatalf("%q at %d of %s", c, i, id)
			}
			if seen[i] == nil {
				seen[i] = map[byte]bool{}
			}
			seen[i][c] = true
		}
	}
	for i, digits := range seen {
		if len(digits) != 16 { // each is missing with a chance of 16·(15/16)^1000 < 2^-88
			t.Errorf("digit %d had %d values, want 16", i, len(digits))
		}
	}
	a, b := newID(), newID()
	if bytes.Equal(a[:16], a[16:]) || a == b {
		t.Errorf("%s and %s repeat themselves", a, b)
	}
}

// TestBriefly: what is kept of an error, exactly.
func TestBriefly(t *testing.T) {
	long := strings.Repeat("x", 200)
	for text, want := range map[string]string{
		"a":              "a",
		"a: b":           "a: b",
		"a: b: c: d":     "a: b: c",
		"a: b\nc":        "a: b",
		long:             long,
		long + "x":       long,
		long[:199] + "é": long[:199],
	} {
		if got := briefly(fmt.Errorf("%s", text)).Error(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
