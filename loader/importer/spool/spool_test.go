package spool_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/loader/importer/spool"
)

// However little is kept in memory, the order is that of a stable sort.
func TestTheOrderIsThatOfAStableSort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.StringMatching(`[ab\x00é]{0,3}`)).Draw(t, "keys")
		s := spool.New(dir, rapid.IntRange(1, 64).Draw(t, "bytes"))
		want := make([]string, len(keys))
		for i, key := range keys {
			want[i] = fmt.Sprintf("%s=%d", key, i)
			if err := s.Add(key, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortStableFunc(want, func(a, b string) int {
			return strings.Compare(a[:strings.LastIndex(a, "=")], b[:strings.LastIndex(b, "=")])
		})
		got := []string{}
		if err := s.Each(func(key string, value []byte) error {
			got = append(got, key+"="+string(value))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
