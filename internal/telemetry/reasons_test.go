package telemetry_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/telemetry"
)

func TestReasonsSplitACount(t *testing.T) {
	var r telemetry.Reasons
	if got := r.Split(0); len(got) != 0 {
		t.Errorf("got %v of nothing", got)
	}
	r.Because("clock", 0)
	if diff := cmp.Diff(map[string]uint64{"clock": 5}, r.Split(5)); diff != "" {
		t.Errorf("5 because of the clock (-want +got):\n%s", diff)
	}
	r.Because("", 7)
	r.Because("audit", 7)
	r.Because("clock", 6) // a reading that was overtaken takes nothing back
	want := map[string]uint64{"clock": 10}
	if diff := cmp.Diff(want, r.Split(10)); diff != "" {
		t.Errorf("7 and 3 because of the clock (-want +got):\n%s", diff)
	}
	r.Because("audit", 10)
	r.Because("", 12)
	want["audit"], want["other"] = 2, 1
	if diff := cmp.Diff(want, r.Split(13)); diff != "" || r.Current() != "" {
		t.Errorf("2 because of an audit, 1 for no reason, now %q (-want +got):\n%s", r.Current(), diff)
	}
}
