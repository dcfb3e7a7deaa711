package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/load"
)

// traffic is a load in the background: bob, who is always allowed to read, and eve,
// who never is.
type traffic struct {
	cancel context.CancelFunc
	done   chan load.Report

	mu   sync.Mutex
	seen map[string]int
}

// begin starts a load on s. Paths of eve's requests end in "denied": none of them may
// reach the application.
func begin(t *testing.T, s *stack) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tr := &traffic{cancel: cancel, done: make(chan load.Report, 1), seen: map[string]int{}}
	go func() {
		tr.done <- load.Closed(ctx, workers, func(ctx context.Context, worker, n int) string {
			user, path := "bob", "/v1/acme/documents/"+strconv.Itoa(n)
			if worker == 0 {
				user, path = "eve", path+"-denied"
			}
			outcome := user
			if got, err := s.get(ctx, http.MethodGet, path, user); err != nil {
				outcome += " " + err.Error()
			} else {
				outcome += " " + strconv.Itoa(got.status)
			}
			tr.mu.Lock()
			tr.seen[outcome]++
			tr.mu.Unlock()
			return outcome
		})
	}()
	t.Cleanup(cancel)
	return tr
}

// count is how often an outcome was seen so far.
func (tr *traffic) count(outcome string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.seen[outcome]
}

// all is what was seen so far.
func (tr *traffic) all() map[string]int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.seen)
}

// more waits until an outcome has been seen n times more.
func (tr *traffic) more(t *testing.T, outcome string, n int) {
	t.Helper()
	before := tr.count(outcome)
	deadline := time.Now().Add(patience)
	for tr.count(outcome) < before+n {
		if time.Now().After(deadline) {
			t.Fatalf("%s was seen %d times more within %s, want %d; there were %v", outcome, tr.count(outcome)-before, patience, n, tr.all())
		}
		time.Sleep(time.Millisecond)
	}
}

// end stops the load and checks that nothing but the outcomes was seen.
func (tr *traffic) end(t *testing.T, want ...string) load.Report {
	t.Helper()
	tr.cancel()
	report := <-tr.done
	t.Log(report)
	for outcome, n := range report.Outcomes {
		if !slices.Contains(want, outcome) {
			t.Errorf("%d × %s, want only %q", n, outcome, want)
		}
	}
	return report
}

// TestCrash kills rolegate as the kernel would when memory ends. Envoy refuses with
// 503 and lets nothing pass; when rolegate is back, so is the traffic.
func TestCrash(t *testing.T) {
	for way, o := range ways() {
		t.Run(way, func(t *testing.T) { crash(t, o) })
	}
}

func crash(t *testing.T, o options) {
	t.Helper()
	o.hold = deniedNever(t)
	s := start(t, o)
	tr := begin(t, s)
	tr.more(t, "bob 200", 50)
	if err := s.gate.Kill(); err != nil {
		t.Fatal(err)
	}
	tr.more(t, "bob 503", 20)
	tr.more(t, "eve 503", 5)
	served := s.app.Served()
	tr.more(t, "bob 503", 20)
	if now := s.app.Served(); now != served {
		t.Errorf("%d requests reached the application while rolegate was gone", now-served)
	}
	s.startGate(t)
	began := time.Now()
	tr.more(t, "bob 200", 50)
	t.Logf("the first 50 requests passed %s after the start", time.Since(began).Round(time.Millisecond))
	tr.more(t, "eve 403", 5)
	tr.end(t, "bob 200", "bob 503", "eve 403", "eve 503")
}

// TestTerm ends rolegate as an orchestrator does. Checks that are under way are
// answered: a client of the same kind as Envoy never loses one.
func TestTerm(t *testing.T) {
	s := start(t, options{hold: deniedNever(t)})
	checks := beginChecks(t, s)
	tr := begin(t, s)
	tr.more(t, "bob 200", 50)
	checks.more(t, 50)
	if err := s.gate.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.gate.Done():
	case <-time.After(patience):
		t.Fatalf("rolegate did not end within %s of SIGTERM", patience)
	}
	if err := s.gate.Stop(); err != nil {
		t.Errorf("rolegate ended with %v, want exit code 0", err)
	}
	checks.end(t)
	tr.more(t, "bob 503", 5)
	s.startGate(t)
	tr.more(t, "bob 200", 50)
	tr.end(t, "bob 200", "bob 503", "eve 403", "eve 503")
}

// TestHang stops rolegate without ending it. Envoy gives up while it hangs, with 503.
func TestHang(t *testing.T) {
	s := start(t, options{hold: deniedNever(t), hasty: true})
	tr := begin(t, s)
	tr.more(t, "bob 200", 50)
	if err := s.gate.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	tr.more(t, "bob 503", 5)
	tr.more(t, "eve 503", 2)
	if err := s.gate.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	tr.more(t, "bob 200", 50)
	report := tr.end(t, "bob 200", "bob 503", "eve 403", "eve 503")
	t.Logf("the slowest answer took %s; the time-out that ships is 0.5 s", report.Percentile(100))
}

