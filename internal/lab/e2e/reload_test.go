package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolegate/rolegate/internal/lab/load"
)

// workers of a load; the machine is shared with Envoy and rolegate.
const workers = 4

// revocation is what happens to one user, as her own requests see it.
type revocation struct {
	mu        sync.Mutex
	lastAllow time.Time // when the last request that was allowed was sent
	refused   time.Time // when the first refusal arrived
	refusals  int
	relapse   bool // allowed after a refusal
}

func (r *revocation) see(asked time.Time, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch status {
	case http.StatusOK:
		// Of requests that overlap either may be decided first.
		r.relapse = r.relapse || !r.refused.IsZero() && asked.After(r.refused)
		if asked.After(r.lastAllow) {
			r.lastAllow = asked
		}
	case http.StatusForbidden:
		r.refusals++
		if r.refused.IsZero() {
			r.refused = time.Now()
		}
	}
}

// TestRevocationUnderLoad takes a role away while its holder and another user ask.
// The holder is soon refused and ever after; the other never notices. How soon is told: it
// is milliseconds, and says more of the machine where it is not.
func TestRevocationUnderLoad(t *testing.T) {
	const enough = 200 // refusals after which a stale decision would have shown
	s := start(t, options{})
	var ann revocation
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan load.Report, 1)
	go func() {
		done <- load.Closed(ctx, workers, func(ctx context.Context, worker, _ int) string {
			user := [...]string{"ann", "bob"}[worker%2]
			asked := time.Now()
			got, err := s.get(ctx, http.MethodGet, "/v1/acme/documents/1", user)
			if err != nil {
				return user + " " + err.Error()
			}
			if user == "ann" {
				ann.see(asked, got.status)
			}
			return user + " " + strconv.Itoa(got.status)
		})
	}()
	when := func(ok func() bool) func(context.Context) error {
		return func(context.Context) error {
			ann.mu.Lock()
			defer ann.mu.Unlock()
			if !ok() {
				return errors.New("not yet")
			}
			return nil
		}
	}
	s.await(t, "ann is allowed", when(func() bool { return !ann.lastAllow.IsZero() }))
	changed := time.Now()
	s.member(t, "ann", nil)
	s.await(t, "ann is refused for good", when(func() bool { return ann.refusals >= enough }))
	cancel()
	report := <-done
	t.Logf("refused %s after the change; %s", ann.refused.Sub(changed).Round(time.Millisecond), report)
	for outcome, n := range report.Outcomes {
		switch outcome {
		case "ann 200", "ann 403", "bob 200":
		default:
			t.Errorf("%d × %s, want only ann 200, ann 403 and bob 200", n, outcome)
		}
	}
	if ann.relapse {
		t.Error("ann was allowed again after she was refused")
	}
}

// TestBrokenBundle breaks one bundle. Decisions go on as before, and operators learn
// of it in three places; mending it ends that.
func TestBrokenBundle(t *testing.T) {
	s := start(t, options{})
	file := filepath.Join(s.bundles, "members", "rbac", "members", "acme", "data.json")
	replaceFile(t, file, []byte("{\"ann\": {\"kind\": \"user\", \"grants\": \n"))
	s.await(t, "the status tells of the broken bundle", func(ctx context.Context) error {
		page, err := readStatus(ctx, s)
		if err != nil {
			return err
		}
		if !page.Degraded || !strings.Contains(page.problems(), "members: ") {
			return fmt.Errorf("degraded=%t, problems %q", page.Degraded, page.problems())
		}
		if !page.Ready {
			return errors.New("it is not ready, want degraded and ready")
		}
		return nil
	})
	for user, want := range map[string]int{"ann": http.StatusOK, "eve": http.StatusForbidden} {
		if got, err := s.get(t.Context(), http.MethodGet, "/v1/acme/documents/1", user); err != nil || got.status != want {
			t.Errorf("with a broken bundle %s gets %d, %v, want %d", user, got.status, err, want)
		}
	}
	if log := s.gate.Stdout() + s.gate.Stderr(); !strings.Contains(log, "data.json") {
		t.Error("no log line names the broken file data.json")
	}
	if failed := failedLoads(t, s); failed < 1 {
		t.Errorf("rolegate_bundle_loads_total counts %v failed loads, want at least 1", failed)
	}
	s.restore(t)
	s.member(t, "eve", map[string]any{"kind": "user", "grants": map[string]any{"reader": []any{}}})
	s.await(t, "the mended bundle is in force", func(ctx context.Context) error {
		page, err := readStatus(ctx, s)
		if err != nil {
			return err
		}
		if page.Degraded {
			return errors.New("still degraded: " + page.problems())
		}
		got, err := s.get(ctx, http.MethodGet, "/v1/acme/documents/1", "eve")
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("eve gets %d", got.status)
		}
		return err
	})
}

// statusPage is what the tests read of /status.
type statusPage struct {
	Ready      bool   `json:"ready"`
	Degraded   bool   `json:"degraded"`
	Generation uint64 `json:"generation"`
	Loader     struct {
		Bundles []struct {
			Name     string   `json:"name"`
			Problems []string `json:"problems"`
		} `json:"bundles"`
	} `json:"loader"`
}

func (p statusPage) problems() string {
	var all []string
	for _, b := range p.Loader.Bundles {
		for _, problem := range b.Problems {
			all = append(all, b.Name+": "+problem)
		}
	}
	return strings.Join(all, "; ")
}

func readStatus(ctx context.Context, s *stack) (page statusPage, err error) {
	code, body, err := s.gate.Get(ctx, "/status")
	if err != nil {
		return page, err
	}
	if code != http.StatusOK {
		return page, fmt.Errorf("/status is %d: %s", code, body)
	}
	err = json.Unmarshal([]byte(body), &page)
	return page, err
}

// failedLoads sums rolegate_bundle_loads_total over every result that is no success.
func failedLoads(t *testing.T, s *stack) (failed float64) {
	t.Helper()
	_, body, err := s.gate.Get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(name, "rolegate_bundle_loads_total{") || strings.Contains(name, `result="ok"`) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		failed += n
	}
	return failed
}
