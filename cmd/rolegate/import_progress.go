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
	if m.json {
		_ = json.NewEncoder(m.out).Encode(map[string]any{
			"phase": at.Phase, "bytes": at.Bytes, "total_bytes": at.Total, "records": at.Records, "principals": at.Principals,
			"bytes_per_second": int64(m.rate(at, now)), "seconds_left": int64(m.left(at, now).Seconds()), "peak_memory_bytes": m.peak,
		})
		return
	}
	fmt.Fprintf(m.out, "%s: ", at.Phase)
	if at.Phase != importer.Reading {
		fmt.Fprintf(m.out, "%d members", at.Principals)
	} else {
		fmt.Fprint(m.out, megabytes(at.Bytes))
		if at.Total > 0 {
			fmt.Fprintf(m.out, " of %s", megabytes(at.Total))
		}
		fmt.Fprintf(m.out, ", %d records, %s/s", at.Records, megabytes(int64(m.rate(at, now))))
		if left := m.left(at, now); left > 0 {
			fmt.Fprintf(m.out, ", %s left to read", left)
		}
	}
	fmt.Fprintf(m.out, ", %s of memory\n", megabytes(int64(m.peak)))
}

// rate is in bytes per second.
func (m *meter) rate(at importer.Progress, now time.Time) float64 {
	return float64(at.Bytes) / now.Sub(m.began).Seconds()
}

// left is how long the reading will go on as it did; 0 when nobody knows.
func (m *meter) left(at importer.Progress, now time.Time) time.Duration {
	rate := m.rate(at, now)
	if at.Phase != importer.Reading || at.Total <= at.Bytes || rate <= 0 {
		return 0
	}
	return time.Duration(float64(at.Total-at.Bytes) / rate * float64(time.Second)).Round(time.Second)
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