// TestFailureModeAllow turns on the setting that nobody should. A denial is an answer,
// so it stays one; and so does that of a rolegate without a bundle, as long as no
// health check keeps Envoy from asking it.
func TestFailureModeAllow(t *testing.T) {
	s := start(t, options{empty: true, edit: failOpen})
	ask := func(ctx context.Context, user string, want int) error {
		got, err := s.get(ctx, http.MethodGet, "/v1/acme/documents/1", user)
		if err == nil && got.status != want {
			err = fmt.Errorf("%q gets %d, want %d", user, got.status, want)
		}
		return err
	}
	s.await(t, "rolegate listens", func(ctx context.Context) error {
		_, _, err := s.gate.Get(ctx, "/livez")
		return err
	})
	for _, user := range []string{"", "ann", "eve"} {
		if err := ask(t.Context(), user, http.StatusServiceUnavailable); err != nil {
			t.Errorf("before the first bundle: %v", err)
		}
	}
	s.restore(t)
	s.await(t, "ann is allowed", func(ctx context.Context) error { return ask(ctx, "ann", http.StatusOK) })
	if err := ask(t.Context(), "eve", http.StatusForbidden); err != nil {
		t.Error(err)
	}
	if err := ask(t.Context(), "", http.StatusUnauthorized); err != nil {
		t.Error(err)
	}
}

// failOpen lets errors pass, and asks whatever its health.
func failOpen(c *envoy.Config) error {
	return errors.Join(
		c.Set("static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/name=envoy.filters.http.ext_authz/typed_config/failure_mode_allow", true),
		c.Set("static_resources/clusters/name=rolegate/health_checks", []any{}),
	)
}

// TestTakeover starts a new rolegate on the same unix socket and, once it serves, ends
// the old one. Nobody notices that.
func TestTakeover(t *testing.T) {
	s := start(t, options{unix: true, hold: deniedNever(t)})
	tr := begin(t, s)
	tr.more(t, "bob 200", 50)
	for range 2 {
		old := s.gate
		s.config.Admin = freePort(t)
		s.startGate(t)
		s.await(t, "the new rolegate is ready", s.gate.Ready)
		s.await(t, "Envoy finds it healthy", s.healthy)
		if err := old.Stop(); err != nil {
			t.Errorf("the old rolegate ended with %v", err)
		}
		tr.more(t, "bob 200", 50)
	}
	tr.end(t, "bob 200", "eve 403")
}

// healthy is nil when Envoy would ask rolegate.
func (s *stack) healthy(ctx context.Context) error {
	ok, err := s.envoy.Healthy(ctx, "rolegate")
	if err == nil && !ok {
		err = errors.New("unhealthy")
	}
	return err
}

// TestColdStart starts without a bundle: it does not serve and denies, until there is
// one.
func TestColdStart(t *testing.T) {
	s := start(t, options{empty: true})
	conn := dial(t, s)
	health := func(ctx context.Context) (healthv1.HealthCheckResponse_ServingStatus, error) {
		r, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
		return r.GetStatus(), err
	}
	s.await(t, "rolegate answers health checks", func(ctx context.Context) error {
		_, err := health(ctx)
		return err
	})
	if got, err := health(t.Context()); err != nil || got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health is %s, %v, want NOT_SERVING", got, err)
	}
	if code, body, err := s.gate.Get(t.Context(), "/readyz"); err != nil || code != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d %s, %v, want 503", code, body, err)
	}
	if code, _, err := s.gate.Get(t.Context(), "/livez"); err != nil || code != http.StatusOK {
		t.Errorf("/livez is %d, %v, want 200", code, err)
	}
	if got, err := s.get(t.Context(), http.MethodGet, "/healthz", ""); err != nil || got.status != http.StatusServiceUnavailable {
		t.Errorf("through Envoy a public route is %d, %v, want 503", got.status, err)
	}
	notOK(t, "a check before the first bundle", conn, request(t, "GET", "/healthz", ""))
	s.restore(t)
	s.await(t, "the first bundle is in force", func(ctx context.Context) error {
		got, err := s.get(ctx, http.MethodGet, "/v1/acme/documents/1", "ann")
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("ann gets %d", got.status)
		}
		return err
	})
	if got, err := health(t.Context()); err != nil || got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health is %s, %v, want SERVING", got, err)
	}
}

// deniedNever fails the test when a request that must be denied is served.
func deniedNever(t *testing.T) func(*http.Request) {
	t.Helper()
	return func(r *http.Request) {
		if r.Header.Get("X-Rolegate-Subject") != "bob" {
			t.Errorf("%s reached the application as %q", r.URL.Path, r.Header.Get("X-Rolegate-Subject"))
		}
	}
}
