package main

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/loader/importer"
)

// A line every five seconds, and none of what is done by then.
func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	steps := []struct {
		after time.Duration
		at    importer.Progress
	}{
		{time.Second, importer.Progress{Phase: importer.Reading, Bytes: 1e6, Total: 40e6, Records: 10}},
		{5 * time.Second, importer.Progress{Phase: importer.Reading, Bytes: 10e6, Total: 40e6, Records: 100}},
		{7 * time.Second, importer.Progress{Phase: importer.Reading, Bytes: 14e6, Total: 40e6, Records: 140}},
		{10 * time.Second, importer.Progress{Phase: importer.Reading, Bytes: 20e6, Records: 200}},
		{15 * time.Second, importer.Progress{Phase: importer.Writing, Bytes: 40e6, Records: 400, Principals: 320}},
	}
	for _, c := range []struct {
		json bool
		want string
	}{
		{false, "reading: 10.0 MB of 40.0 MB, 100 records, 2.0 MB/s, 15s left to read, N of memory\n" +
			"reading: 20.0 MB, 200 records, 2.0 MB/s, N of memory\n" +
			"writing: 320 members, N of memory\n"},
		{true, `{"bytes":10000000,"bytes_per_second":2000000,"peak_memory_bytes":N,"phase":"reading","principals":0,"records":100,"seconds_left":15,"total_bytes":40000000}` + "\n" +
			`{"bytes":20000000,"bytes_per_second":2000000,"peak_memory_bytes":N,"phase":"reading","principals":0,"records":200,"seconds_left":0,"total_bytes":0}` + "\n" +
			`{"bytes":40000000,"bytes_per_second":2666666,"peak_memory_bytes":N,"phase":"writing","principals":320,"records":400,"seconds_left":0,"total_bytes":0}` + "\n"},
	} {
		var out bytes.Buffer
		began := time.Unix(0, 0)
		now := began
		m := &meter{out: &out, now: func() time.Time { return now }, json: c.json, began: began}
		for _, s := range steps {
			now = began.Add(s.after)
			m.progress(s.at)
		}
		got := regexp.MustCompile(`[0-9.]+ MB of memory`).ReplaceAllString(out.String(), "N of memory")
		got = regexp.MustCompile(`"peak_memory_bytes":\d+`).ReplaceAllString(got, `"peak_memory_bytes":N`)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("json %v (-want +got):\n%s", c.json, diff)
		}
	}
}
