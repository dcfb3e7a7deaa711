package proxy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zaptest"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// TestRequestsAsTheyWereSent: to the profile opa-envoy a request that has no one reading is
// of no route, whatever the routes say, and goes to the policy; one that policies cannot be
// shown, or whose headers cannot be cleaned, is refused before.
func TestRequestsAsTheyWereSent(t *testing.T) {
	const rego = `package mine

decision := {"allowed": true, "headers": {"x-route": object.get(input.route, "id", "none"), "x-error": object.get(input.route, "error", "none")}}`
	const data = `{"routes": {"s": {"prefixes": ["/"], "trailing_slash": "same", "routes": [
		{"id": "root", "methods": ["*"], "path": "/", "public": true},
		{"id": "host", "methods": ["*"], "path": "/host", "resource": "{host}", "action": "read"},
		{"id": "any", "methods": ["*"], "path": "/{x...}", "public": true}]}}}`
	type told struct {
		Reason, Route, Error, Host, Path string
		Status                           int
		Remove                           []string
	}
	refused := func(why string) told {
		return told{Reason: policy.ReasonMalformedRequest, Status: 400, Error: why}
	}
	passed := func(route, host, path string) told {
		return told{Reason: policy.ReasonAllowed, Route: route, Host: host, Path: path}
	}
	with := func(want told, remove ...string) told {
		want.Remove = remove
		return want
	}
	for name, c := range map[string]struct {
		in     proxy.Inbound
		strict bool
		want   told
	}{
		"a plain one":               {in: proxy.Inbound{Method: "GET", Host: "H.example", Path: "/a/b?x=1"}, want: passed("any none", "h.example", "/a/b")},
		"of a host":                 {in: proxy.Inbound{Method: "GET", Host: "H.example", Path: "/host"}, want: passed("host none", "h.example", "/host")},
		"without a host":            {in: proxy.Inbound{Method: "GET", Path: "/a"}, want: passed("any none", "", "/a")},
		"a tunnel":                  {in: proxy.Inbound{Method: "CONNECT", Host: "h", Path: "/a"}, want: passed("any none", "h", "/a")},
		"a method that is none":     {in: proxy.Inbound{Method: "GE T", Host: "h", Path: "/a"}, want: passed("none no_route", "", "")},
		"a path of two readings":    {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/a/../b"}, want: passed("none no_route", "", "")},
		"a path that is none":       {in: proxy.Inbound{Method: "GET", Host: "h", Path: "*"}, want: passed("none no_route", "", "")},
		"a host that is none":       {in: proxy.Inbound{Method: "GET", Host: "a@b", Path: "/a"}, want: passed("none no_route", "", "")},
		"two readings, strictly":    {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/a/../b"}, strict: true, want: refused("path refused: dot_segment at byte 3")},
		"an escape that is none":    {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/%zz"}, want: refused("path escapes")},
		"a query that cannot be":    {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/a?x=%zz"}, want: refused("query escapes")},
		"unread by the surface":     {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/a", Malformed: "torn"}, want: refused("torn")},
		"names of usual headers":    {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/a", HeaderNames: slices.Values([]string{"accept"})}, want: passed("any none", "h", "/a")},
		"a header to take out":      {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/a", HeaderNames: slices.Values([]string{"X_Rolegate_Fake", "accept"})}, want: with(passed("any none", "h", "/a"), "x_rolegate_fake")},
		"the same, of no route":     {in: proxy.Inbound{Method: "GET", Host: "h", Path: "//a", HeaderNames: slices.Values([]string{"X_Rolegate_Fake"})}, want: with(passed("none no_route", "", ""), "x_rolegate_fake")},
		"one that nobody takes out": {in: proxy.Inbound{Method: "GET", Host: "h", Path: "/a", HeaderNames: slices.Values([]string{"x_rolegate_\x00", "accept"})}, want: refused("header name")},
	} {
		t.Run(name, func(t *testing.T) {
			var records recorded
			cfg := proxy.Config{Profile: proxy.ProfileOPAEnvoy, StrictPaths: c.strict, MaxTime: time.Minute}
			g := gate(t, cfg, engine(t, rego, data), nil, zaptest.NewLogger(t), &records)
			a := g.Check(t.Context(), c.in)
			got := told{
				Reason: a.Reason, Error: records[0].Error, Host: records[0].Host, Path: records[0].Path, Status: a.Reply.Status,
			}
			for _, h := range a.Reply.SetHeaders { // what the policy saw, in the order of their names
				switch h.Name {
				case "x-route":
					got.Route = h.Value + got.Route
				case "x-error":
					got.Route += " " + h.Value
				}
			}
			for _, name := range a.Reply.RemoveHeaders {
				if name != proxy.HeaderSubject && name != proxy.HeaderTenant && name != proxy.HeaderRoles {
					got.Remove = append(got.Remove, name)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s %q %q (-want +got):\n%s", c.in.Method, c.in.Host, c.in.Path, diff)
			}
		})
	}
}
