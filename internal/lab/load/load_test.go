package load_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rolegate/rolegate/internal/lab/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Ten milliseconds a request for 95 ms: the tenth is under way at the end, and counts.
func TestClosedCountsEveryRequestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 95*time.Millisecond)
		defer cancel()
		r := load.Closed(ctx, 3, func(ctx context.Context, worker, n int) string {
			time.Sleep(10 * time.Millisecond) // the clock of synctest: no real time passes
			if ctx.Err() != nil {
				return "late"
			}
			if worker == 0 && n == 0 {
				return "first"
			}
			return "ok"
		})
		if diff := cmp.Diff(map[string]int64{"first": 1, "ok": 29}, r.Outcomes); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		if got, want := r.PerSecond(), 300.0; got != want {
			t.Errorf("PerSecond = %v, want %v", got, want)
		}
		if got := r.Percentile(99); got < 9990*time.Microsecond || got > 10010*time.Microsecond {
			t.Errorf("Percentile(99) = %s, want 10 ms to three digits", got)
		}
		if got, want := r.String(), "first=1 ok=29 in 100ms"; got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	})
}

func TestNoRequestsAreNoRate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := load.Closed(ctx, 2, func(context.Context, int, int) string { return "ok" })
	if r.Requests != 0 {
		t.Errorf("Requests = %d, want 0", r.Requests)
	}
	if got := (load.Report{}).PerSecond(); got != 0 {
		t.Errorf("PerSecond of nothing = %v, want 0", got)
	}
}
