package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime/metrics"
	"time"

	"github.com/rolegate/rolegate/loader/importer"
)

// tellEvery is how much time passes between two lines of progress: what is done by
// then needs none.
const tellEvery = 5 * time.Second

// meter tells how far a long command is.
type meter struct {
	out   io.Writer
	now   func() time.Time
	json  bool
	began time.Time

	told time.Time
	peak uint64 // bytes of memory, at the times that progress was reported
}

func (m *meter) progress(at importer.Progress) {
	m.peak = max(m.peak, memory())
	now := m.now()
	if now.Sub(cmp.Or(m.told, m.began)) < tellEvery {
		return
	}
	m.told = now
	took := now.Sub(m.began)
	rate := float64(at.Bytes) / took.Seconds()
	left := time.Duration(0)
	if at.Total > at.Bytes && rate > 0 {
		left = time.Duration(float64(at.Total-at.Bytes) / rate * float64(time.Second)).Round(time.Second)
	}
	if m.json {
		_ = json.NewEncoder(m.out).Encode(map[string]any{
			"bytes": at.Bytes, "total_bytes": at.Total, "records": at.Records, "writing": at.Writing,
			"bytes_per_second": int64(rate), "seconds_left": int64(left.Seconds()), "peak_memory_bytes": m.peak,
		})
		return
	}
	doing := "reading"
	if at.Writing {
		doing = "writing"
	}
	fmt.Fprintf(m.out, "%s: %s", doing, megabytes(at.Bytes))
	if at.Total > 0 {
		fmt.Fprintf(m.out, " of %s", megabytes(at.Total))
	}
	fmt.Fprintf(m.out, ", %d records, %s/s", at.Records, megabytes(int64(rate)))
	if left > 0 {
		fmt.Fprintf(m.out, ", %s left", left)
	}
	fmt.Fprintf(m.out, ", %s of memory\n", megabytes(int64(m.peak)))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// memory is what the Go runtime has of the system.
func memory() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
