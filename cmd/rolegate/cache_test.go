package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/internal/admin"
	"github.com/rolegate/rolegate/policy"
)

func TestCacheStatsShowEveryNumber(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out, format: "pretty", color: "never"}
	err := p.showCache(statsOf(admin.Status{Generation: 3, Cache: admin.Cache{
		Hits: 90, Misses: 5, Waits: 1, Bypassed: 4, BypassedBy: map[string]uint64{"clock": 3, "audit": 1}, NotRemembered: "audit",
		Stored: 6, Dropped: 7, Rejected: 2, Evicted: 3, Cost: 50, Capacity: 60, Audits: 8, Mismatches: 1,
	}}))
	want := `hit ratio   90.0 %  generation 3
hits        90      answered from memory
misses      5       evaluated
waits       1       answered by another request's evaluation
bypassed    4       evaluated, may not be remembered
  audit     1       an audit found another answer, until the next generation
  clock     3       the policy reads the clock and does not say how long its answer holds
stored      6       handed to memory and accepted
dropped     7       handed to memory while it was busy
rejected    2       of the stored, turned away for more frequent ones
evicted     3       made room for others, or their time was over
held        50      entries, of 60; a long key counts as several
audits      8       decided again on the whole input
mismatches  1       of those, which differed: must stay 0
note: nothing is remembered now: an audit found another answer, until the next generation
error: an audit found another answer: report this, with the server's log
`
	if diff := cmp.Diff(want, out.String()); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// An audit that found another answer is told to operators in every way they look, without
// what a policy may have put into its reason.
func TestAnAuditThatDiffersIsTold(t *testing.T) {
	core, logs := observer.New(zapcore.ErrorLevel)
	cfg := defaultConfig()
	cfg.Loader.Dir = demoDir(t).dir
	r := start(t, cfg)
	until(t, "/readyz", func() bool { status, _ := r.get(t, "/readyz"); return status == http.StatusOK })
	r.log = zap.New(core)
	if now := r.status(); now.Degraded || now.Cache.NotRemembered != "" {
		t.Fatalf("got %+v before any audit", now)
	}

	r.mismatch(policy.Mismatch{
		Entrypoint: policy.DefaultEntrypoint, Generation: r.engine.View().Generation(), Origin: policy.OriginHit,
		Got: policy.ReasonAllowed, Want: "card 4711 is stolen", Question: "01", GotResult: "02", WantResult: "03",
	})
	if now := r.status(); !now.Degraded {
		t.Errorf("got %+v, want degraded", now)
	}
	got := logs.TakeAll()
	if len(got) != 1 {
		t.Fatalf("got %d lines of level error, want 1", len(got))
	}
	want := map[string]any{
		"entrypoint": policy.DefaultEntrypoint, "generation": uint64(1), "source": "hit", "got": policy.ReasonAllowed, "want": policy.ReasonCustom,
		"question": "01", "got_result": "02", "want_result": "03",
	}
	if diff := cmp.Diff(want, got[0].ContextMap()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}

	r.install(r.engine.View().Snapshot()) // the next generation is trusted again
	if now := r.status(); now.Degraded {
		t.Errorf("got %+v in the next generation, want nothing of the last", now)
	}
}

// What answers is not always a server of ours.
func TestCacheStatsOfWhatIsNoServerOfOurs(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"no JSON":         {"hello", "read the status"},
		"another version": {`{"schema_version": 99}`, "version 99"},
		"another JSON":    {`{}`, "version 0"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, c.body)
		}))
		if _, err := statusOf(t.Context(), server.URL); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		server.Close()
	}
}
