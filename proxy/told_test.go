package proxy_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// teller writes an answer as JSON, and counts.
type teller struct{ said int }

func (t *teller) Tell(a proxy.Answer) []byte {
	t.said++
	raw, err := json.Marshal(map[string]any{
		"id": a.ID, "again": a.ID, "effect": a.Effect.String(), "reason": a.Reason, "origin": a.Origin, "generation": a.Generation,
		"reply": a.Reply, "subject": a.Subject.ID, "route": a.Route.ID, "tenant": a.Tenant, "roles": a.Roles,
	})
	if err != nil {
		return []byte(err.Error())
	}
	return raw
}

// telling is a gate whose subject and clock a test chooses.
type telling struct {
	*proxy.Gate
	engine  *policy.Engine
	subject policy.Subject
	now     time.Time
	records recorded
	reg     *prometheus.Registry
	teller  *teller
	in      proxy.Inbound
}

func newTelling(t *testing.T, rego string) *telling {
	t.Helper()
	g := &telling{
		subject: policy.Subject{ID: "ann", Type: "user"}, now: now(), reg: prometheus.NewRegistry(), teller: &teller{},
		in: proxy.Inbound{Protocol: proxy.ProtocolGRPC, Method: "GET", Host: "api.example.com", Path: "/v1/acme/documents/d-17"},
	}
	g.engine = engineWith(t, policy.Config{Timeout: time.Minute, AuditEvery: -1}, rego, benchData)
	var err error
	g.Gate, err = proxy.New(proxy.Config{MaxTime: time.Minute}, g.engine, authenticator(func() (policy.Subject, error) { return g.subject, nil }),
		[]proxy.Recorder{&g.records}, g.reg, func() time.Time { return g.now }, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// tell asks once and answers what was said, with the id written out.
func (g *telling) tell(t *testing.T) string {
	t.Helper()
	message := string(g.Tell(t.Context(), nil, &g.in, g.teller))
	id := g.records[len(g.records)-1].ID
	if len(id) != 32 || strings.Count(message, id) < 2 {
		t.Fatalf("the id of the record, %q, is not in %s", id, message)
	}
	return strings.ReplaceAll(message, id, "ID")
}

// tellAgain asks until nothing has to be made to answer.
func (g *telling) tellAgain(t *testing.T) string {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; {
		before := g.teller.said
		if message := g.tell(t); g.teller.said == before {
			return message
		}
		if time.Now().After(limit) {
			t.Fatal("nothing is said again")
		}
		runtime.Gosched() // it remembers on its own time
	}
}

func TestWhatIsSaidAgainIsRecordedAndCounted(t *testing.T) {
	g := newTelling(t, benchRego)
	message := g.tellAgain(t)
	if !strings.Contains(message, `"origin":"hit"`) || !strings.Contains(message, `"x-rolegate-subject"`) || !strings.Contains(message, `"subject":""`) {
		t.Errorf("said again: %s", message)
	}
	said := g.records[len(g.records)-1]
	g.Check(t.Context(), g.in)
	checked := g.records[len(g.records)-1]
	if diff := cmp.Diff(checked, said, cmpopts.IgnoreFields(proxy.Record{}, "ID"), cmpopts.IgnoreFields(proxy.Record{}, "Route")); diff != "" {
		t.Errorf("recorded (-checked +said again):\n%s", diff)
	}
	if said.Route.ID != "doc" || said.Tenant != "acme" {
		t.Errorf("got %+v", said)
	}
	families, err := g.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var counted float64
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "rolegate_decisions_total" {
				counted += m.GetCounter().GetValue()
			}
		}
	}
	if int(counted) != len(g.records) {
		t.Errorf("counted %v of %d decisions", counted, len(g.records))
	}
}

// TestNothingIsSaidAgainToWhomItIsNotTheSame: each change makes another reply of the
// same remembered decision, for this policy does not read the subject.
func TestNothingIsSaidAgainToWhomItIsNotTheSame(t *testing.T) {
	expires := func(ms int) policy.Subject {
		return policy.Subject{ID: "ann", Claims: object(t, fmt.Appendf(nil, `{"exp": %d}`, ms))}.Ready()
	}
	for name, change := range map[string]func(g *telling){
		"another subject":         func(g *telling) { g.subject.ID = "bob" },
		"nobody":                  func(g *telling) { g.subject = policy.Subject{} },
		"a token that expired":    func(g *telling) { g.subject = expires(int(g.now.UnixMilli())) },
		"a header to take out":    func(g *telling) { g.in.HeaderNames = func(yield func(string) bool) { yield("X_Rolegate_Fake") } },
		"another surface":         func(g *telling) { g.teller = &teller{} },
		"another generation":      func(g *telling) { g.engine.Install(g.engine.View().Snapshot()) },
		"a path that is refused":  func(g *telling) { g.in.Path = "/v1/acme/documents/.." },
		"a path without a route":  func(g *telling) { g.in.Path = "/v1/acme" },
		"a host that is refused":  func(g *telling) { g.in.Host = "a..b" },
		"a message that is wrong": func(g *telling) { g.in.Malformed = "wrong" },
	} {
		t.Run(name, func(t *testing.T) {
			g := newTelling(t, benchRego)
			before := g.tellAgain(t)
			change(g)
			said := g.teller.said
			if after := g.tell(t); g.teller.said == said || after == before && name != "another surface" {
				t.Errorf("said again: %s", after)
			}
		})
	}
	t.Run("a token that has time", func(t *testing.T) {
		g := newTelling(t, benchRego)
		before := g.tellAgain(t)
		g.subject = expires(int(g.now.UnixMilli()) + 1)
		if after := g.tellAgain(t); after != before {
			t.Errorf("got %s\nwant %s", after, before)
		}
		g.now = g.now.Add(time.Millisecond)
		if after := g.tell(t); strings.Contains(after, `"Name":"x-rolegate-subject","Value":"ann"`) {
			t.Errorf("an outdated token vouches for its subject: %s", after)
		}
	})
}
